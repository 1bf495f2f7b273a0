"""RefineNet: a cascade of blocks, each of which refines a coarse map by the next finer one.

Source: Lin et al. 2017, "RefineNet: multi-path refinement networks for high-resolution semantic
segmentation", section 3.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.backbones import ResNet, make_backbone
from dlseg.checks import check_classes, check_integer
from dlseg.layers import upsample
from dlseg.models.tap import tapped


def conv3x3(in_channels: int, channels: int) -> nn.Conv2d:
    """3x3 convolution with bias that keeps the size; RefineNet has no batch norm."""
    return nn.Conv2d(in_channels, channels, 3, padding=1)


class ResidualConvUnit(nn.Module):
    """The map and a correction by two 3x3 convolutions; (B, C, H, W) to the same.

    Source: RefineNet, section 3.2 and figure 3.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv1, self.conv2 = conv3x3(channels, channels), conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class MultiResolutionFusion(nn.Module):
    """Maps of several sizes, each convolved and enlarged to the largest, added up.

    in_channels: of each map. Returns: (B, channels, H, W) of the first map's size.
    Source: RefineNet, section 3.2 and figure 3.
    """

    def __init__(self, in_channels: Sequence[int], channels: int):
        super().__init__()
        self.convs = nn.ModuleList(conv3x3(given, channels) for given in in_channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        size = maps[0].shape[2:]  # the finest comes first
        return sum(upsample(conv(x), size) for conv, x in zip(self.convs, maps, strict=True))


class ChainedResidualPooling(nn.Module):
    """The map plus its pools, each made from the one before; (B, C, H, W) to the same.

    A chain of 5x5 max pools of stride 1 sees 5, 9, ... units, as a pyramid does, and uses each pool
    twice: as a result and as the start of the next. A learned 3x3 convolution weighs each.
    pools: their number; the paper's figure shows 2.
    Source: RefineNet, section 3.2 and figure 3.
    """

    def __init__(self, channels: int, pools: int = 2):
        super().__init__()
        count = check_integer("pools", pools, 1)
        self.convs = nn.ModuleList(conv3x3(channels, channels) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        y = link = F.relu(x)
        for conv in self.convs:
            link = conv(F.max_pool2d(link, 5, 1, 2))
            y = y + link
        return y


class RefineBlock(nn.Module):
    """One or two maps, finest first, refined and fused: (B, channels, H, W) of the finest's size.

    Source: RefineNet, section 3.2 and figure 3.
    """

    def __init__(self, in_channels: Sequence[int], channels: int):
        super().__init__()
        self.adapt = nn.ModuleList(
            nn.Sequential(ResidualConvUnit(given), ResidualConvUnit(given)) for given in in_channels
        )
        self.fusion = MultiResolutionFusion(in_channels, channels)
        self.pooling = ChainedResidualPooling(channels)
        self.output = ResidualConvUnit(channels)

    def forward(self, *maps: Tensor) -> Tensor:
        refined = [adapt(x) for adapt, x in zip(self.adapt, maps, strict=True)]
        return self.output(self.pooling(self.fusion(refined)))


class RefineNet(nn.Module):
    """RefineNet on a ResNet: images (B, 3, H, W) to logits (B, num_classes, H, W).

    backbone: a ResNet or its name, in the paper of output stride 32: no rates, since the blocks
    bring back the resolution. Its maps at strides 4, 8, 16 and 32 meet, the deepest first.
    output_stride, 32 if None, width, weights: of a backbone given by name.
    channels: of the blocks; the deepest block has twice as many.
    Attributes: backbone, num_classes, output_stride (4).
    Raises: ValueError where an argument is out of range.
    """

    def __init__(
        self,
        backbone: str | ResNet,
        num_classes: int = 21,
        *,
        output_stride: int | None = None,
        width: float = 1.0,
        weights: str | None = None,
        channels: int = 256,
    ):
        super().__init__()
        given = (backbone, output_stride, width, weights, None)
        self.backbone = backbone = make_backbone(*given, ResNet, stride=32)
        self.num_classes = num_classes = check_classes("num_classes", num_classes, 1)
        self.output_stride = 4
        deep = 2 * check_integer("channels", channels, 1)
        later = (backbone.layer2, backbone.layer3, backbone.layer4)  # read strides 4, 8 and 16
        given = [*(stage[0].conv1.in_channels for stage in later), backbone.channels]
        widths = [channels, channels, channels, deep]  # of the maps at strides 4, 8, 16, 32
        self.reduce = nn.ModuleList(conv3x3(*pair) for pair in zip(given, widths, strict=True))
        self.deepest = RefineBlock([deep], deep)
        below = [deep, channels, channels]
        self.blocks = nn.ModuleList(RefineBlock([channels, coarse], channels) for coarse in below)
        self.last = nn.Sequential(ResidualConvUnit(channels), ResidualConvUnit(channels))
        self.classifier = conv3x3(channels, num_classes)
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        scores = self.scores(x)  # (B, num_classes, H/4, W/4), then (B, num_classes, H, W)
        return F.interpolate(scores, x.shape[2:], mode="bilinear")

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the upsampling, (B, num_classes, H/4, W/4)."""
        with tapped(self.backbone.layer2) as second, tapped(self.backbone.layer3) as third:
            first, fourth = self.backbone(x)
        maps = (first, second[0], third[0], fourth)
        *finer, y = [reduce(x) for reduce, x in zip(self.reduce, maps, strict=True)]
        y = self.deepest(y)  # (B, 512, H/32, W/32)
        for block, shallow in zip(self.blocks, reversed(finer), strict=True):
            y = block(shallow, y)  # (B, 256, H/16, W/16), H/8, H/4
        return self.classifier(self.last(y))

    def _initialise(self) -> None:
        for part in (self.reduce, self.deepest, self.blocks, self.last, self.classifier):
            for conv in part.modules():
                if isinstance(conv, nn.Conv2d):
                    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                    nn.init.zeros_(conv.bias)
        nn.init.normal_(self.classifier.weight, std=0.01)
