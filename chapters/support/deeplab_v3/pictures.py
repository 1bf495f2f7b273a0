"""The drawings of chapter 10: four ways to many scales, the cascade, the network, its reach."""

from collections.abc import Sequence
from itertools import product

from dlseg.arithmetic import valid_tap_fractions
from dlseg.book import BLUE, FAINT, GREEN, INK, ORANGE, RED, SKY, Picture, from_svg, svg
from dlseg.models import cascade_plans, scaled_rates
from support.stages import (
    BACKBONE,
    HEAD,
    PARTS,
    RATE,
    Box,
    Branches,
    network_picture,
    planned_parts,
)

RATES = (6, 12, 18)  # at output stride 16
COLOURS = (BLUE, ORANGE, RED)  # of the branches
THICK, STEP = 14, 30  # of a map seen from the side, and from one to the next
BASE = 268  # of the lowest map
KEPT = "6, 12, 18 always"  # the mistake
UNITS = {"centre": (0.5, 0.5), "side": (0.5, 0), "corner": (0, 0)}
SCALE, LEFT, TOP = 0.36, 130, 150  # of the image under the taps
WAYS = (
    ("a. image pyramid", "one network, several", "sizes of the image"),
    ("b. encoder-decoder", "large maps come back", "from the beginning"),
    ("c. deeper, with rates", "more blocks, the map", "stays as it is"),
    ("d. pyramid pooling", "several views of one", "map, side by side"),
)


def four_ways() -> Picture:
    """Four ways to see things of all sizes (DeepLab v3, figure 2), maps seen from the side."""
    drawn = [_image_pyramid(110), _encoder_decoder(320), _deeper(530), _pooling(740)]
    parts = ["".join(way) for way in drawn]
    for number, (title, *lines) in enumerate(WAYS):
        x = 110 + 210 * number
        parts.append(svg.text(x, 22, title, size=14, anchor="middle"))
        for row, line in enumerate(lines):
            parts.append(svg.text(x, 306 + 18 * row, line, size=12, anchor="middle"))
    listed = "; ".join(f"{title}: {' '.join(lines)}" for title, *lines in WAYS)
    alt = f"Four drawings of networks, the image below and the result above. {listed}."
    return from_svg(svg.document(850, 336, parts), alt)


def _map(x: float, level: float, width: float, fill: str = SKY) -> str:
    """A map seen from the side: a bar around x, the higher the deeper in the network."""
    y = BASE - STEP * level
    return svg.rect(x - width / 2, y, width, THICK, fill=fill, stroke=INK)


def _link(x: float, low: float, high: float, to: float | None = None) -> str:
    to = x if to is None else to
    return svg.line(x, BASE - STEP * low, to, BASE - STEP * high + THICK, colour=INK)


def _tower(x: float, widths: Sequence[float], fills: Sequence[str]) -> list[str]:
    """Maps on top of each other, each linked to the next."""
    parts = [_map(x, k, w, f) for k, (w, f) in enumerate(zip(widths, fills, strict=True))]
    return parts + [_link(x, k, k + 1) for k in range(len(widths) - 1)]


def _image_pyramid(x: float) -> list[str]:
    parts = []
    for shift, factor in ((-58, 1.0), (22, 0.7), (76, 0.4)):
        widths = [factor * width for width in (76, 48, 30, 18)]
        parts += _tower(x + shift, widths, [FAINT, SKY, SKY, SKY])
        parts.append(_link(x + shift, 3, 5, x + shift / 4))
    return [*parts, _map(x, 5, 60, GREEN)]


def _encoder_decoder(x: float) -> list[str]:
    widths = [150, 96, 60, 34, 60, 96, 150]
    parts = _tower(x, widths, [FAINT, SKY, SKY, SKY, GREEN, GREEN, GREEN])
    for level in (1, 2):  # the skips, around the smaller maps
        side = x + widths[level] / 2 - 5
        parts.append(_link(side, level, 6 - level))
    return parts


def _deeper(x: float) -> list[str]:
    widths = [150, 96, 60, 60, 60, 60, 60]
    parts = _tower(x, widths, [FAINT, SKY, SKY, ORANGE, ORANGE, ORANGE, ORANGE])
    for level, rate in enumerate((2, 4, 8, 16), start=3):
        parts.append(svg.text(x + 38, BASE - STEP * level + 12, f"rate {rate}", size=12))
    return parts


def _pooling(x: float) -> list[str]:
    parts = _tower(x, [150, 96, 60], [FAINT, SKY, SKY])
    for shift, width, fill in ((-72, 34, SKY), (-24, 34, ORANGE), (24, 34, ORANGE), (72, 12, SKY)):
        parts += [_link(x, 2, 4, x + shift), _map(x + shift, 4, width, fill)]
        parts.append(_link(x + shift, 4, 6, x + shift / 4))
    return [*parts, _map(x, 6, 60, GREEN)]


