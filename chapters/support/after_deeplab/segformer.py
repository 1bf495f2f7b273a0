"""Without holes: SegFormer, a transformer of four strides with a head of 1x1 layers.

Its patches overlap, its attention sees the whole picture in every block, and its decoder looks
nowhere: it only joins the four maps. Maps inside are channels-last, (B, H, W, C).
Source: Xie et al. 2021, "SegFormer: simple and efficient design for semantic segmentation with
transformers", section 3.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.layers import upsample


class Stage(NamedTuple):
    """channels, heads, blocks; reduction: of the side of the map that is asked; patch, stride."""

    channels: int
    heads: int
    blocks: int
    reduction: int
    patch: int = 3
    stride: int = 2


B0 = (Stage(32, 1, 2, 8, 7, 4), Stage(64, 2, 2, 4), Stage(160, 5, 2, 2), Stage(256, 8, 2, 1))


class Patches(nn.Sequential):
    """(B, C, H, W) to tokens (B, H/s, W/s, D); where the side is above the stride, they overlap."""

    def __init__(self, inputs: int, channels: int, side: int, stride: int, padding: int = 0):
        conv = nn.Conv2d(inputs, channels, side, stride, padding)
        super().__init__(conv, nn.LayerNorm(channels))

    def forward(self, x: Tensor) -> Tensor:
        return self[1](self[0](x).movedim(1, -1))


class EfficientAttention(nn.Module):
    """Self-attention of all tokens, asked of a smaller map: (B, H, W, C) to (B, H, W, C).

    Keys and values come from a map `reduction` times narrower, which divides the pairs by its
    square. Source: section 3.1.
    """

    def __init__(self, channels: int, heads: int, reduction: int):
        super().__init__()
        self.heads, self.query = heads, nn.Linear(channels, channels)
        self.key, self.value = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.out, self.reduce = nn.Linear(channels, channels), None
        if reduction > 1:
            self.reduce = Patches(channels, channels, reduction, reduction)  # side by side

    def forward(self, x: Tensor) -> Tensor:
        asked = x if self.reduce is None else self.reduce(x.movedim(-1, 1))  # (B, H/r, W/r, C)
        query, key, value = (
            part.flatten(1, 2).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, N, d)
            for part in (self.query(x), self.key(asked), self.value(asked))
        )
        y = F.scaled_dot_product_attention(query, key, value)
        return self.out(y.transpose(1, 2).flatten(2).view_as(x))


class MixFFN(nn.Module):
    """Two linear layers with a 3x3 depthwise convolution between: it tells where a token is."""

    def __init__(self, channels: int, expansion: int = 4):
        super().__init__()
        wide = expansion * channels
        self.widen, self.narrow = nn.Linear(channels, wide), nn.Linear(wide, channels)
        self.conv = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(self.widen(x).movedim(-1, 1)).movedim(1, -1)
        return self.narrow(F.gelu(y))


class Block(nn.Module):
    """Attention and MixFFN, each beside a shortcut."""

    def __init__(self, channels: int, heads: int, reduction: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = EfficientAttention(channels, heads, reduction)
        self.ffn = MixFFN(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class Encoder(nn.Module):
    """Images (B, 3, H, W) to a list of maps (B, C, H/s, W/s), s = 4, 8, 16, 32."""

    def __init__(self, stages: Sequence[Stage] = B0):
        super().__init__()
        inputs = [3, *(stage.channels for stage in stages)]
        self.patches = nn.ModuleList(
            Patches(width, s.channels, s.patch, s.stride, s.patch // 2)
            for width, s in zip(inputs, stages, strict=False)
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(*(Block(s.channels, s.heads, s.reduction) for _ in range(s.blocks)))
            for s in stages
        )
        self.norms = nn.ModuleList(nn.LayerNorm(stage.channels) for stage in stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for patches, blocks, norm in zip(self.patches, self.blocks, self.norms, strict=True):
            x = norm(blocks(patches(x))).movedim(-1, 1)
            maps.append(x)
        return maps


class MLPDecoder(nn.Module):
    """Maps of several strides to logits (B, num_classes, H/4, W/4), by 1x1 layers alone.

    inputs: channels of the maps, largest map first. channels: to which each is brought.
    Source: section 3.2, equation 4.
    """

    def __init__(self, inputs: Sequence[int], num_classes: int, channels: int = 256):
        super().__init__()
        self.align = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in inputs)
        fuse = nn.Conv2d(channels * len(inputs), channels, 1, bias=False)
        self.fuse = nn.Sequential(fuse, nn.BatchNorm2d(channels), nn.ReLU())
        self.classifier = nn.Conv2d(channels, num_classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        size = maps[0].shape[2:]
        aligned = [upsample(align(x), size) for align, x in zip(self.align, maps, strict=True)]
        return self.classifier(self.fuse(torch.cat(aligned[::-1], 1)))


class SegFormer(nn.Module):
    """Images (B, 3, H, W) to logits (B, num_classes, H, W)."""

    def __init__(self, num_classes: int, stages: Sequence[Stage] = B0, channels: int = 256):
        super().__init__()
        self.num_classes, self.backbone = num_classes, Encoder(stages)
        self.decoder = MLPDecoder([one.channels for one in stages], num_classes, channels)

    def forward(self, x: Tensor) -> Tensor:
        return upsample(self.scores(x), x.shape[2:])

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the last upsampling, (B, num_classes, H/4, W/4)."""
        return self.decoder(self.backbone(x))
