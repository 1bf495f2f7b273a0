"""MobileNetV3-Large with an honest output stride: squeeze-and-excitation, hard-swish, 5x5 kernels.

State-dict keys are those of torchvision's `mobilenet_v3_large`, so its weights load unchanged.
Source: Howard et al. 2019, "Searching for MobileNetV3".
"""

from torch import Tensor, nn

from dlseg.arithmetic import StagePlan, plan_stages, round_channels, same_padding
from dlseg.backbones.features import Features
from dlseg.backbones.weights import load_into
from dlseg.checks import check_backbone, check_integer
from dlseg.doors import check_image

# Kernel size, hidden channels, channels, squeeze-and-excitation, hard-swish, stride: table 1.
ROWS = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
BN = {"eps": 1e-3, "momentum": 0.01}  # of every BN, as torchvision has it


def conv_bn(conv: nn.Conv2d, activation: type[nn.Module] | None = None) -> nn.Sequential:
    """A convolution without bias, its BN, and an activation unless there is none."""
    layers = nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels, **BN))
    return layers if activation is None else layers.append(activation(inplace=True))


class SqueezeExcitation(nn.Module):
    """Each channel times a share in [0, 1] that the means of all channels decide; (B, C, H, W).

    The means are of the whole map, so that the share has no rate and no place.
    Source: MobileNetV3, section 5.3; Hu et al. 2018, "Squeeze-and-excitation networks".
    """

    def __init__(self, channels: int, squeezed: int):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)
        self.activation, self.scale_activation = nn.ReLU(), nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.fc1(self.avgpool(x)))  # (B, squeezed, 1, 1)
        return self.scale_activation(self.fc2(y)) * x


class Bneck(nn.Module):
    """MobileNetV2's block with a squeeze: (B, in_channels, H, W) to (B, channels, H/s, W/s).

    row: of ROWS, its channels scaled; plan: stride s, and rate of the depthwise convolution.
    shortcut: whether x is added to the result. Source: MobileNetV3, figure 4.
    """

    def __init__(self, in_channels: int, row: tuple, plan: StagePlan, shortcut: bool):
        super().__init__()
        kernel, hidden, channels, squeeze, swish, _ = row
        activation, self.shortcut = nn.Hardswish if swish else nn.ReLU, shortcut
        rate = plan.first_rate
        padding, groups = same_padding(kernel, rate), hidden
        depthwise = nn.Conv2d(
            hidden, hidden, kernel, plan.stride, padding, rate, groups, bias=False
        )
        self.block = nn.Sequential()
        if hidden != in_channels:
            expand = nn.Conv2d(in_channels, hidden, 1, bias=False)
            self.block.append(conv_bn(expand, activation))
        self.block.append(conv_bn(depthwise, activation))
        if squeeze:
            self.block.append(SqueezeExcitation(hidden, round_channels(hidden // 4)))
        self.block.append(conv_bn(nn.Conv2d(hidden, channels, 1, bias=False)))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self.shortcut else self.block(x)


class MobileNetV3(nn.Module):
    """MobileNetV3-Large: an image (B, 3, H, W) to `Features`; last is (B, 960, H/os, W/os).

    low_level is (B, 24, H/4, W/4). Sizes are rounded up.
    output_stride (os): 32, 16 or 8; strides beyond it become rates and the weights stay the same.
    A dense map then reads where the strided one did. It is not the same number for number: each
    squeeze takes the mean over more places. With the means held fixed it is.
    width: factor on all channels, rounded to multiples of 8.
    weights: None, or "imagenet" (width 1 only). num_classes: None, or the classes of `classify`.
    first_unit: "previous" keeps the old rate in a block whose stride was removed; "whole", as
    torchvision has in its segmentation networks, does not.
    Attributes: output_stride, channels, low_level_channels, low_level_stride.
    Raises ValueError where an argument is out of range.
    Source: MobileNetV3, table 1 and section 6.4; output strides: DeepLab v3, section 3.1.
    """

    def __init__(
        self,
        output_stride: int = 16,
        *,
        width: float = 1.0,
        weights: str | None = None,
        first_unit: str = "previous",
        num_classes: int | None = None,
    ):
        super().__init__()
        output_stride = check_integer("output_stride", output_stride, 1)
        check_backbone(width, weights, num_classes)
        self.features = _features(output_stride, width, first_unit)
        self.output_stride, self.channels = output_stride, self.features[-1][0].out_channels
        self.low_level_stride, self.low_level_channels = 4, round_channels(24 * width)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = None
        if num_classes is not None:
            top = round_channels(1280 * width)
            self.classifier = nn.Sequential(
                *(nn.Linear(self.channels, top), nn.Hardswish(inplace=True)),
                *(nn.Dropout(0.2), nn.Linear(top, num_classes)),
            )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if weights is not None:
            load_into(self, "mobilenet_v3_large")

    def forward(self, x: Tensor) -> Features:
        check_image(x, self)
        low_level = self.features[:4](x)  # (B, 24, H/4, W/4)
        return Features(low_level, self.features[4:](low_level))  # (B, 960, H/os, W/os)

    def classify(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) of an image (B, 3, H, W): the mean of the last map, two layers.

        Trained at output stride 32; a smaller one changes the mean a little.
        Raises ValueError where the network was built without num_classes.
        """
        if self.classifier is None:
            raise ValueError("this MobileNetV3 has no classifier; build it with num_classes=1000")
        return self.classifier(self.avgpool(self(x).last).flatten(1))


def _features(output_stride: int, width: float, first_unit: str) -> nn.Sequential:
    """The stem, the 15 blocks, and the 1x1 convolution behind them, `features.0` to `.16`."""
    plans = plan_stages([2] + [row[-1] for row in ROWS], output_stride, first_unit)
    given = round_channels(16 * width)
    layers = nn.Sequential(conv_bn(nn.Conv2d(3, given, 3, 2, 1, bias=False), nn.Hardswish))
    for row, plan in zip(ROWS, plans[1:], strict=True):
        kernel, hidden, channels, *rest = row
        channels = round_channels(channels * width)
        scaled = (kernel, round_channels(hidden * width), channels, *rest)
        # What the block had before any stride was removed, so that weights keep their meaning.
        layers.append(Bneck(given, scaled, plan, shortcut=row[-1] == 1 and given == channels))
        given = channels
    return layers.append(conv_bn(nn.Conv2d(given, 6 * given, 1, bias=False), nn.Hardswish))
