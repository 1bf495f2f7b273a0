"""The drawing of backbones: their parts, how large each map is, and which rates they have."""

from dlseg.arithmetic import StagePlan
from dlseg.book import svg
from dlseg.book.picture import Picture, from_svg
from dlseg.book.style import BLUE, ORANGE, SKY
from support.stages import PARTS, planned_parts

COLUMN, LARGEST, BASE = 100, 88, 140


def stage_picture(backbone: str = "ResNet-50", output_stride: int = 16, side: int = 513) -> Picture:
    """The parts of a backbone as squares, as large as their maps, with strides and rates below.

    output_stride: 8, 16 or 32; side: of the square picture, pixels.
    """
    parts = planned_parts(backbone, output_stride, side)
    scale = LARGEST / parts[0][1]
    title = f"{backbone}, output stride {output_stride}, picture of {side} x {side} pixels"
    drawn = [svg.text(10, 22, title, size=14)]
    told = []
    for number, (part, (plan, width)) in enumerate(zip(PARTS[backbone], parts, strict=True)):
        name, channels, trained = part
        drawn.append(_box(10 + number * COLUMN, width, scale, plan.stride < trained))
        words = [name, f"{width} x {width}", f"{channels} ch.", _stride(plan, trained)]
        words.append(_rates(backbone, plan))
        for row, text in enumerate(words):
            drawn.append(svg.text(10 + number * COLUMN, BASE + 22 + 18 * row, text, size=12))
        told.append(f"{name} {width}, {_rates(backbone, plan)}")
    return from_svg(svg.document(820, BASE + 104, drawn), f"{title}: {'; '.join(told)}.")


def _box(x: float, width: int, scale: float, dense: bool) -> str:
    """A square on the base line; one whose stride was taken away has a thick dashed frame."""
    size = max(3, width * scale)
    frame = {"stroke": ORANGE, "thick": 3, "dash": "5 3"} if dense else {"stroke": BLUE}
    return svg.rect(x, BASE - size, size, size, fill=SKY, **frame)


def _stride(plan: StagePlan, trained: int) -> str:
    return f"stride {plan.stride}" + (f", was {trained}" if plan.stride < trained else "")


def _rates(backbone: str, plan: StagePlan) -> str:
    # The stride of VGG sits at the end of a part: all its convolutions have the rate before.
    if backbone == "VGG-16" or plan.first_rate == plan.rate:
        return f"rate {plan.first_rate}"
    return f"rate {plan.first_rate}, then {plan.rate}"
