"""ParseNet: the mean of the whole map beside every place of it, both normalised.

Source: Liu et al. 2015, "ParseNet: looking wider to see better".
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.backbones import make_backbone
from dlseg.checks import check_classes, check_integer

SCALE = 10.0


class L2Norm(nn.Module):
    """Maps (B, C, H, W) with every place's vector of C channels at length 1, times learned scales.

    scale: what all channels' scales start from. The direction of a vector stays, its length goes:
    maps from different depths, whose lengths differ, can then be joined.
    Raises: ValueError unless channels is an integer >= 1.
    """

    def __init__(self, channels: int, scale: float = SCALE):
        super().__init__()
        self.scale = nn.Parameter(torch.full((check_integer("channels", channels, 1),), scale))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale[:, None, None] * F.normalize(x, dim=1)  # (B, C, H, W)


class ParseNet(nn.Module):
    """ParseNet: images (B, 3, H, W) to logits (B, num_classes, H, W).

    backbone, output_stride, width, weights: as in `FCN`.
    normalise: False joins both maps as they are. scale: see `L2Norm`; its start is our choice.
    Attributes: backbone, num_classes, output_stride.
    Raises: ValueError where an argument is out of range.
    """

    def __init__(
        self,
        backbone: str | nn.Module,
        num_classes: int = 21,
        *,
        output_stride: int | None = None,
        width: float = 1.0,
        weights: str | None = None,
        normalise: bool = True,
        scale: float = SCALE,
    ):
        super().__init__()
        self.num_classes = num_classes = check_classes("num_classes", num_classes, 1)
        self.backbone = make_backbone(backbone, output_stride, width, weights)
        self.output_stride, channels = self.backbone.output_stride, self.backbone.channels
        self.local_norm = L2Norm(channels, scale) if normalise else nn.Identity()
        self.global_norm = L2Norm(channels, scale) if normalise else nn.Identity()
        self.classifier = nn.Conv2d(2 * channels, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.scores(x)  # (B, num_classes, H/os, W/os), then (B, num_classes, H, W)
        return F.interpolate(scores, x.shape[2:], mode="bilinear")

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the upsampling, (B, num_classes, H/os, W/os)."""
        x = self.backbone(x).last  # (B, C, H/os, W/os)
        context = self.global_norm(x.mean((2, 3), keepdim=True))  # (B, C, 1, 1)
        joined = torch.cat([self.local_norm(x), context.expand_as(x)], dim=1)  # unpooled, joined
        return self.classifier(joined)