def cascade_sizes(output_stride: int, side: int) -> list[tuple[str, int, int, int]]:
    """Name, stride, rate and side of the map of block3 to block7 for an image of `side` pixels.

    Raises ValueError for an output stride that the cascade does not have.
    """
    jump = min(output_stride, 32)
    rows = [("block3", 1 if jump == 8 else 2, 2 if jump == 8 else 1, -(-side // min(jump, 16)))]
    rows.append(("block4", 2 if jump == 32 else 1, 32 // jump, -(-side // jump)))
    for number, plan in enumerate(cascade_plans(7, output_stride), start=5):
        rows.append((f"block{number}", plan.stride, plan.rate, -(-rows[-1][3] // plan.stride)))
    return rows


def cascade_picture(output_stride: int = 16, side: int = 513) -> Picture:
    """The blocks 3 to 7 as squares, as large as their maps; those with rates are orange.

    output_stride: 8, 16, 32, 64, 128 or 256; side: of the square image, pixels.
    """
    title = f"Cascade at output stride {output_stride}, image of {side} x {side} pixels"
    rows = cascade_sizes(output_stride, side)
    boxes = [
        Box(
            name,
            width,
            (f"stride {stride}", f"rate {rate}"),
            RATE if rate > 1 else BACKBONE,
            stride == 1,
        )
        for name, stride, rate, width in rows
    ]
    blocks = [f"{name} {width}, stride {stride}, rate {rate}" for name, stride, rate, width in rows]
    alt = f"{title}: {'; '.join(blocks)}."
    return network_picture(title, [boxes], alt, largest=-(-side // 8))


def branch_labels(output_stride: int, side: int) -> list[str]:
    """What each of ASPP's five branches is for an image of `side` pixels, taps counted."""
    width = -(-side // output_stride)
    labels = ["1x1"]
    for rate in scaled_rates(RATES, output_stride):
        share = valid_tap_fractions(width, rate)[9]
        labels.append(f"3x3, rate {rate}: all taps at {share:.0%}")
    return [*labels, "mean of the map, 1x1"]


def v3_picture(output_stride: int = 16, side: int = 513) -> Picture:
    """DeepLab v3 on ResNet-50 from the image to the logits, with the size of every map.

    output_stride: 8, 16 or 32; side: of the square image, pixels.
    """
    title = f"DeepLab v3 on ResNet-50, output stride {output_stride}, image {side} x {side}"
    boxes, sentences = [], []
    planned = planned_parts("ResNet-50", output_stride, side)
    for (part, channels, trained), (plan, width) in zip(PARTS["ResNet-50"], planned, strict=True):
        name, rate = part.replace("layer", "block"), f"rate {plan.rate}"
        kind = RATE if plan.rate > 1 else BACKBONE
        boxes.append(Box(name, width, (f"{channels} ch.", rate), kind, plan.stride < trained))
        sentences.append(f"{name} {width}" + (f" with {rate}" if kind == RATE else ""))
    labels = branch_labels(output_stride, side)
    ways = [(label.split(": "), RATE if "rate" in label else HEAD) for label in labels]
    for name, channels in (("joined", 1280), ("1x1", 256), ("scores", 21)):
        boxes.append(Box(name, boxes[-1].side, (f"{channels} ch.",), HEAD))
    width = boxes[-1].side
    alt = f"{title}: {', '.join(sentences)}; five branches of 256 channels: {'; '.join(labels)}; "
    alt += f"joined {width} x {width} x 1280, then 256, then 21 scores, stretched to {side}."
    notes = [f"The scores are stretched bilinearly to {side} x {side}."]
    branches = Branches(len(planned) - 1, ways)
    return network_picture(title, [boxes], alt, branches=branches, notes=notes)


def reach_picture(
    output_stride: int = 16,
    rates: str = "scaled with the stride",
    unit: str = "centre",
    side: int = 513,
) -> Picture:
    """Which places of the image the three atrous branches of one unit look at.

    rates: "scaled with the stride", or "6, 12, 18 always", a common mistake at another output
    stride. unit: "centre", "side" or "corner", where it stands. A tap outside the image is a ring.
    """
    chosen = RATES if rates == KEPT else scaled_rates(RATES, output_stride)
    last = -(-side // output_stride) - 1
    place = [round(share * last) for share in UNITS[unit]]
    listed = rates if rates == KEPT else f"{', '.join(map(str, chosen))} ({rates})"
    title = f"Output stride {output_stride}, rates {listed}"
    parts = [svg.text(10, 22, f"{title}; unit at the {unit}", size=14)]
    parts.append(svg.rect(LEFT, TOP, side * SCALE, side * SCALE, fill="#eef2f6", stroke=INK))
    sentences = []
    for number, (rate, colour) in enumerate(zip(chosen, COLOURS, strict=True)):
        drawn, inside = _taps(place, rate, output_stride, last, colour)
        y = TOP + 20 + 40 * number
        label = f"rate {rate}: {rate * output_stride} pixels apart, {inside} of 9 taps inside"
        parts += [drawn, svg.dot(450, y - 5, 6, fill=colour), svg.text(464, y, label)]
        sentences.append(label)
    parts.append(svg.text(464, TOP + 140, "rings: outside the image, zeros", size=12))
    y, x = (k * output_stride * SCALE for k in place)
    parts.append(svg.dot(LEFT + x, TOP + y, 6))
    alt = f"{title}, unit at the {unit} of a {side} x {side} image: {'; '.join(sentences)}."
    return from_svg(svg.document(800, 366, parts), alt)


def _taps(
    place: Sequence[int], rate: int, output_stride: int, last: int, colour: str
) -> tuple[str, int]:
    """The nine taps of a branch, and how many of them lie on the map of units 0 to `last`."""
    parts, inside = [], 0
    for down, right in product((-rate, 0, rate), repeat=2):
        row, column = place[0] + down, place[1] + right
        x, y = LEFT + column * output_stride * SCALE, TOP + row * output_stride * SCALE
        if 0 <= row <= last and 0 <= column <= last:
            inside += 1
            parts.append(svg.dot(x, y, 5, fill=colour))
        else:
            parts.append(svg.ring(x, y, 5, colour=colour, thick=1.5))
    return "".join(parts), inside
