"""Floor 2, layers: atrous convolution, and the receptive field of any network built from layers."""

from dlseg.layers.atrous import (
    atrous_conv2d,
    atrous_interleave,
    atrous_taps,
    insert_zeros,
    output_shape,
)
from dlseg.layers.field import receptive_field
from dlseg.layers.support import effective_field, from_layers, gradient_support

__all__ = [
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
