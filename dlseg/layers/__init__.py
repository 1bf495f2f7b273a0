"""Building blocks: atrous convolution three ways, separable convolution, bilinear resizing."""

from dlseg.layers.atrous import (
    atrous_conv2d,
    atrous_interleave,
    atrous_taps,
    insert_zeros,
    output_shape,
)
from dlseg.layers.separable import SeparableConv2d
from dlseg.layers.upsample import upsample
