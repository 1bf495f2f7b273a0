"""Building blocks: atrous and separable convolution, ASPP, image pooling, the stretch."""

from dlseg.layers.aspp import SumASPP
from dlseg.layers.atrous import (
    atrous_conv2d,
    atrous_interleave,
    atrous_taps,
    insert_zeros,
    output_shape,
)
from dlseg.layers.decoder import Decoder
from dlseg.layers.pyramid import ASPP, ImagePooling
from dlseg.layers.separable import SeparableConv2d
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
    "insert_zeros",
    "output_shape",
    "upsample",
]
