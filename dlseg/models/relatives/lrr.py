"""LRR: a coarse answer, and finer corrections only where it is unsure.

Source: Ghiasi and Fowlkes 2016, "Laplacian pyramid reconstruction and refinement for semantic
segmentation".
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.backbones import VGG16, make_backbone
from dlseg.checks import check_classes, check_integer
from dlseg.doors import check_image, check_maps
from dlseg.layers import upsample
from dlseg.models.relatives.vgg_maps import enlarged, pad_to_multiple, pooled_maps


def laplacian_pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """A map (B, C, H, W) taken apart, coarsest part first, each twice as large as the one before.

    Each part but the first is what the next coarser map, upsampled, lacks. Halving is a mean over
    2 x 2 pixels. levels: parts. Raises: ValueError for sides that cannot be halved so often, and
    for other than floats.
    Source: Burt and Adelson 1983, with this simpler filter.
    """
    check_maps("x", x)
    factor = 2 ** (check_integer("levels", levels, 1) - 1)
    if x.shape[2] % factor or x.shape[3] % factor:
        raise ValueError(f"{levels} levels need sides of {factor} k pixels, got {x.shape[2:]}")
    parts = []
    for _ in range(levels - 1):
        coarse = F.avg_pool2d(x, 2)
        parts.append(x - upsample(coarse, x.shape[2:]))
        x = coarse
    return [x, *reversed(parts)]


def reconstruct(parts: Sequence[Tensor], window: int | None = None) -> list[Tensor]:
    """The map that `laplacian_pyramid` took apart, at all its sizes, coarsest first.

    window: None adds each part as it is. A number is LRR's gate: logits are corrected only as far
    as their classes are disputed nearby, see `uncertainty`.
    """
    maps = [parts[0]]
    for part in parts[1:]:
        coarse = upsample(maps[-1], part.shape[2:])
        gate = 1 if window is None else uncertainty(coarse, window)
        maps.append(coarse + gate * part)
    return maps


def uncertainty(logits: Tensor, window: int = 5) -> Tensor:
    """How much each class's probability varies nearby: largest minus smallest, (B, C, H, W).

    logits: (B, C, H, W). window: odd side of the square that is looked at, in units.
    0 where a class is everywhere sure, be it yes or no; 1 at a sharp boundary of the class.
    Source: LRR, the boundary masks of its released network: dilated p plus dilated -p.
    """
    check_maps("logits", logits)
    if check_integer("window", window, 1) % 2 == 0:
        raise ValueError(f"window must be odd, got {window}")
    p = logits.softmax(1)
    return F.max_pool2d(p, window, 1, window // 2) + F.max_pool2d(-p, window, 1, window // 2)


class LRR(nn.Module):
    """LRR on VGG-16: images (B, 3, H, W) to logits (B, num_classes, H, W).

    Scores of pool5 (stride 32), corrected by those of pool4 (16) and pool3 (8). A correction is
    multiplied by the `uncertainty` of the scores so far.
    backbone, width, weights: as in `SkipFCN`. window: of the gate; None leaves the gate away.
    Left out of the paper's network: fc6 and fc7, the bases that make each score a patch of 4 x 4,
    and the level of pool2.

    Training sums the losses of all maps of `scores`.
    Attributes: backbone, num_classes, output_stride (8).
    Raises: ValueError where an argument is out of range.
    """

    def __init__(
        self,
        backbone: str | VGG16,
        num_classes: int = 21,
        *,
        width: float = 1.0,
        weights: str | None = None,
        window: int | None = 5,
    ):
        super().__init__()
        self.num_classes = num_classes = check_classes("num_classes", num_classes, 1)
        self.window, self.output_stride = window, 8
        given = (backbone, None, width, weights, None)
        self.backbone = make_backbone(*given, VGG16, stride=32, only=True)
        pools = self.backbone.stage_channels[:1:-1]  # of pool5, pool4 and pool3
        self.predictions = nn.ModuleList(nn.Conv2d(c, num_classes, 3, padding=1) for c in pools)
        for conv in self.predictions:
            nn.init.normal_(conv.weight, std=0.01)
            nn.init.zeros_(conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        return enlarged(self.scores(x)[-1], 8, x.shape[2:])  # (B, num_classes, H, W)

    def scores(self, x: Tensor) -> tuple[Tensor, ...]:
        """The logits at strides 32, 16 and 8: (B, num_classes, H/32, W/32), and so on.

        H and W are those of the image, rounded up to multiples of 32.
        """
        check_image(x, self)
        *_, pool3, pool4, pool5 = pooled_maps(self.backbone, pad_to_multiple(x, 32))
        pairs = zip(self.predictions, (pool5, pool4, pool3), strict=True)
        return tuple(reconstruct([predict(y) for predict, y in pairs], self.window))
