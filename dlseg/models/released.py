"""DeepLab as its authors trained it: Google's small v3 for Pascal VOC, from their TFLite files.

The network is that of MobileNetV2, section 6.3. The files hold 8-bit numbers, with which the
authors' runtime computes; here they become float32.
"""

from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import torch
from torch import Tensor, nn

from dlseg.backbones import Features, MobileNetV2
from dlseg.checks import check_choice
from dlseg.fetch import Checksum, fetch_file, kept_at
from dlseg.models.deeplabv3 import DeepLabV3
from dlseg.models.lite import Convolution, read_convolutions

_COMMIT = "104342d2d3480b3e66203073dac24f4e2dbb4c41"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Released:
    """One file of the authors. width: of MobileNetV2's channels; sha256: of the whole file."""

    file: str
    width: float
    size: int
    sha256: str
    licence: str = "Apache-2.0"

    @property
    def url(self) -> str:
        """Where it is to be had, at the commit that was looked at."""
        return f"https://raw.githubusercontent.com/google-coral/test_data/{_COMMIT}/{self.file}"


RELEASED = {
    "deeplabv3-mobilenetv2-voc": Released(
        "deeplabv3_mnv2_pascal_quant.tflite",
        1.0,
        2_193_224,
        "350af47fd346ea6d74b58833a351f583ba860e9806ec5bd292ff8d8f1f249398",
    ),
    "deeplabv3-mobilenetv2-half-voc": Released(
        "deeplabv3_mnv2_dm05_pascal_quant.tflite",
        0.5,
        760_904,
        "0470d2a782aa54eeeb99d32e7b6b3fb7722905c7c4f5d26bd957ec861366d48b",
    ),
}


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


def released_network(name: str, output_stride: int = 16, folder: str | Path | None = None):
    """The authors' network `name`, a key of RELEASED, in eval mode on the CPU: a `DeepLabV3`.

    output_stride: 16, at which it was trained, or 8 or 32, with the same weights. folder: where
    files are kept, as for `dlseg.fetch.kept_at`.
    Raises ValueError for another name or output stride, or a file that is not the network's;
    OSError where it cannot be had; ModuleNotFoundError without the package tflite.
    """
    check_choice("name", name, tuple(RELEASED))
    row = RELEASED[name]
    backbone = AuthorsMobileNetV2(output_stride, width=row.width, divisor=8 if row.width == 1 else 1)
    model = DeepLabV3(backbone, 21, atrous_rates=(), align_corners=True).eval()
    fill(model, read_convolutions(fetch_released(name, folder)))
    return model


def fetch_released(name: str, folder: str | Path | None = None) -> Path:
    """The file of RELEASED[name], fetched if it is not there, its full hash checked."""
    row = RELEASED[name]
    target = kept_at(folder) / row.file
    return fetch_file(row.url, target, Checksum("sha256", row.sha256), f"the weights {name}")


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
