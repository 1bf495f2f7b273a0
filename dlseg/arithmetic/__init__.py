"""The arithmetic of windows, strides, rates and receptive fields, without torch."""

from dlseg.arithmetic import networks
from dlseg.arithmetic.counting import (
    conv_multiply_adds,
    conv_parameters,
    depthwise_parameters,
    inverted_residual_multiply_adds,
    inverted_residual_parameters,
    separable_multiply_adds,
    separable_parameters,
)
from dlseg.arithmetic.coverage import (
    coverage,
    coverage_2d,
    hdc_distances,
    holes,
    middle_part,
    no_holes,
    path_spread,
    valid_tap_fractions,
)
from dlseg.arithmetic.field import Field, field_backward, field_closed_form, stack_fields
from dlseg.arithmetic.graph import Graph, Misalignment, NoSingleFieldError
from dlseg.arithmetic.layer import Layer, effective_kernel, output_size, same_padding, taps
from dlseg.arithmetic.networks import (
    BASIC_UNITS,
    BOTTLENECK_UNITS,
    PUBLISHED,
    Published,
    alexnet_v2,
    deeplab_v1,
    inception_resnet_v2,
    inception_v2,
    inception_v3,
    inception_v4,
    mobilenet_v1,
    mobilenet_v2,
    resnet,
    tensorflow_same,
    vgg16,
)
from dlseg.arithmetic.operations import AdaptivePool, Crop, Merge, Pad, Resize, Transposed, Whole
from dlseg.arithmetic.output_stride import (
    OUTPUT_STRIDES,
    StagePlan,
    plan_stages,
    round_channels,
    to_atrous,
)
