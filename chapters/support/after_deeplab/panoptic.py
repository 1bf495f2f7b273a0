"""Panoptic-DeepLab in the small: which class, and which thing, by two decoders.

One decoder labels the classes. The other one draws a hill over the middle of each thing and, at
each of its pixels, an arrow to that middle; a pixel belongs to the hill that its arrow hits.
Source: Cheng et al. 2020, "Panoptic-DeepLab", section 3.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.backbones import make_backbone
from dlseg.layers import upsample
from dlseg.models import ASPP, Decoder, initialise_head, scaled_rates


class Maps(NamedTuple):
    """semantic: (B, K, H, W) logits. centres: (B, 1, H, W), 1 on middles. offsets: (B, 2, H, W),
    pixels down and right from each place to the middle of its thing."""

    semantic: Tensor
    centres: Tensor
    offsets: Tensor


class Branch(nn.Module):
    """ASPP and the decoder of DeepLab v3+, to (B, channels, H/4, W/4)."""

    def __init__(self, backbone: nn.Module, rates: Sequence[int], channels: int):
        super().__init__()
        self.aspp = ASPP(backbone.channels, rates, channels)
        layers = ((3, channels), (3, channels))
        self.decoder = Decoder(channels, backbone.low_level_channels, channels // 2, layers)

    def forward(self, low_level: Tensor, last: Tensor) -> Tensor:
        return self.decoder(self.aspp(last), low_level)


class PanopticDeepLab(nn.Module):
    """Images (B, 3, H, W) to `Maps`: a backbone, and everything behind it twice.

    backbone, output_stride, width, atrous_rates: as for `DeepLabV3Plus`.
    """

    def __init__(
        self,
        backbone: str | nn.Module = "resnet18",
        num_classes: int = 3,
        *,
        output_stride: int = 8,
        width: float = 0.25,
        channels: int = 32,
        atrous_rates: Sequence[int] = (2, 4, 6),
    ):
        super().__init__()
        self.num_classes, self.backbone = num_classes, make_backbone(backbone, output_stride, width)
        rates = scaled_rates(atrous_rates, output_stride)
        self.what = Branch(self.backbone, rates, channels)
        self.which = Branch(self.backbone, rates, channels)
        self.semantic = nn.Conv2d(channels, num_classes, 1)
        self.centres, self.offsets = nn.Conv2d(channels, 1, 1), nn.Conv2d(channels, 2, 1)
        initialise_head(self.what, self.which, self.semantic, self.centres, self.offsets)

    def forward(self, x: Tensor) -> Maps:
        maps = self.backbone(x)
        what, which = self.what(*maps), self.which(*maps)  # (B, channels, H/4, W/4)
        made = self.semantic(what), self.centres(which), self.offsets(which)
        return Maps(*(upsample(part, x.shape[2:]) for part in made))


def targets(owner: Tensor, sigma: float = 4.0) -> tuple[Tensor, Tensor]:
    """What the second decoder is to learn of one picture: centres (1, H, W), offsets (2, H, W).

    owner: integers (H, W), the number of the thing at each pixel, 0 for none. sigma: of the hills,
    pixels (the paper's are 8, on larger pictures). Off the things the offsets are 0.
    """
    places = torch.stack(torch.meshgrid(*map(torch.arange, owner.shape), indexing="ij")).float()
    centres, offsets = torch.zeros(1, *owner.shape), torch.zeros(2, *owner.shape)
    for number in owner.unique():
        if number:
            inside = owner == number
            away = places[:, inside].mean(1)[:, None, None] - places  # (2, H, W)
            centres = torch.maximum(centres, (-away.square().sum(0) / (2 * sigma**2)).exp())
            offsets = torch.where(inside, away, offsets)
    return centres, offsets


def peaks(centres: Tensor, threshold: float = 0.1, window: int = 7, most: int = 200) -> Tensor:
    """The places (n, 2) of the hills of centres (1, H, W): row and column, the highest first.

    A peak is the largest value of its window x window pixels, and above the threshold.
    Source: section 3, instance representation: a max pooling keeps what it does not change.
    """
    largest = F.max_pool2d(centres, window, 1, window // 2)
    found = ((centres == largest) & (centres > threshold))[0].nonzero()  # (n, 2)
    order = centres[0, found[:, 0], found[:, 1]].argsort(descending=True, stable=True)
    return found[order[:most]]


def group(offsets: Tensor, middles: Tensor, thing: Tensor) -> Tensor:
    """The number, from 1, of the middle that each pixel of a thing points at best; else 0: (H, W).

    offsets: (2, H, W). middles: (n, 2), from `peaks`. thing: bool (H, W).
    """
    if len(middles) == 0:
        return torch.zeros_like(thing, dtype=torch.long)
    places = torch.stack(torch.meshgrid(*map(torch.arange, thing.shape), indexing="ij"))
    hit = (places + offsets).flatten(1).mT  # (N, 2), where the arrows end
    nearest = torch.cdist(hit, middles.to(hit)).argmin(1).view_as(thing)
    return torch.where(thing, nearest + 1, 0)


def panoptic(maps: Maps, things: Sequence[int], **how) -> tuple[Tensor, Tensor]:
    """Labels (H, W) and numbers of things (H, W) of one picture; the most frequent class of a
    thing's pixels becomes the class of all of them.

    maps: of a batch of one. things: the classes that are counted. how: see `peaks`.
    """
    labels = maps.semantic[0].argmax(0)  # (H, W)
    thing = torch.isin(labels, torch.tensor(things))
    numbers = group(maps.offsets[0], peaks(maps.centres[0], **how), thing)
    for number in numbers.unique():
        if number:
            labels[numbers == number] = labels[numbers == number].mode().values
    return labels, numbers
