"""What the relatives on VGG-16 share: the maps behind its pools, and sizes that fit them."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.backbones import VGG16


def pooled_maps(backbone: VGG16, x: Tensor) -> list[Tensor]:
    """The maps behind pool1 to pool5 of an image (B, 3, H, W), (B, C, H/2, W/2) and so on."""
    maps = []
    for layer in backbone.features:
        x = layer(x)
        if isinstance(layer, nn.MaxPool2d):
            maps.append(x)
    return maps


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """The maps x (B, C, H, W) with zeros below and to the right, up to a multiple of pixels.

    No pool then loses a row, and unit i of stride s is the middle of pixels s i to s i + s - 1.
    """
    height, width = x.shape[2:]
    return F.pad(x, (0, -width % multiple, 0, -height % multiple))


def enlarged(scores: Tensor, stride: int, size: Sequence[int]) -> Tensor:
    """Scores (B, C, h, w) upsampled by `stride`, and what `pad_to_multiple` added cut off.

    size: (H, W) of the image. Returns: (B, C, H, W).
    """
    whole = F.interpolate(scores, scale_factor=stride, mode="bilinear")
    return whole[:, :, : size[0], : size[1]]
