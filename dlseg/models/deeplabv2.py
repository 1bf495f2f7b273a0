"""DeepLab v2: several rates side by side (ASPP), their scores added; and several image scales.

Source: Chen et al. 2018, "DeepLab: semantic image segmentation with deep convolutional nets,
atrous convolution, and fully connected CRFs", sections 3.1, 3.2 and 4.1. The CRF works on the
upsampled scores, after training, and is no part of the network.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlseg.backbones import VGG16, ResNet, check_image
from dlseg.backbones.width import round_channels
from dlseg.checks import check_integer
from dlseg.layers.aspp import SumASPP
from dlseg.layers.upsample import upsample

LARGE_FOV = (12,)  # one rate: the baseline of table 3
ASPP_S = (2, 4, 8, 12)
ASPP_L = (6, 12, 18, 24)

VGGS = ("vgg16", "vgg16_bn")
RESNETS = {"resnet18": 18, "resnet34": 34, "resnet50": 50, "resnet101": 101}


class DeepLabV2(nn.Module):
    """DeepLab v2 at output stride 8: images (B, 3, H, W) to logits (B, num_classes, H, W).

    backbone: "resnet101", whose branches are one 3x3 convolution from 2048 channels to the
    classes, or "vgg16", whose branches are fc6, fc7 and fc8 with 1024 channels, behind the padded
    3x3 pools of the released networks. Not in the paper: "vgg16_bn", with batch norm, for those
    who have no ImageNet weights, and the smaller "resnet18", "resnet34" and "resnet50".
    ResNets are the original ones, in Caffe: the stride on the first 1x1 (there is none in 18 and
    34), and a pool that rounds sizes up.
    atrous_rates: one branch each; the paper's are ASPP_L, ASPP_S and LARGE_FOV.
    width: factor on all channels of the backbone and of fc6 and fc7, rounded to multiples of 8.

    The paper starts from ImageNet's or COCO's weights and keeps batch norm frozen, which is a
    matter of training: `Recipe(freeze_batch_norm=True)`. To make it see several scales of the
    image at once, wrap it into `MultiScale`.
    Attributes: backbone, num_classes, output_stride (8).
    Raises: ValueError where an argument is out of range.
    Source: DeepLab v2, sections 3.1 and 4.1.2, tables 3 and 4.
    """

    def __init__(
        self,
        backbone: str = "resnet101",
        num_classes: int = 21,
        atrous_rates: Sequence[int] = ASPP_L,
        width: float = 1.0,
    ):
        super().__init__()
        self.num_classes = check_integer("num_classes", num_classes, 1)
        self.backbone, self.output_stride = _backbone(backbone, width), 8
        hidden = round_channels(1024 * width) if backbone in VGGS else None
        self.aspp = SumASPP(self.backbone.channels, num_classes, atrous_rates, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return upsample(self.scores(x), x.shape[2:])  # (B, num_classes, H, W)

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the upsampling, (B, num_classes, H/8, W/8), sizes rounded up.

        513 pixels make 65 units. On ResNets 512 do as well, for the pool that rounds up.
        """
        return self.aspp(self.backbone(x).last)


class MultiScale(nn.Module):
    """A model that looks at the image at several scales and believes the surest, place by place.

    model: a network of this floor whose `scores` is one map; its weights serve every scale.
    scales: factors on the image's sides, 1 among them.
    Training sums the losses of all maps of `scores`, each against labels of its size.
    Attributes: backbone, num_classes, output_stride, all the model's.
    Raises: ValueError where a scale is not above 0, or none is 1.
    Source: DeepLab v2, sections 3.2 and 4.1.2 ("multi-scale inputs" with max).
    """

    def __init__(self, model: nn.Module, scales: Sequence[float] = (0.5, 0.75, 1.0)):
        super().__init__()
        if min(scales, default=0) <= 0 or 1 not in scales:
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
        return upsample(self.scores(x)[-1], x.shape[2:])  # (B, num_classes, H, W)

    def scores(self, x: Tensor) -> tuple[Tensor, ...]:
        """The scores of each scale at its own size, and last their maximum at that of scale 1.

        Each is (B, num_classes, s H/8, s W/8), with s its scale and 8 the output stride.
        """
        check_image(x)
        maps = [self.model.scores(resized(x, scale)) for scale in self.scales]
        size = maps[self.scales.index(1)].shape[2:]  # (H/8, W/8)
        same = [scores if scores.shape[2:] == size else upsample(scores, size) for scores in maps]
        return *maps, torch.stack(same).amax(0)


def resized(x: Tensor, scale: float) -> Tensor:
    """Images (B, C, H, W) with sides times `scale`, rounded, at least 1 pixel; x itself at 1."""
    return x if scale == 1 else upsample(x, [max(1, round(side * scale)) for side in x.shape[2:]])


def _backbone(name: str, width: float) -> nn.Module:
    if name in VGGS:
        return VGG16(8, pool_size=3, batch_norm=name == "vgg16_bn", width=width)
    if name not in RESNETS:
        raise ValueError(f"backbone must be one of {(*VGGS, *RESNETS)}, got {name!r}")
    depth = RESNETS[name]
    stride_on = "1x1" if depth >= 50 else "3x3"
    return ResNet(depth, 8, stride_on=stride_on, width=width, pool_ceil=True)
