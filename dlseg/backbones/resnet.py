"""ResNet with an honest output stride, under the names of torchvision's weights.

The layers of He et al. 2016, table 1 (depths 18, 34, 50, 101), and what DeepLab changes in them:
strides that become rates, the place of the stride in a stage, the "beta" stem, multi-grid.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn, relu_

from dlseg.arithmetic import BASIC_UNITS, BOTTLENECK_UNITS, StagePlan, plan_stages, round_channels
from dlseg.backbones.features import Features
from dlseg.backbones.weights import load_into
from dlseg.checks import check_backbone, check_choice, check_integer
from dlseg.doors import check_image

UNITS = BASIC_UNITS | {depth: BOTTLENECK_UNITS[depth] for depth in (50, 101)}


def conv3x3(in_channels: int, channels: int, stride: int = 1, rate: int = 1) -> nn.Conv2d:
    """3x3 convolution without bias, padded by its rate: at stride 1 the map keeps its size."""
    return nn.Conv2d(in_channels, channels, 3, stride, rate, rate, bias=False)


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
    """What a residual unit adds its result to: a projection, every stride-th pixel, or None (x)."""
    if in_channels != out_channels:
        conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(out_channels))
    return nn.MaxPool2d(1, stride) if stride > 1 else None


class BasicUnit(nn.Module):
    """Two 3x3 convolutions and a shortcut, (B, C, H, W) to (B, channels, H/stride, W/stride).

    plan: stride and rate of the first convolution, rate of the second. style: changes nothing here.
    Source: He et al. 2016, figure 5 left.
    """

    expansion = 1

    def __init__(self, in_channels: int, channels: int, plan: StagePlan, style: str):
        super().__init__()
        self.conv1 = conv3x3(in_channels, channels, plan.stride, plan.first_rate)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels, 1, plan.rate)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = shortcut(in_channels, channels, plan.stride)

    def forward(self, x: Tensor) -> Tensor:
        y = relu_(self.bn1(self.conv1(x)))  # (B, channels, H/stride, W/stride)
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        return relu_(y)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut, (B, C, H, W) to (B, 4 channels, H/s, W/s).

    plan: stride s and rates. style: "caffe" puts the stride on the first convolution, and the 3x3
    lies behind it; any other on the 3x3. Source: He et al. 2016, figure 5 right.
    """

    expansion = 4

    def __init__(self, in_channels: int, channels: int, plan: StagePlan, style: str):
        super().__init__()
        on_1x1 = style == "caffe"
        first, second = (plan.stride, 1) if on_1x1 else (1, plan.stride)
        self.conv1 = nn.Conv2d(in_channels, channels, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv3x3(channels, channels, second, plan.rate if on_1x1 else plan.first_rate)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * channels)
        self.downsample = shortcut(in_channels, 4 * channels, plan.stride)

    def forward(self, x: Tensor) -> Tensor:
        y = relu_(self.bn1(self.conv1(x)))  # (B, channels, H, W)
        y = relu_(self.bn2(self.conv2(y)))  # (B, channels, H/s, W/s)
        y = self.bn3(self.conv3(y))  # (B, 4 channels, H/s, W/s)
        y += x if self.downsample is None else self.downsample(x)
        return relu_(y)


def stage(
    unit: type[BasicUnit | Bottleneck],
    in_channels: int,
    channels: int,
    plans: Sequence[StagePlan],
    style: str = "torchvision",
) -> nn.Sequential:
    """Residual units one after the other, one for each plan; only the first sees `in_channels`.

    Also makes block5 to block7 of DeepLab v3's cascade (its section 3.2), copies of the last stage.
    """
    units = []
    for plan in plans:
        units.append(unit(in_channels, channels, plan, style))
        in_channels = channels * unit.expansion
    return nn.Sequential(*units)


def multi_grid_plans(plans: Sequence[StagePlan], multi_grid: Sequence[int]) -> list[StagePlan]:
    """Plans of a stage whose units multiply its rate by the unit rates `multi_grid`.

    A unit rate counts for the first unit as for the others: (1, 2, 4) makes 2, 4, 8 of a stage of
    rate 2, whatever first_unit was. Unit rates that are all 1 change nothing, first unit included.
    Raises ValueError unless there is one integer >= 1 for each unit.
    Source: DeepLab v3, section 3.2.1.
    """
    unit_rates = [check_integer("unit rate of multi_grid", rate, 1) for rate in multi_grid]
    if all(rate == 1 for rate in unit_rates):
        return list(plans)
    if len(unit_rates) != len(plans):
        raise ValueError(
            f"multi_grid must hold a unit rate for each of the {len(plans)} units of the last "
            f"stage, got {tuple(unit_rates)}"
        )
    pairs = zip(plans, unit_rates, strict=True)
    return [StagePlan(plan.stride, plan.rate * m, plan.rate * m) for plan, m in pairs]


