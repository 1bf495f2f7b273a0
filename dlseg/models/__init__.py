"""Segmentation networks, each readable in one file from input to logits.

Each is called `Name(backbone, num_classes=21, *, output_stride, width, weights, ...)`; backbone is
a name (a key of `dlseg.backbones.BACKBONES`) or a module, and the next three are of one by name. It
takes images (B, 3, H, W) and returns logits (B, num_classes, H, W); `scores` returns the coarse
logits before the last upsampling. `backbone`, `num_classes` and `output_stride` are attributes of
all: the parameters that are not the backbone's are the head's.
"""

from dlseg.models.calls import CALLS, WEIGHTS, Guest, described, is_own, name_of
from dlseg.models.cascade import DeepLabV3Cascade, cascade_plans
from dlseg.models.convert import SOURCES, Converted, convert
from dlseg.models.deeplabv1 import VARIANTS, DeepLabV1
from dlseg.models.deeplabv2 import ASPP_L, ASPP_S, LARGE_FOV, DeepLabV2, MultiScale, SumASPP
from dlseg.models.deeplabv3 import (
    ASPP,
    DeepLabV3,
    ImagePooling,
    check_batch,
    conv_bn_relu,
    initialise_head,
    scaled_rates,
)
from dlseg.models.deeplabv3plus import Decoder, DeepLabV3Plus
from dlseg.models.fcn import FCN
from dlseg.models.output_stride import at_output_stride
from dlseg.models.published import torchvision_deeplabv3
from dlseg.models.registry import (
    FAMILIES,
    NETWORKS,
    at_stride,
    build_model,
    describe,
    network_row,
)
from dlseg.models.released import RELEASED, released_network, released_weights
from dlseg.models.scores import ScoreMap
from dlseg.models.tap import auxiliary_head, tapped, with_aux
from dlseg.models.theirs import (
    bare,
    smp_backbone,
    smp_deeplabv3,
    smp_deeplabv3plus,
    torchvision_fcn,
    torchvision_mobile_deeplabv3,
    transformers_deeplabv3,
    with_decoder,
)
