"""Floor 2, layers: atrous convolution, and the receptive field of any network built from layers."""

from dlseg.layers.atrous import (
    atrous_conv2d,
    atrous_interleave,
    atrous_taps,
    insert_zeros,
    output_shape,
)

__all__ = ["atrous_conv2d", "atrous_interleave", "atrous_taps", "insert_zeros", "output_shape"]
