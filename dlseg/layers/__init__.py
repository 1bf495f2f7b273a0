"""Floor 2: atrous and separable convolution, and the receptive field of any network of layers."""

from dlseg.layers.atrous import (
    atrous_conv2d,
    atrous_interleave,
    atrous_taps,
    insert_zeros,
    output_shape,
)
from dlseg.layers.field import receptive_field
from dlseg.layers.separable import SeparableConv2d
from dlseg.layers.support import effective_field, from_layers, gradient_support

__all__ = [
    "SeparableConv2d",
    "atrous_conv2d",
    "atrous_interleave",
    "atrous_taps",
    "effective_field",
    "from_layers",
    "gradient_support",
    "insert_zeros",
    "output_shape",
    "receptive_field",
]
