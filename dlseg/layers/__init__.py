"""Floor 2: atrous and separable convolution, and the receptive field of any network of layers."""

from dlseg.layers.aspp import SumASPP
from dlseg.layers.atrous import (
    atrous_conv2d,
    atrous_interleave,
    atrous_taps,
    insert_zeros,
    output_shape,
)
from dlseg.layers.decoder import Decoder
from dlseg.layers.field import receptive_field
from dlseg.layers.pyramid import ASPP, ImagePooling
from dlseg.layers.separable import SeparableConv2d
from dlseg.layers.support import effective_field, from_layers, gradient_support
from dlseg.layers.upsample import upsample

__all__ = [
    "ASPP",
    "Decoder",
    "ImagePooling",
    "SeparableConv2d",
    "SumASPP",
    "atrous_conv2d",
    "atrous_interleave",
    "atrous_taps",
    "effective_field",
    "from_layers",
    "gradient_support",
    "insert_zeros",
    "output_shape",
    "receptive_field",
    "upsample",
]
