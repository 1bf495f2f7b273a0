"""FCN-32s, FCN-16s and FCN-8s: scores of shallow maps correct those of the deep one.

Source: Long et al. 2015, "Fully convolutional networks for semantic segmentation", section 4.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.arithmetic import round_channels
from dlseg.backbones import VGG16, make_backbone
from dlseg.checks import check_choice, check_classes, check_integer
from dlseg.doors import check_image
from dlseg.models.relatives.vgg_maps import enlarged, pad_to_multiple, pooled_maps

OUTPUT_STRIDES = (32, 16, 8)


class Doubling(nn.ConvTranspose2d):
    """Maps (B, C, h, w) twice as large, (B, C, 2h, 2w): bilinear at first, then learned.

    At its start it is bilinear resizing, borders included. No bias.
    Source: FCN, section 4; the networks released later keep it fixed.
    """

    def __init__(self, channels: int):
        super().__init__(channels, channels, 4, 2, padding=3, bias=False)
        ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
        with torch.no_grad():
            self.weight.zero_()
            self.weight[range(channels), range(channels)] = torch.outer(ramp, ramp)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, [1] * 4, mode="replicate"))  # (B, C, 2h, 2w)


class SkipFCN(nn.Module):
    """FCN on VGG-16: images (B, 3, H, W) to logits (B, num_classes, H, W).

    backbone: "vgg16", or "vgg16_bn" to train from random weights: the paper has no batch norm, and
    starts from ImageNet's. Or a `VGG16(32)`. width: factor on all channels, rounded to multiples of
    8; weights: "imagenet" or None; both of a backbone given by name.
    output_stride: 32 is FCN-32s, the scores of fc7 alone; 16, FCN-16s, doubles them and adds scores
    of pool4; 8, FCN-8s, doubles the sum and adds scores of pool3. Those of the pools start from
    zero, so that each network begins as the one before it.

    fc6 is padded by 3, so that unit i of every map is the middle of its pixels: maps meet without a
    crop. The original pads the image by 100 pixels instead and crops, see `crop_offsets`.
    Attributes: backbone, num_classes, output_stride.
    Raises: ValueError where an argument is out of range.
    """

    def __init__(
        self,
        backbone: str | VGG16,
        num_classes: int = 21,
        *,
        output_stride: int = 8,
        width: float = 1.0,
        weights: str | None = None,
    ):
        super().__init__()
        check_stride(output_stride)
        self.num_classes = num_classes = check_classes("num_classes", num_classes, 1)
        self.output_stride = output_stride
        given = (backbone, None, width, weights, None)
        self.backbone = make_backbone(*given, VGG16, stride=32, only=True)

        hidden = round_channels(4096 * width)
        self.fc6 = nn.Conv2d(self.backbone.channels, hidden, 7, padding=3)
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Conv2d(hidden, num_classes, 1)

        pools = self.backbone.stage_channels[3:1:-1]  # of pool4 and pool3
        count = OUTPUT_STRIDES.index(output_stride)
        self.skips = nn.ModuleList(nn.Conv2d(c, num_classes, 1) for c in pools[:count])
        self.doublings = nn.ModuleList(Doubling(num_classes) for _ in range(count))
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        return enlarged(self.scores(x), self.output_stride, x.shape[2:])  # (B, num_classes, H, W)

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the last upsampling, (B, num_classes, H/os, W/os).

        H and W are those of the image, rounded up to multiples of 32; os is the output stride.
        """
        check_image(x, self)
        *_, pool3, pool4, y = pooled_maps(self.backbone, pad_to_multiple(x, 32))
        y = self.dropout(F.relu(self.fc6(y)))  # (B, 4096, H/32, W/32)
        y = self.dropout(F.relu(self.fc7(y)))
        y = self.classifier(y)  # (B, num_classes, H/32, W/32)
        for double, skip, pool in zip(self.doublings, self.skips, (pool4, pool3), strict=False):
            y = double(y) + skip(pool)  # (B, num_classes, H/16, W/16), then H/8, W/8
        return y

    def _initialise(self) -> None:
        for conv in (self.fc6, self.fc7):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
        nn.init.normal_(self.classifier.weight, std=0.01)
        for conv in self.skips:
            nn.init.zeros_(conv.weight)
        for conv in (self.classifier, *self.skips):
            nn.init.zeros_(conv.bias)


def crop_offsets(output_stride: int = 8, padding: int = 100) -> tuple[int, ...]:
    """Where the original crops its maps so that they lie on each other: (5, 9, 31) for FCN-8s.

    Units of pool4 and then pool3 before the first one that meets a unit of the deeper scores; last,
    pixels of the upsampled scores before the image's first: 19 for FCN-32s, 27 for FCN-16s.
    padding: pixels of zeros around the image in conv1_1. fc6 has no padding there.
    Positions are those of chapter 03: the centre of a map's first unit, in pixels of the image.
    Raises: ValueError for another output_stride, or a padding that is no integer >= 1.
    Source: the crop layers of the released voc-fcn8s, voc-fcn16s and voc-fcn32s.
    """
    check_stride(output_stride)
    shift = check_integer("padding", padding, 1) - 1  # conv1_1 keeps 1 pixel for itself
    stride, offsets = 32, []
    centre = 15.5 - shift + 3 * 32  # of fc7: that of pool5, and 3 units inside by the 7x7 kernel
    while stride > output_stride:
        stride //= 2
        centre -= 1.5 * stride  # a kernel of 4 puts its unit 1.5 units from the result's first
        pool = (stride - 1) / 2 - shift
        offsets.append(round((centre - pool) / stride))
    return *offsets, round(stride - 0.5 - centre)


def check_stride(output_stride: int) -> None:
    """ValueError unless output_stride is one that FCN has."""
    check_choice("output_stride", output_stride, OUTPUT_STRIDES)
