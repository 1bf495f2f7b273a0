"""Encoders of timm as backbones: some hundred networks, of which those with strides can be dense.

timm (https://github.com/huggingface/pytorch-image-models) is no requirement of this package.
"""

import torch
from torch import Tensor, nn

from dlseg.backbones.features import Features
from dlseg.checks import check_choice, check_integer, install_line
from dlseg.doors import check_image

TIMM = "timm:"  # what the name of such a backbone begins with


class TimmBackbone(nn.Module):
    """A network of timm by name: an image (B, 3, H, W) to `Features`.

    name: such as "convnext_tiny" or "resnet50d", or with the weights to take behind a dot.
    output_stride (os): 32, or whatever the network has; 16 and 8 where timm turns its strides into
    rates. weights: None, or "imagenet": timm fetches those it has, of several licences.
    Whether the dense map holds the strided one number for number is timm's doing: those of ResNets,
    RegNets, RepVGG and Xception do, and with the means of squeezes held fixed EfficientNets and
    MobileNetV3; ConvNeXt does at 16, and not at 8; networks with attention do not.
    low_level is the network's last map at stride 4; last its last, (B, channels, H/os, W/os). Sizes
    are rounded as the network does.
    Attributes: output_stride, channels, low_level_channels, low_level_stride.
    Raises ModuleNotFoundError without timm, ValueError for a name that timm has not, an output
    stride that the network cannot have, and one without a map at stride 4.
    Source: `features_only` of timm; DeepLab v3, section 3.1.
    """

    def __init__(self, name: str, output_stride: int = 16, *, weights: str | None = None):
        super().__init__()
        check_choice("weights", weights, (None, "imagenet"))
        check_choice("output_stride", check_integer("output_stride", output_stride), (8, 16, 32))
        self.body = _encoder(name, output_stride, weights is not None)
        strides, channels = self.body.feature_info.reduction(), self.body.feature_info.channels()
        self.low_level = len(strides) - 1 - strides[::-1].index(4)
        self.output_stride, self.channels = output_stride, channels[-1]
        self.low_level_stride, self.low_level_channels = 4, channels[self.low_level]

    def forward(self, x: Tensor) -> Features:
        check_image(x, self)
        maps = self.body(x)  # of strides such as 4, 8, 16, os
        return Features(maps[self.low_level], maps[-1])  # (B, channels, H/os, W/os)


def _encoder(name: str, output_stride: int, pretrained: bool) -> nn.Module:
    """timm's network as a list of maps, with this output stride. ValueError as above."""
    try:
        import timm
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is not installed, which {TIMM}{name} needs; run: {install_line('timm')}"
        ) from error
    # A name that is in no list could be an address, from which timm would fetch.
    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"{name[:4]}*")[:8])
        raise ValueError(
            f"timm {timm.__version__} has no {name!r}" + (close and f"; it has {close}")
        )
    with torch.device("meta"):  # without memory: what it has by itself
        plain = timm.create_model(name, features_only=True)
    strides = plain.feature_info.reduction()
    if getattr(plain, "output_fmt", None) not in (None, "NCHW") or 4 not in strides:
        raise ValueError(
            f"timm's {name} has no map (B, C, H, W) at stride 4; its maps have the strides "
            f"{', '.join(map(str, strides))}: take a convolutional network"
        )
    options = {} if strides[-1] == output_stride else {"output_stride": output_stride}
    try:
        encoder = timm.create_model(name, pretrained=pretrained, features_only=True, **options)
    except (TypeError, AssertionError, NotImplementedError) as error:
        raise _no_rates(name, strides[-1], output_stride) from error
    if encoder.feature_info.reduction()[-1] != output_stride:
        raise _no_rates(name, strides[-1], output_stride)
    return encoder


def _no_rates(name: str, own: int, output_stride: int) -> ValueError:
    return ValueError(
        f"timm's {name} cannot turn its strides into rates: output_stride must be {own}, "
        f"got {output_stride}"
    )
