"""DeepLab v3: several rates side by side, and the mean of the whole image beside them.

Source: Chen et al. 2017, "Rethinking atrous convolution for semantic image segmentation". There is
no CRF any more. Its other network, with the rates one after the other, is in `cascade`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.arithmetic import round_channels
from dlseg.backbones import make_backbone
from dlseg.checks import check_choice, check_classes, check_integer
from dlseg.doors import check_batch
from dlseg.layers import SeparableConv2d

# Unit rates of the last stage, where it has three units to multiply (section 3.2.1).
MULTI_GRID = {"bottleneck": {"multi_grid": (1, 2, 4)}}


class DeepLabV3(nn.Module):
    """DeepLab v3 with ASPP: images (B, 3, H, W) to logits (B, num_classes, H, W).

    backbone: a name or a module; its output stride (os) is the model's. By name, ResNet-50 and -101
    have the paper's multi-grid. The paper trains at 16 and evaluates the same weights at 8.
    output_stride, width, weights: of a backbone given by name; width of the head's channels too.
    channels: of each branch and of their projection, 256 times width if None.
    atrous_rates: of the 3x3 branches at output stride 16; doubled at 8, halved at 32. With none,
    on MobileNetV2, it is the small network of MobileNetV2's section 6.3.
    image_pooling: the branch that sees the whole image; see `ImagePooling` for a batch of one.
    convolution: of the 3x3 branches, "plain" or "separable".
    align_corners: of the last upsampling. False, as torchvision; the authors' code has True.

    Attributes: backbone, num_classes, output_stride.
    Raises ValueError where an argument is out of range.
    Source: DeepLab v3, sections 3.3 and 4.1, tables 5 and 6.
    """

    def __init__(
        self,
        backbone: str | nn.Module,
        num_classes: int = 21,
        *,
        output_stride: int | None = None,
        width: float = 1.0,
        weights: str | None = None,
        channels: int | None = None,
        atrous_rates: Sequence[int] = (6, 12, 18),
        image_pooling: bool = True,
        convolution: str = "plain",
        align_corners: bool = False,
    ):
        super().__init__()
        self.num_classes = num_classes = check_classes("num_classes", num_classes, 1)
        self.backbone = make_backbone(backbone, output_stride, width, weights, MULTI_GRID)
        self.output_stride, self.align_corners = self.backbone.output_stride, align_corners
        channels = round_channels(256 * width) if channels is None else channels
        rates = scaled_rates(atrous_rates, self.output_stride)
        self.classifier = nn.Sequential(
            ASPP(self.backbone.channels, rates, channels, image_pooling, convolution),
            nn.Conv2d(channels, num_classes, 1),
        )
        initialise_head(self.classifier)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.scores(x)  # (B, num_classes, H/os, W/os), then (B, num_classes, H, W)
        return F.interpolate(scores, x.shape[2:], None, "bilinear", self.align_corners)

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the upsampling, (B, num_classes, H/os, W/os), sizes rounded up."""
        last = self.backbone(x).last  # (B, 2048, H/os, W/os)
        return self.classifier(last)


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling, its branches joined side by side.

    x: (B, in_channels, H, W). Returns: (B, channels, H, W).
    The branches: a 1x1 convolution, a 3x3 one for each of atrous_rates, in units of this map, and
    `ImagePooling` unless image_pooling is False; each makes `channels` maps. A 1x1 convolution
    projects all of them to `channels` again, then dropout: the paper is silent, the authors' code
    has 0.1. convolution: of the 3x3 branches, see `conv_bn_relu`.
    Raises ValueError where a number is out of range.
    Source: DeepLab v3, section 3.3 and figure 5; MobileNetV2, section 6.3.
    """

    def __init__(
        self,
        in_channels: int,
        atrous_rates: Sequence[int],
        channels: int = 256,
        image_pooling: bool = True,
        convolution: str = "plain",
    ):
        super().__init__()
        branches = [conv_bn_relu(in_channels, channels)]
        for rate in atrous_rates:
            branches.append(conv_bn_relu(in_channels, channels, 3, rate, convolution))
        if image_pooling:
            branches.append(ImagePooling(in_channels, channels))
        self.convs = nn.ModuleList(branches)
        self.project = nn.Sequential(
            *conv_bn_relu(len(branches) * channels, channels), nn.Dropout(0.1)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([conv(x) for conv in self.convs], dim=1)  # (B, 5 channels, H, W)
        return self.project(y)  # (B, channels, H, W)


class ImagePooling(nn.Sequential):
    """The mean of the whole map, 1x1 convolution, BN, ReLU; (B, C, H, W) to (B, channels, H, W).

    Every place gets the same values: context as wide as the image.
    Raises ValueError in training mode for a batch of one image.
    Source: DeepLab v3, section 3.3, the image-level features; ParseNet (Liu et al. 2015).
    """

    def __init__(self, in_channels: int, channels: int):
        super().__init__(nn.AdaptiveAvgPool2d(1), *conv_bn_relu(in_channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        check_batch(x, self[2])
        y = super().forward(x)  # (B, channels, 1, 1)
        return y.expand(-1, -1, *x.shape[2:])  # bilinear upsampling of a single value


def conv_bn_relu(
    in_channels: int, channels: int, kernel_size: int = 1, rate: int = 1, convolution: str = "plain"
) -> nn.Module:
    """Convolution without bias, BN and ReLU, (B, in_channels, H, W) to (B, channels, H, W).

    convolution: "plain", or of a kernel above 1x1 "separable": depthwise and pointwise, each with
    BN and ReLU, as in the authors' networks. Raises ValueError for another, or a number below 1.
    Source: DeepLab v3, section 3.3; DeepLab v3+, section 3.1.
    """
    check_choice("convolution", convolution, ("plain", "separable"))
    channels = check_integer("channels", channels, 1)
    rate = check_integer("rate", rate, 1)
    kernel_size = check_integer("kernel_size", kernel_size, 1)
    if convolution == "separable" and kernel_size > 1:
        return SeparableConv2d(in_channels, channels, kernel_size, rate=rate)
    padding = rate * (kernel_size // 2)
    conv = nn.Conv2d(in_channels, channels, kernel_size, 1, padding, rate, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())


def scaled_rates(atrous_rates: Sequence[int], output_stride: int) -> tuple[int, ...]:
    """Rates given for output stride 16 at another one: doubled at 8, halved at 32.

    The branches then look at the same distances in the image.
    Raises ValueError where a rate is no integer >= 1, at output_stride too.
    Source: DeepLab v3, section 3.3: "the rates are doubled when output_stride = 8".
    """
    output_stride = check_integer("output_stride", output_stride, 1)
    atrous_rates = [check_integer("rate of atrous_rates", rate, 1) for rate in atrous_rates]
    for rate in atrous_rates:
        if rate * 16 % output_stride:
            raise ValueError(
                f"atrous_rates are those at output stride 16; {rate} makes no whole rate at "
                f"output_stride={output_stride}: take even rates, or another output_stride"
            )
    return tuple(rate * 16 // output_stride for rate in atrous_rates)


def initialise_head(*modules: nn.Module) -> None:
    """He's initialisation for the convolutions of a head.

    Its classifiers, which alone have a bias, start from N(0, 0.01) and bias 0: all classes begin
    about as likely.
    """
    for layer in (layer for module in modules for layer in module.modules()):
        if isinstance(layer, nn.Conv2d) and layer.bias is None:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
