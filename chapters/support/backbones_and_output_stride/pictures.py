"""The drawing of backbones: their parts, how large each map is, and which rates they have."""

from dlseg.arithmetic import StagePlan
from dlseg.book import Picture
from support.stages import BACKBONE, PARTS, RATE, Box, network_picture, planned_parts


def stage_picture(backbone: str = "ResNet-50", output_stride: int = 16, side: int = 513) -> Picture:
    """The parts of a backbone as squares, as large as their maps, with strides and rates below.

    output_stride: 8, 16 or 32; side: of the square picture, pixels.
    """
    title = f"{backbone}, output stride {output_stride}, picture of {side} x {side} pixels"
    boxes, sentences = [], []
    planned = planned_parts(backbone, output_stride, side)
    for (name, channels, trained), (plan, width) in zip(PARTS[backbone], planned, strict=True):
        cut, rates = plan.stride < trained, _rates(backbone, plan)
        stride = f"stride {plan.stride}" + (f", was {trained}" if cut else "")
        kind = BACKBONE if rates == "rate 1" else RATE
        boxes.append(Box(name, width, (f"{channels} ch.", stride, rates), kind, cut))
        sentences.append(f"{name} {width}, {rates}")
    return network_picture(title, [boxes], f"{title}: {'; '.join(sentences)}.")


def _rates(backbone: str, plan: StagePlan) -> str:
    # The stride of VGG sits at the end of a part: all its convolutions have the rate before.
    if backbone == "VGG-16" or plan.first_rate == plan.rate:
        return f"rate {plan.first_rate}"
    return f"rate {plan.first_rate}, then {plan.rate}"
