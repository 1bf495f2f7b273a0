"""DeepLab v3's cascade: rates one after the other, in copies of the last block of a ResNet.

Source: Chen et al. 2017, "Rethinking atrous convolution for semantic image segmentation".
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.arithmetic import StagePlan
from dlseg.backbones import ResNet, make_backbone, multi_grid_plans, stage
from dlseg.checks import check_choice, check_classes, check_integer
from dlseg.models.deeplabv3 import initialise_head


class DeepLabV3Cascade(nn.Module):
    """DeepLab v3 going deeper: blocks 5 to 7, copies of block4 of a ResNet, one after the other.

    backbone: a ResNet or its name. output_stride (os), width, weights: of one given by name; os is
    8 to 256 then, that of the whole network, and the ResNet's is 32 at most. Each block from block5
    on has stride 2 while the map is larger than that; then, in the place of its stride, twice the
    rate. At 16, block4 to block7 have rates 2, 4, 8 and 16; at 256 no layer has a rate.
    blocks: the last block, 4 to 7.
    multi_grid: unit rates of the units within each of the blocks 4 to 7 (5 to 7 where the backbone
    is a module): their rates are these times the block's.
    The weights do not depend on output_stride or multi_grid.
    Attributes: backbone (block1 to block4), num_classes, output_stride.
    Raises ValueError where an argument is out of range, and for an output_stride above 32 that the
    blocks do not reach.
    Source: DeepLab v3, sections 3.2 and 4.2 and figure 3, tables 1 to 4.
    """

    def __init__(
        self,
        backbone: str | ResNet,
        num_classes: int = 21,
        *,
        output_stride: int | None = None,
        width: float = 1.0,
        weights: str | None = None,
        blocks: int = 7,
        multi_grid: Sequence[int] = (1, 1, 1),
    ):
        super().__init__()
        self.num_classes = num_classes = check_classes("num_classes", num_classes, 1)
        if output_stride is not None:
            output_stride = check_integer("output_stride", output_stride, 1)
        stride = output_stride and min(output_stride, 32)
        grid = {kind: {"multi_grid": multi_grid} for kind in ("basic", "bottleneck")}
        self.backbone = make_backbone(backbone, stride, width, weights, grid, ResNet)
        self.output_stride = output_stride or self.backbone.output_stride
        block4, channels = self.backbone.layer4, self.backbone.channels
        unit = type(block4[0])
        self.blocks = nn.Sequential(OrderedDict())
        for number, plan in enumerate(cascade_plans(blocks, self.output_stride), start=5):
            units = [plan, *[StagePlan(1, plan.rate, plan.rate)] * (len(block4) - 1)]
            units = multi_grid_plans(units, multi_grid)
            block = stage(unit, channels, channels // unit.expansion, units)
            self.blocks.add_module(f"block{number}", block)
        self.classifier = nn.Conv2d(channels, num_classes, 1)
        initialise_head(self.blocks, self.classifier)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.scores(x)  # (B, num_classes, H/os, W/os), then (B, num_classes, H, W)
        return F.interpolate(scores, x.shape[2:], mode="bilinear")

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the upsampling, (B, num_classes, H/os, W/os), sizes rounded up."""
        x = self.backbone(x).last  # block4: (B, 2048, H/os, W/os), not below H/32
        return self.classifier(self.blocks(x))


def cascade_plans(blocks: int, output_stride: int) -> list[StagePlan]:
    """Stride and rates of block5, block6, ... up to block number `blocks`, at `output_stride`.

    Raises ValueError unless blocks is 4 to 7, and output_stride 8, 16, 32 or what each block above
    4 doubles further: 64 for 5, 128 for 6, 256 for 7.
    Source: DeepLab v3, section 3.2 and figure 3.
    """
    blocks = check_integer("blocks", blocks, 4, 7)
    output_stride = check_integer("output_stride", output_stride, 1)
    check_choice("output_stride", output_stride, [8 * 2**power for power in range(blocks - 1)])
    jump = min(output_stride, 32)  # of block4
    rate, plans = 32 // jump, []
    for _ in range(blocks - 4):
        if jump < output_stride:
            jump *= 2
            plans.append(StagePlan(2, 1, 1))
        else:
            before, rate = rate, 2 * rate
            plans.append(StagePlan(1, before, rate))
    return plans
