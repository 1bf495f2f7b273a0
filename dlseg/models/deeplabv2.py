"""DeepLab v2: several rates side by side (ASPP), their scores added; and several image scales.

Source: Chen et al. 2018, "DeepLab: semantic image segmentation with deep convolutional nets,
atrous convolution, and fully connected CRFs", sections 3.1, 3.2 and 4.1. The CRF works on the
upsampled scores, after training, and is no part of the network.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.arithmetic import round_channels
from dlseg.backbones import VGG16, make_backbone
from dlseg.checks import check_classes, check_integer, check_scales
from dlseg.doors import check_image

LARGE_FOV = (12,)  # one rate: the baseline of table 3
ASPP_S = (2, 4, 8, 12)
ASPP_L = (6, 12, 18, 24)

# The networks were made with Caffe: its original ResNets, and pools that round sizes up.
CAFFE = {
    "vgg": {"pool_size": 3},
    "basic": {"style": "caffe"},
    "bottleneck": {"style": "caffe"},
}


class DeepLabV2(nn.Module):
    """DeepLab v2 at output stride 8: images (B, 3, H, W) to logits (B, num_classes, H, W).

    backbone: a name, or a module of output stride 8. The paper's are "resnet101", whose branches
    are one 3x3 convolution from 2048 channels to the classes, and "vgg16", whose branches are fc6,
    fc7 and fc8 with 1024 channels, behind the padded 3x3 pools of the released networks. ResNets
    given by name are the original ones, see style="caffe" of `ResNet`.
    output_stride: 8 alone. width: factor on all channels of the backbone and of fc6 and fc7,
    rounded to multiples of 8. weights: of the backbone. All three of one given by name.
    atrous_rates: one branch each; the paper's are ASPP_L, ASPP_S and LARGE_FOV.

    The paper starts from ImageNet's or COCO's weights and keeps batch norm frozen, which is a
    matter of training: `Recipe(freeze_batch_norm=True)`. To make it see several scales of the
    image at once, wrap it into `MultiScale`.
    Attributes: backbone, num_classes, output_stride (8).
    Raises: ValueError where an argument is out of range.
    Source: DeepLab v2, sections 3.1 and 4.1.2, tables 3 and 4.
    """

    def __init__(
        self,
        backbone: str | nn.Module,
        num_classes: int = 21,
        *,
        output_stride: int | None = None,
        width: float = 1.0,
        weights: str | None = None,
        atrous_rates: Sequence[int] = ASPP_L,
    ):
        super().__init__()
        check_integer("number of atrous_rates", len(atrous_rates), 1)
        self.num_classes = num_classes = check_classes("num_classes", num_classes, 1)
        given = (backbone, output_stride, width, weights, CAFFE)
        self.backbone = make_backbone(*given, stride=8, only=True)
        self.output_stride = 8
        hidden = round_channels(1024 * width) if isinstance(self.backbone, VGG16) else None
        self.aspp = SumASPP(self.backbone.channels, num_classes, atrous_rates, hidden)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.scores(x)  # (B, num_classes, H/8, W/8), then (B, num_classes, H, W)
        return F.interpolate(scores, x.shape[2:], mode="bilinear")

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the upsampling, (B, num_classes, H/8, W/8), sizes rounded up.

        513 pixels make 65 units. On ResNets 512 do as well, for the pool that rounds up.
        """
        return self.aspp(self.backbone(x).last)


class SumASPP(nn.Module):
    """ASPP of DeepLab v2: one branch of scores for each rate, added up.

    x: (B, in_channels, H, W). Returns: scores (B, num_classes, H, W).
    hidden: None makes a branch of one 3x3 convolution to the classes, as on ResNet-101. A number
    makes it fc6 (3x3), fc7 (1x1) and fc8 (1x1) with that many channels in between, a ReLU and
    dropout of 0.5 behind each of the first two, as on VGG-16. No batch norm, no image pooling.
    Raises: ValueError where a number is no integer >= 1.
    Source: DeepLab v2, sections 3.1 and 4.1.2 and figure 7.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        atrous_rates: Sequence[int],
        hidden: int | None = None,
    ):
        super().__init__()
        self.branches = nn.ModuleList(
            _branch(in_channels, num_classes, rate, hidden) for rate in atrous_rates
        )

    def forward(self, x: Tensor) -> Tensor:
        return sum(branch(x) for branch in self.branches)  # (B, num_classes, H, W)


def _branch(in_channels: int, num_classes: int, rate: int, hidden: int | None) -> nn.Sequential:
    """Scores from what lies `rate` units around; the last layer starts from N(0, 0.01)."""
    rate = check_integer("rate of atrous_rates", rate, 1)
    if hidden is None:
        last = nn.Conv2d(in_channels, num_classes, 3, padding=rate, dilation=rate)
        layers = [last]
    else:
        hidden = check_integer("hidden", hidden, 1)
        fc6 = nn.Conv2d(in_channels, hidden, 3, padding=rate, dilation=rate)
        fc7, last = nn.Conv2d(hidden, hidden, 1), nn.Conv2d(hidden, num_classes, 1)
        layers = [fc6, nn.ReLU(), nn.Dropout(0.5), fc7, nn.ReLU(), nn.Dropout(0.5), last]
        for conv in (fc6, fc7):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers)


class MultiScale(nn.Module):
    """A model that looks at the image at several scales and believes the surest, place by place.

    model: a network of this package whose `scores` is one map; its weights serve every scale.
    scales: factors on the image's sides, 1 among them.
    Training sums the losses of all maps of `scores`, each against labels of its size.
    Attributes: backbone, num_classes, output_stride, all the model's.
    Raises: ValueError where a scale is not above 0, or none is 1.
    Source: DeepLab v2, sections 3.2 and 4.1.2 ("multi-scale inputs" with max).
    """

    def __init__(self, model: nn.Module, scales: Sequence[float] = (0.5, 0.75, 1.0)):
        super().__init__()
        check_scales(scales)
        if 1 not in scales:
            raise ValueError(
                "scales must be factors above 0 with 1 among them, such as (0.5, 0.75, 1.0), "
                f"got {tuple(scales)}"
            )
        self.model, self.scales = model, tuple(scales)

    @property
    def backbone(self) -> nn.Module:
        return self.model.backbone

    @property
    def num_classes(self) -> int:
        return self.model.num_classes

    @property
    def output_stride(self) -> int:
        return self.model.output_stride

    def forward(self, x: Tensor) -> Tensor:
        surest = self.scores(x)[-1]  # (B, num_classes, H/8, W/8), then (B, num_classes, H, W)
        return F.interpolate(surest, x.shape[2:], mode="bilinear")

    def scores(self, x: Tensor) -> tuple[Tensor, ...]:
        """The scores of each scale at its own size, and last their maximum at that of scale 1.

        Each is (B, num_classes, s H/8, s W/8), with s its scale and 8 the output stride.
        """
        check_image(x, self)
        maps = [self.model.scores(resized(x, scale)) for scale in self.scales]
        size = maps[self.scales.index(1)].shape[2:]  # (H/8, W/8)
        same = [F.interpolate(scores, size, mode="bilinear") for scores in maps]
        return *maps, torch.stack(same).amax(0)


def resized(x: Tensor, scale: float) -> Tensor:
    """Images (B, C, H, W) with sides times `scale`, rounded, at least 1 pixel; x itself at 1."""
    sides = [max(1, round(side * scale)) for side in x.shape[2:]]
    return x if scale == 1 else F.interpolate(x, sides, mode="bilinear")
