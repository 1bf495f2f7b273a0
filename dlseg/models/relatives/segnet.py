"""SegNet: the way up puts each value where the way down had found it.

Source: Badrinarayanan et al. 2017, "SegNet: a deep convolutional encoder-decoder architecture for
image segmentation".
"""

import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.backbones import VGG16, VGG_STAGES, make_backbone
from dlseg.checks import check_classes
from dlseg.doors import check_image


class SegNet(nn.Module):
    """SegNet: images (B, 3, H, W), at least 32 x 32, to logits (B, num_classes, H, W).

    The 13 convolutions of VGG-16 down, 13 up. Each pool keeps the place of its maxima (`indices`),
    and the way up puts the values there, zeros elsewhere; convolutions fill the gaps. So what
    passes from one side to the other is a place for each value, and no map.
    backbone, the way down, width, weights: as in `SkipFCN`; the paper's is "vgg16_bn". The way up
    has a BN behind each convolution but the last where the way down has.

    Attributes: backbone (the way down), num_classes, output_stride (1).
    Raises: ValueError where an argument is out of range, or an image is too small.
    """

    def __init__(
        self,
        backbone: str | VGG16,
        num_classes: int = 21,
        *,
        width: float = 1.0,
        weights: str | None = None,
    ):
        super().__init__()
        self.num_classes = num_classes = check_classes("num_classes", num_classes, 1)
        self.output_stride = 1
        given = (backbone, None, width, weights, None)
        self.backbone = make_backbone(*given, VGG16, stride=32, only=True)
        self.stages = _way_up(self.backbone, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.scores(x)  # (B, num_classes, H, W)

    def scores(self, x: Tensor) -> Tensor:
        """The logits, (B, num_classes, H, W): nothing is left to upsample."""
        x, kept = self._way_down(x)  # (B, 512, H/32, W/32)
        for stage, (indices, size) in zip(self.stages, reversed(kept), strict=True):
            x = F.max_unpool2d(x, indices, 2, output_size=size)  # (B, 512, H/16, W/16), ...
            x = stage(x)
        return x

    def _way_down(self, x: Tensor) -> tuple[Tensor, list]:
        """The map of pool5, and for each pool its indices and the size of the map before it."""
        check_image(x, self)
        if min(x.shape[2:]) < 32:
            raise ValueError(f"expected an image of at least 32x32 pixels, got {tuple(x.shape)}")
        kept = []
        for layer in self.backbone.features:
            if isinstance(layer, nn.MaxPool2d):
                size = x.shape[2:]
                x, indices = F.max_pool2d(x, 2, return_indices=True)
                kept.append((indices, size))
            else:
                x = layer(x)
        return x, kept


def _way_up(backbone: VGG16, num_classes: int) -> nn.ModuleList:
    """The convolutions of VGG-16 in reverse, a stage for each pool; the last makes the classes."""
    widths, stages = backbone.stage_channels, nn.ModuleList()
    batch_norm = any(isinstance(layer, nn.BatchNorm2d) for layer in backbone.features)
    for number in reversed(range(len(VGG_STAGES))):
        count, channels = VGG_STAGES[number][1], widths[number]
        ends = [channels] * (count - 1) + [widths[number - 1] if number else num_classes]
        layers = nn.Sequential()
        for end in ends:
            layers.append(nn.Conv2d(channels, end, 3, padding=1))
            nn.init.kaiming_normal_(layers[-1].weight, nonlinearity="relu")
            nn.init.zeros_(layers[-1].bias)
            layers.extend([nn.BatchNorm2d(end)] if batch_norm else [])
            layers.append(nn.ReLU())
        stages.append(layers)
    last = stages[-1]
    stages[-1] = last[: -2 if batch_norm else -1]  # logits need neither
    return stages
