"""DeepLab v3+: DeepLab v3 as an encoder, and a decoder that finds the edges again.

Source: Chen et al. 2018, "Encoder-decoder with atrous separable convolution for semantic image
segmentation". On MobileNetV2 its authors published no decoder: see `DeepLabV3`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.arithmetic import round_channels
from dlseg.backbones import make_backbone
from dlseg.checks import check_classes
from dlseg.models.deeplabv3 import ASPP, MULTI_GRID, conv_bn_relu, initialise_head, scaled_rates


class DeepLabV3Plus(nn.Module):
    """DeepLab v3+: images (B, 3, H, W) to logits (B, num_classes, H, W).

    backbone: a name or a module; its output stride (os) is the model's. By name, ResNet-50 and -101
    have the multi-grid of v3. The paper trains at 16 and evaluates the same weights at 8.
    output_stride, width, weights: of a backbone given by name; width of the head's channels too.
    channels: of ASPP's branches and of the decoder, 256 times width if None.
    atrous_rates, image_pooling: as in `DeepLabV3`. The paper takes image_pooling away for
    Cityscapes (section 4.5).
    convolution: of the 3x3 in ASPP and decoder. Plain in the tables for ResNet-101; "separable" in
    the shipped networks.
    align_corners: of both upsamplings. False, as in this book; the authors' code has True.

    513 pixels make 33 units at os 16, then 129 in the decoder, then 513.
    Attributes: backbone, num_classes, output_stride (of the backbone; `scores` have stride 4).
    Raises ValueError where an argument is out of range.
    Source: DeepLab v3+, sections 3 and 4, figure 2, tables 1 to 5.
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
        self.aspp = ASPP(self.backbone.channels, rates, channels, image_pooling, convolution)
        few, layers = round_channels(48 * width), ((3, channels), (3, channels))
        low_level = self.backbone.low_level_channels
        self.decoder = Decoder(channels, low_level, few, layers, convolution, align_corners)
        self.classifier = nn.Conv2d(channels, num_classes, 1)
        initialise_head(self.aspp, self.decoder, self.classifier)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.scores(x)  # (B, num_classes, H/4, W/4), then (B, num_classes, H, W)
        return F.interpolate(scores, x.shape[2:], None, "bilinear", self.align_corners)

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the last upsampling, (B, num_classes, H/4, W/4), sizes rounded up."""
        low_level, last = self.backbone(x)  # (B, 256, H/4, W/4) and (B, 2048, H/os, W/os)
        y = self.decoder(self.aspp(last), low_level)  # (B, 256, H/4, W/4)
        return self.classifier(y)


class Decoder(nn.Module):
    """A deep map beside a shallow one: to (B, channels of the last layer, H, W).

    x: the deep map, (B, in_channels, h, w), made as large as the shallow one.
    low_level: the shallow map, (B, low_level_in, H, W), of which a 1x1 convolution leaves few
    channels (projection), so that they do not outweigh the deep ones.
    layers: kernel size and channels of each convolution on both together; the paper's are two 3x3
    with 256. convolution: their kind, see `conv_bn_relu`. BN and ReLU behind every convolution.
    align_corners: of the upsampling of x.
    Raises ValueError where a number is out of range.
    Source: DeepLab v3+, section 3.1 and figure 2; tables 1 (projection) and 2 (layers).
    """

    def __init__(
        self,
        in_channels: int,
        low_level_in: int,
        projection: int = 48,
        layers: Sequence[tuple[int, int]] = ((3, 256), (3, 256)),
        convolution: str = "plain",
        align_corners: bool = False,
    ):
        super().__init__()
        self.align_corners = align_corners
        self.project = conv_bn_relu(low_level_in, projection)
        self.layers = nn.Sequential()
        channels = in_channels + projection  # 256 + 48 = 304
        for kernel_size, width in layers:
            self.layers.append(conv_bn_relu(channels, width, kernel_size, 1, convolution))
            channels = width

    def forward(self, x: Tensor, low_level: Tensor) -> Tensor:
        low_level = self.project(low_level)  # (B, 48, H, W)
        x = F.interpolate(x, low_level.shape[2:], None, "bilinear", self.align_corners)
        return self.layers(torch.cat([x, low_level], dim=1))  # 256 + 48 channels to 256
