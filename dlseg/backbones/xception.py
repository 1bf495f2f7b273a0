"""The modified aligned Xception of DeepLab v3+ with an honest output stride.

State-dict keys are those of timm's `xception41`, `xception65` and `xception71`.
Source: DeepLab v3+, section 3.2 and figure 4, and the authors' code, `core/xception.py`.
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.arithmetic import plan_stages, round_channels
from dlseg.backbones.features import Features
from dlseg.checks import check_backbone, check_choice, check_integer
from dlseg.doors import check_image
from dlseg.layers import SeparableConv2d

BN_EPS = 1e-3  # of every BN in the backbone; ASPP and decoder have 1e-5

# Channels and stride of the entry blocks; the number of middle blocks of 728 channels.
ENTRY = {
    41: ((128, 2), (256, 2), (728, 2)),
    65: ((128, 2), (256, 2), (728, 2)),
    71: ((128, 2), (256, 1), (256, 2), (728, 1), (728, 2)),
}
MIDDLE = {41: 8, 65: 16, 71: 16}


class XceptionBlock(nn.Module):
    """Three separable 3x3 convolutions, the stride on the third, and a shortcut around them.

    x: (B, in_channels, H, W). Returns: (B, widths[2], ceil(H / stride), ceil(W / stride)).
    widths: channels behind each of the three convolutions. rate: of all three.
    shortcut: "conv" (1x1 with the stride, and BN), "sum" (x itself) or "none".
    activate_first: a ReLU before each convolution and none inside, as in all blocks but the last
    of the network, which has one behind each depthwise and each pointwise convolution instead.
    DeepLab v3+, section 3.2, speaks of a ReLU after every depthwise convolution; the released
    networks have it in that last block alone, and so has this one.
    Raises: ValueError where shortcut is another, or "sum" and the shapes differ.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        stride: int = 1,
        rate: int = 1,
        shortcut: str = "conv",
        activate_first: bool = True,
    ):
        super().__init__()
        _check_shortcut(shortcut, stride, in_channels, widths[-1])
        self.activate_first = activate_first
        self.shortcut = nn.Identity() if shortcut == "sum" else None
        if shortcut == "conv":
            self.shortcut = _conv_bn(in_channels, widths[-1], 1, stride)
        sizes = zip((in_channels, *widths[:2]), widths, (1, 1, stride), strict=True)
        self.stack = nn.Sequential()
        for number, (channels, width, step) in enumerate(sizes, start=1):
            inside = not activate_first
            conv = SeparableConv2d(channels, width, 3, step, rate, inside, inside, BN_EPS)
            self.stack.add_module(f"conv{number}", conv)

    def forward(self, x: Tensor) -> Tensor:
        """The block's map of x (B, C, H, W): (B, widths[2], H/stride, W/stride)."""
        return self.finish(x, self.start(x))

    def start(self, x: Tensor) -> Tensor:
        """The first two convolutions, before the strided third: (B, widths[1], H, W)."""
        x = self.stack.conv1(self._enter(x))
        return self.stack.conv2(self._enter(x))

    def finish(self, x: Tensor, inside: Tensor) -> Tensor:
        """The third convolution on the map `inside` the block, and the shortcut from its input."""
        y = self.stack.conv3(self._enter(inside))  # (B, widths[2], H/stride, W/stride)
        return y if self.shortcut is None else y + self.shortcut(x)

    def _enter(self, x: Tensor) -> Tensor:
        return F.relu(x) if self.activate_first else x