class ResNet(nn.Module):
    """ResNet: an image (B, 3, H, W) to `Features`; last is (B, channels, H/os, W/os).

    output_stride (os): 8, 16 or 32. depth: 18, 34, 50 or 101.
    width: factor on all channels, rounded to multiples of 8 (the wide end of a bottleneck: of 32).
    weights: None, or "imagenet" (width 1 only). num_classes: None, or the classes of `classify`.
    multi_grid: unit rates of the last stage, see `multi_grid_plans`; first_unit: see `plan_stages`.
    stem: "7x7", or "beta", three 3x3 convolutions, as in the networks Google published.
    style: where a stage has its stride. "torchvision": on the 3x3 of its first unit. "caffe", the
    original: on the first 1x1 of that unit, where there is one; and the pool rounds sizes up, 512
    pixels to 129 units, not 128. "slim": in the last unit of the stage before. The weights fit all
    three, but were trained with one.

    low_level is the last map at stride 4: all of layer1, or where its last unit has the stride all
    before that unit (DeepLab v3+, section 4: Conv2 "before striding").
    Attributes: output_stride, channels, low_level_channels, low_level_stride.
    Raises ValueError for other values, for first_unit="whole" unless style is "torchvision", and
    for weights unless stem and strides are torchvision's.
    Source: He et al. 2016, table 1; DeepLab v3, sections 3.1 and 3.2.
    """

    def __init__(
        self,
        output_stride: int = 16,
        *,
        depth: int = 50,
        width: float = 1.0,
        weights: str | None = None,
        multi_grid: Sequence[int] = (1, 1, 1),
        stem: str = "7x7",
        style: str = "torchvision",
        first_unit: str = "previous",
        num_classes: int | None = None,
    ):
        super().__init__()
        output_stride = check_integer("output_stride", output_stride, 1)
        check_backbone(width, weights, num_classes)
        _check(depth, stem, style, first_unit, weights)
        unit = BasicUnit if depth in BASIC_UNITS else Bottleneck
        plans = _stage_plans(depth, output_stride, style, first_unit)
        plans[-1] = multi_grid_plans(plans[-1], multi_grid)
        wide = unit.expansion
        c1, c2, c3, c4 = (round_channels(channels * width) for channels in (64, 128, 256, 512))

        self.conv1 = _beta_stem(c1, c2) if stem == "beta" else nn.Conv2d(3, c1, 7, 2, 3, bias=False)
        stem_channels = c2 if stem == "beta" else c1
        self.bn1 = nn.BatchNorm2d(stem_channels)
        self.pool_ceil = style == "caffe"
        self.layer1 = stage(unit, stem_channels, c1, plans[0], style)
        self.layer2 = stage(unit, c1 * wide, c2, plans[1], style)
        self.layer3 = stage(unit, c2 * wide, c3, plans[2], style)
        self.layer4 = stage(unit, c3 * wide, c4, plans[3], style)
        self.fc = None if num_classes is None else nn.Linear(c4 * wide, num_classes)

        self.output_stride, self.channels = output_stride, c4 * wide
        self.low_level_channels, self.low_level_stride = c1 * wide, 4
        self.units_before_tap = sum(plan.stride == 1 for plan in plans[0])
        _initialise(self)
        if weights is not None:
            load_into(self, f"resnet{depth}")

    def forward(self, x: Tensor) -> Features:
        check_image(x, self)
        x = relu_(self.bn1(self.conv1(x)))  # (B, 64 or 128, H/2, W/2)
        x = F.max_pool2d(x, 3, 2, 1, ceil_mode=self.pool_ceil)  # (B, 64 or 128, H/4, W/4)
        low_level = self.layer1[: self.units_before_tap](x)  # (B, low_level_channels, H/4, W/4)
        x = self.layer1[self.units_before_tap :](low_level)
        x = self.layer3(self.layer2(x))
        return Features(low_level, self.layer4(x))  # (B, channels, H/os, W/os)

    def classify(self, x: Tensor) -> Tensor:
        """Scores (B, num_classes) of an image (B, 3, H, W): the mean of the last map, then `fc`.

        Trained at output stride 32; a smaller one changes the mean a little.
        Raises ValueError where the network was built without num_classes.
        """
        if self.fc is None:
            raise ValueError("this ResNet has no classifier; build it with num_classes=1000")
        return self.fc(self(x).last.mean((2, 3)))


def _beta_stem(narrow: int, wide: int) -> nn.Sequential:
    """Three 3x3 convolutions in the place of one 7x7; the last one's BN and ReLU are the net's."""
    return nn.Sequential(
        *(conv3x3(3, narrow, 2), nn.BatchNorm2d(narrow), nn.ReLU(inplace=True)),
        *(conv3x3(narrow, narrow), nn.BatchNorm2d(narrow), nn.ReLU(inplace=True)),
        conv3x3(narrow, wide),
    )


def _stage_plans(
    depth: int, output_stride: int, style: str, first_unit: str
) -> list[list[StagePlan]]:
    """Plans of all units, stage by stage."""
    strides = [4]  # of the stem
    for number, count in enumerate(UNITS[depth], start=1):
        in_stage = [1] * count
        if style == "slim" and number < 4:
            in_stage[-1] = 2
        elif style != "slim" and number > 1:
            in_stage[0] = 2
        strides += in_stage
    plans = iter(plan_stages(strides, output_stride, first_unit)[1:])
    return [[next(plans) for _ in range(count)] for count in UNITS[depth]]


def _initialise(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _check(depth: int, stem: str, style: str, first_unit: str, weights: str | None) -> None:
    check_choice("depth", depth, UNITS)
    check_choice("stem", stem, ("7x7", "beta"))
    check_choice("style", style, ("torchvision", "caffe", "slim"))
    if first_unit == "whole" and style != "torchvision":
        raise ValueError(
            f'first_unit="whole" needs style="torchvision", got {style!r}: the layers behind the '
            "stride have the new rate already; drop first_unit"
        )
    moved = style == "slim" or (style == "caffe" and depth not in BASIC_UNITS)
    if weights is not None and (stem != "7x7" or moved):
        raise ValueError(
            'the published weights were trained with stem="7x7" and the strides of '
            f'style="torchvision", got {stem!r} and {style!r}; drop weights, or load your own '
            "state dict"
        )
