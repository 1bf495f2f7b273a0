"""From strides to rates, and from a width to channels: what the parts of a network become.

The output stride is the number of input pixels between neighbouring units of the last map. A
network that halves its map five times has 32; at 16 and 8 the last strides are taken away, and
rates behind them keep every weight looking at the distance it was trained for.

The width is one factor on the channels of all layers (MobileNet, Howard et al. 2017, section 3.3):
narrow networks have the strides and fields of the published ones, and train in a moment.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf

from dlseg.arithmetic.layer import Layer
from dlseg.checks import check_choice, check_integer

OUTPUT_STRIDES = (8, 16, 32)


@dataclass(frozen=True)
class StagePlan:
    """Stride and rates of one part of a network (a stem, a stage, a unit).

    stride: of the part; first_rate: of the layer that has the stride, or had it; rate: of all that
    lies behind that layer in the same part.
    """

    stride: int
    first_rate: int
    rate: int


def plan_stages(
    strides: Iterable[int], output_stride: int, first_unit: str = "previous"
) -> list[StagePlan]:
    """Stride and rates of each part of a network at `output_stride`.

    strides: of the parts in order, the stem included, as trained. Once they multiply to
    `output_stride`, each further stride becomes 1 and multiplies the rate of all behind it.
    first_unit: "previous" leaves the layer that lost its stride at the rate before, which makes
    the dense map exact: it holds the strided map at every second position, or every fourth.
    "whole" gives it the new rate too, as several implementations do; that map is another one.
    Raises ValueError for another output_stride or first_unit, a stride that is no integer >= 1,
    and strides that never multiply to exactly `output_stride`.
    Source: DeepLab v2, section 3.1; DeepLab v3, section 3.1.
    """
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(f"output_stride must be 8, 16 or 32, got {output_stride!r}")
    output_stride = check_integer("output_stride", output_stride)
    check_choice("first_unit", first_unit, ("previous", "whole"))
    strides = [check_integer("stride", stride, 1) for stride in strides]
    plans = _strides_to_rates(strides, output_stride)
    return plans if first_unit == "previous" else [replace(p, first_rate=p.rate) for p in plans]


def to_atrous(layers: Iterable[Layer], output_stride: int) -> list[Layer]:
    """The same layers with the strides beyond `output_stride` turned into rates.

    Once the strides multiply to `output_stride`, each further stride becomes 1 and multiplies the
    rate of all layers behind it. Size-preserving paddings grow with the rates. The field keeps its
    size, the map gets denser, and no weight changes.
    Raises ValueError where the strides never multiply to exactly `output_stride`.
    Source: DeepLab v2, section 3.1; DeepLab v3, section 3.1.
    """
    layers = list(layers)
    output_stride = check_integer("output_stride", output_stride, 1)
    plans = _strides_to_rates([layer.stride for layer in layers], output_stride)
    return [
        replace(
            layer,
            stride=plan.stride,
            rate=layer.rate * plan.first_rate,
            padding=layer.padding * plan.first_rate,
        )
        for layer, plan in zip(layers, plans, strict=True)
    ]


def _strides_to_rates(strides: list[int], output_stride: int) -> list[StagePlan]:
    """The plan of each stride, `first_rate` being the rate before it."""
    jump, rate, plans = 1, 1, []
    for stride in strides:
        if jump == output_stride:
            before, rate = rate, rate * stride
            plans.append(StagePlan(1, before, rate))
        else:
            jump *= stride
            plans.append(StagePlan(stride, rate, rate))
    if jump != output_stride:
        raise ValueError(
            f"the strides must multiply to exactly output_stride={output_stride} before one is "
            f"left over, got {strides}; choose another output_stride"
        )
    return plans


def round_channels(channels: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `channels`, at least one and never less than 90 % of it.

    Raises ValueError unless channels is a number from 0 on and divisor an integer >= 1.
    Source: `_make_divisible` of MobileNetV2's authors, which torchvision took over.
    """
    divisor = check_integer("divisor", divisor, 1)
    if not 0 <= channels < inf:
        raise ValueError(f"channels must be a finite number >= 0, got {channels!r}")
    channels = float(channels)
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