class Xception(nn.Module):
    """Modified aligned Xception: an image (B, 3, H, W) to `Features`, (B, 2048, H/os, W/os) last.

    output_stride (os): 32, 16 or 8; strides beyond it become rates and the weights stay the same.
    depth: 41, 65 or 71, counting each separable convolution once, and the two of the stem.
    width: factor on all channels, rounded to multiples of 8; the numbers here are those of 1.
    weights: None alone: no file is published under a hash that could be checked; a state dict of
    timm fits as it is.
    first_unit: "previous" keeps the old rate in a block whose stride was removed, as the authors'
    code does, and keeps the function exactly; "whole" does not.
    num_classes: adds the classifier, for `classify`.
    low_level is (B, 256, H/4, W/4), before the ReLU and the strided convolution that lead to
    stride 8: the end point of the authors' code. timm's tap is behind that ReLU. Sizes are
    rounded up.
    Attributes: output_stride, channels, low_level_channels, low_level_stride.
    Raises: ValueError where an argument is out of range.
    Source: DeepLab v3+, figure 4, and `core/xception.py` of the authors' code.
    """

    def __init__(
        self,
        output_stride: int = 16,
        *,
        depth: int = 65,
        width: float = 1.0,
        weights: str | None = None,
        first_unit: str = "previous",
        num_classes: int | None = None,
    ):
        super().__init__()
        output_stride = check_integer("output_stride", output_stride, 1)
        check_backbone(width, weights, num_classes)
        check_choice("depth", depth, ENTRY)
        if weights is not None:
            raise ValueError(
                f"no weights of Xception are published under a hash, got weights={weights!r}; drop "
                "weights, or load a state dict of timm"
            )
        self.output_stride, self.channels = output_stride, round_channels(2048 * width)
        self.low_level_stride, self.low_level_channels = 4, round_channels(256 * width)
        self.tap = 2 if depth == 71 else 1  # the block that goes from stride 4 to 8
        first, second = round_channels(32 * width), round_channels(64 * width)
        self.stem = nn.Sequential(_conv_bn_relu(3, first, 2), _conv_bn_relu(first, second, 1))
        self.blocks = _blocks(depth, output_stride, first_unit, width)
        self.head = None
        if num_classes is not None:
            self.head = nn.Sequential(OrderedDict(fc=nn.Linear(self.channels, num_classes)))

    def forward(self, x: Tensor) -> Features:
        """The maps of an image (B, 3, H, W): 256 channels inside the entry flow, and 2048."""
        check_image(x, self)
        x = self.stem(x)  # (B, 64, H/2, W/2)
        for block in self.blocks[: self.tap]:
            x = block(x)
        low_level = self.blocks[self.tap].start(x)  # (B, 256, H/4, W/4)
        x = self.blocks[self.tap].finish(x, low_level)  # (B, 256 or 728, H/8, W/8)
        for block in self.blocks[self.tap + 1 :]:
            x = block(x)
        return Features(low_level, x)  # (B, 2048, H/os, W/os)

    def classify(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) of an image (B, 3, H, W): the mean of the last map, then `fc`.

        Trained at output stride 32; a smaller one changes the mean a little.
        Raises: ValueError where the network was built without num_classes.
        """
        if self.head is None:
            raise ValueError("this Xception has no classifier; build it with num_classes=1000")
        return self.head(self(x).last.mean((2, 3)))  # (B, num_classes)


def _blocks(depth: int, output_stride: int, first_unit: str, width: float) -> nn.Sequential:
    entry = [((width, width, width), stride) for width, stride in ENTRY[depth]]
    middle = [((728, 728, 728), 1)] * MIDDLE[depth]
    blocks = [*entry, *middle, ((728, 1024, 1024), 2)]
    # Each block is a part of its own; the stem is the first, exit block 2 the last.
    strides = [2, *(stride for _, stride in blocks), 1]
    _, *plans, last = plan_stages(strides, output_stride, first_unit)
    channels, made = 64, []
    for (sizes, stride), plan in zip(blocks, plans, strict=True):
        # By the stride it had: at output stride 8, Xception-71 keeps the weights of its shortcut.
        shortcut = "sum" if stride == 1 and channels == sizes[-1] else "conv"
        given, *widths = (round_channels(size * width) for size in (channels, *sizes))
        made.append(XceptionBlock(given, widths, plan.stride, plan.first_rate, shortcut))
        channels = sizes[-1]
    given, *widths = (round_channels(size * width) for size in (channels, 1536, 1536, 2048))
    made.append(XceptionBlock(given, widths, 1, last.rate, "none", False))
    return nn.Sequential(*made)


def _conv_bn(in_channels: int, out_channels: int, kernel_size: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(out_channels, BN_EPS)))


def _conv_bn_relu(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    layers = _conv_bn(in_channels, out_channels, 3, stride)
    layers.add_module("relu", nn.ReLU(inplace=True))
    return layers


def _check_shortcut(shortcut: str, stride: int, in_channels: int, out_channels: int) -> None:
    check_choice("shortcut", shortcut, ("conv", "sum", "none"))
    if shortcut == "sum" and (stride != 1 or in_channels != out_channels):
        raise ValueError(
            'shortcut="sum" needs stride 1 and as many channels out as in, '
            f"got stride {stride} and {in_channels} to {out_channels} channels"
        )
