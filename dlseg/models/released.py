"""Networks that others trained, whole, by name: Google's small DeepLab v3, and torchvision's v3.

Google's is the network of MobileNetV2, section 6.3, trained by the authors of both papers and
released as TFLite files of 8-bit numbers, with which their runtime computes; here they become
float32. All take what every network here takes, and know Pascal VOC's 21 classes.
"""

from collections.abc import Callable
from functools import partial
from itertools import zip_longest
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dlseg.backbones import Features, MobileNetV2, Weights, fetch
from dlseg.checks import check_choice
from dlseg.models.deeplabv3 import DeepLabV3
from dlseg.models.lite import Convolution, read_convolutions
from dlseg.models.published import COCO_VOC, torchvision_deeplabv3

_GOOGLE = (
    "https://raw.githubusercontent.com/google-coral/test_data/"
    "104342d2d3480b3e66203073dac24f4e2dbb4c41/deeplabv3_mnv2_{}_quant.tflite"
)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Released(NamedTuple):
    """weights: its file; make: builds it of an output stride."""

    weights: Weights
    make: Callable[[int], nn.Module]


class AuthorsMobileNetV2(MobileNetV2):
    """MobileNetV2 whose images are brought to its authors' range first: -1 is black, 127/128 white.

    So it takes what all networks here take: RGB in [0, 1] less ImageNet's mean, divided by its
    deviation. Padding with zeros is then the authors' too. Arguments: those of `MobileNetV2`.
    Source: scale 1/128 and zero point 128 of the released files' input.
    """

    def forward(self, x: Tensor) -> Features:
        """The maps of an image (B, 3, H, W)."""
        mean, std = (x.new_tensor(values)[:, None, None] for values in (_MEAN, _STD))
        return super().forward((x * std + mean) * (255 / 128) - 1)


@torch.no_grad()
def fill(model: DeepLabV3, convolutions: list[Convolution]) -> None:
    """Give `model` the convolutions of a released file, in whose biases batch norm is folded.

    A batch norm is left that adds the bias alone. The file joins ASPP's branches the other way
    round: image pooling first.
    Raises ValueError where number or shapes differ.
    """
    *body, projection, last = convolutions
    halves = projection.weight.chunk(2, dim=1)
    projection = projection._replace(weight=torch.cat(halves[::-1], dim=1))
    theirs = [*body, projection, last]
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    if [found.weight.shape for found in theirs] != [layer.weight.shape for layer in layers]:
        raise ValueError("these are not the convolutions of this network")
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for layer, norm, found in zip_longest(layers, norms, theirs):
        layer.weight.copy_(found.weight)
        if norm is None:  # the classifier's
            layer.bias.copy_(found.bias)
        else:
            norm.weight.fill_(1)
            norm.bias.copy_(found.bias)
            norm.running_mean.zero_()
            norm.running_var.fill_(1 - norm.eps)


def _authors(weights: Weights, output_stride: int) -> nn.Module:
    """Google's network: at half width its channels are not rounded, see `MobileNetV2`."""
    width, divisor = (0.5, 1) if "_dm05_" in weights.file else (1.0, 8)
    model = DeepLabV3(
        AuthorsMobileNetV2(output_stride, width=width, divisor=divisor),
        atrous_rates=(),
        align_corners=True,
    )
    fill(model, read_convolutions(fetch(weights)))
    return model


def _torchvision(weights: Weights, output_stride: int) -> nn.Module:
    backbone = weights.name.removeprefix("deeplabv3_")
    return torchvision_deeplabv3(backbone, output_stride=output_stride, weights="coco_voc")


def _google(file: str, sha256: str, megabytes: float) -> Weights:
    source = "google-coral/test_data, quantised, trained on Pascal VOC"
    return Weights(file, _GOOGLE.format(file), sha256, megabytes, None, source, (), "Apache-2.0")


_FILES = {
    "deeplabv3-mobilenetv2-voc": _google(
        "pascal", "350af47fd346ea6d74b58833a351f583ba860e9806ec5bd292ff8d8f1f249398", 2.2
    ),
    "deeplabv3-mobilenetv2-half-voc": _google(
        "dm05_pascal", "0470d2a782aa54eeeb99d32e7b6b3fb7722905c7c4f5d26bd957ec861366d48b", 0.8
    ),
}
RELEASED = {name: Released(row, partial(_authors, row)) for name, row in _FILES.items()}
RELEASED |= {
    f"torchvision-{name.replace('_', '-')}-voc": Released(row, partial(_torchvision, row))
    for name, row in COCO_VOC.items()
}


def released_network(name: str, output_stride: int | None = None) -> nn.Module:
    """The trained network `name`, a key of RELEASED, on the CPU in eval mode.

    output_stride: 8, 16 or 32, with the same weights; None: as it was trained, 16 for Google's and
    8 for torchvision's. Its file is fetched where it is not at hand.
    Raises ValueError for another name or output stride, or a file that is not the network's;
    OSError where it cannot be had; ModuleNotFoundError, for Google's, without the package tflite.
    """
    check_choice("name", name, tuple(RELEASED))
    if output_stride is None:
        output_stride = 8 if name.startswith("torchvision") else 16
    return RELEASED[name].make(output_stride).eval()


@torch.no_grad()
def released_weights(name: str) -> dict[str, Tensor]:
    """The state dict of a released network, `name` as above, for networks by their ordinary names.

    Google's take images in a range of their own, see `AuthorsMobileNetV2`; here that is part of the
    first convolution and its batch norm, so a plain `MobileNetV2` computes with them what theirs
    does. Only where windows reach over the border do they differ a little: the authors pad with
    their middle grey, and that is not quite ImageNet's mean.
    Raises as `released_network`.
    """
    model = released_network(name)
    if isinstance(model.backbone, AuthorsMobileNetV2):
        convolution, norm = model.backbone.features[0][:2]
        mean, std = torch.tensor(_MEAN), torch.tensor(_STD)  # (3,)
        offset = mean * 255 / 128 - 1
        norm.running_mean -= (convolution.weight * offset[:, None, None]).sum((1, 2, 3))
        convolution.weight *= (std * 255 / 128)[:, None, None]
    return model.state_dict()
