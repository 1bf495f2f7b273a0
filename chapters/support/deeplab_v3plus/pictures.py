"""The drawings of chapter 11: the network with its two paths, and where a stretch puts units."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlseg.book import svg
from dlseg.book.picture import Picture, from_svg
from dlseg.book.style import BLUE, INK, ORANGE, SKY

WIDTH, LARGEST = 820, 92
ENCODER, DECODER = 150, 350  # base lines of the two rows of maps
COLOURS = {ENCODER: (SKY, BLUE), DECODER: ("#f8dfae", ORANGE)}


@dataclass(frozen=True)
class Map:
    """One map of the network: its name, side in units, and channels; x and base place it."""

    name: str
    side: int
    channels: int
    x: float
    base: float


def sides(side: int, output_stride: int) -> tuple[int, int]:
    """Units along one side of the shallow and of the deep map of `side` pixels, rounded up."""
    return -(-side // 4), -(-side // output_stride)


def placed(units: int, size: int, align_corners: bool) -> np.ndarray:
    """Where a bilinear stretch from `units` to `size` puts each unit, in units of the larger map.

    With aligned corners the outer units lie on the outer ones; without, a unit is a square of
    size / units, and lies at its middle.
    """
    unit = np.arange(units)
    if align_corners:
        return unit * (size - 1) / max(units - 1, 1)
    return (unit + 0.5) * size / units - 0.5


def offsets(side: int, output_stride: int, align_corners: bool) -> np.ndarray:
    """How far right of the shallow unit that sees the same a stretch puts each deep one, in pixels.

    Unit i of either map has its field around pixel i times the stride of the map, where kernels
    are odd and padding is equal on both sides.
    """
    shallow, deep = sides(side, output_stride)
    return 4 * placed(deep, shallow, align_corners) - output_stride * np.arange(deep)


def network_picture(output_stride: int = 16, side: int = 513) -> Picture:
    """DeepLab v3+ on ResNet-101 or Xception-65 as its maps: above the encoder, below the decoder.

    side: of the square image, pixels. The squares grow with the root of the side, not with it.
    """
    shallow, deep = sides(side, output_stride)
    maps = [
        Map("image", side, 3, 20, ENCODER),
        Map("shallow map", shallow, 256, 190, ENCODER),
        Map("deep map", deep, 2048, 360, ENCODER),
        Map("ASPP", deep, 256, 520, ENCODER),
        Map("1x1", shallow, 48, 190, DECODER),
        Map("stretched", shallow, 256, 300, DECODER),
        Map("joined", shallow, 304, 410, DECODER),
        Map("two 3x3", shallow, 256, 520, DECODER),
        Map("1x1: scores", shallow, 21, 620, DECODER),
        Map("stretched", side, 21, 715, DECODER),
    ]
    title = f"DeepLab v3+, output stride {output_stride}, image of {side} x {side} pixels"
    rates = ", ".join(str(rate * 16 // output_stride) for rate in (6, 12, 18))
    remark = _remark(side, output_stride)
    parts = [svg.text(20, 22, title, size=14), _arrows(), *(_square(m, side) for m in maps)]
    parts.append(svg.text(605, ENCODER + 18, f"rates {rates}", size=12))
    parts += [svg.text(20, 446 + 18 * row, line, size=12) for row, line in enumerate(remark)]
    told = ", ".join(f"{m.name} {m.side} x {m.side} with {m.channels}" for m in maps)
    alt = f"{title}. Encoder, then decoder: {told} channels. ASPP has rates {rates}. "
    return from_svg(svg.document(WIDTH, 476, parts), alt + " ".join(remark))


def _square(drawn: Map, side: int) -> str:
    size = LARGEST * (drawn.side / side) ** 0.5
    fill, stroke = COLOURS[drawn.base]
    corner = drawn.x, drawn.base - size
    words = (drawn.name, f"{drawn.side} x {drawn.side}", f"{drawn.channels} channels")
    return svg.rect(*corner, size, size, fill=fill, stroke=stroke, thick=1.5) + "".join(
        svg.text(drawn.x, drawn.base + 18 + 16 * row, text, size=12)
        for row, text in enumerate(words)
    )


def _arrows() -> str:
    """The ways between the maps: along the encoder, down to the decoder twice, along it."""
    high, low = ENCODER - 12, DECODER - 22
    along = [(118, 184, high), (244, 354, high), (420, 514, high)]
    along += [(351, 404, low), (461, 514, low), (571, 614, low), (671, 709, low)]
    ways = [[(start, y), (end, y)] for start, end, y in along]
    ways.append([(214, ENCODER + 60), (214, DECODER - 54)])
    ways.append([(540, ENCODER + 60), (540, 250), (325, 250), (325, DECODER - 54)])
    under = DECODER + 66
    ways.append([(240, DECODER - 8), (270, DECODER - 8), (270, under), (434, under),
                 (434, DECODER + 56)])  # fmt: skip
    return "".join(_arrow(way) for way in ways)


def _arrow(way: Sequence[tuple[float, float]]) -> str:
    """A line along the points with a head at its end; its last piece is level or upright."""
    (x1, y1), (x2, y2) = way[-2:]
    dx, dy = 5 * np.sign(x2 - x1), 5 * np.sign(y2 - y1)
    head = [(x2 - dx - dy, y2 - dy - dx), (x2, y2), (x2 - dx + dy, y2 - dy + dx)]
    return svg.polyline(way, thick=1.5) + svg.polyline(head, thick=1.5)


def _remark(side: int, output_stride: int) -> list[str]:
    last = output_stride * (sides(side, output_stride)[1] - 1)
    moved = []
    for aligned in (True, False):
        off = offsets(side, output_stride, aligned)
        low, high = sorted((round(float(off[0]), 1) + 0.0, round(float(off[-1]), 1) + 0.0))
        moved.append(f"by {low:g}" if low == high else f"by {low:g} to {high:g}")
    return [
        f"The last deep unit looks at pixel {last}; the last pixel is {side - 1}.",
        f"Against the shallow map, the stretch moves the deep one {moved[0]} pixels with aligned "
        f"corners, {moved[1]} without.",
    ]


def stacked_bars(parts: Sequence[tuple[str, Sequence[tuple[str, float]]]], unit: str) -> Picture:
    """One bar per network, cut into its parts, each with its number if there is room.

    parts: (network, its (part, value) in order), the same parts for all.
    """
    longest = max(sum(value for _, value in values) for _, values in parts)
    names = [name for name, _ in parts[0][1]]
    fills = dict(zip(names, (SKY, "#f8dfae", "#7fceb9"), strict=False))
    scale, left = 480 / longest, 250
    drawn, told = _key(fills), []
    for row, (network, values) in enumerate(parts):
        x, y = left, 44 + 34 * row
        drawn.append(svg.text(left - 10, y + 17, network, anchor="end"))
        for name, value in values:
            width = scale * value
            drawn.append(svg.rect(x, y, width, 24, fill=fills[name], stroke=INK, thick=0.7))
            if width > 40:
                middle = x + width / 2
                drawn.append(svg.text(middle, y + 17, f"{value:.1f}", size=12, anchor="middle"))
            x += width
        total = sum(value for _, value in values)
        drawn.append(svg.text(x + 8, y + 17, f"{total:.2f} {unit}"))
        pieces = ", ".join(f"{name} {value:.2f}" for name, value in values)
        told.append(f"{network}: {pieces}, together {total:.2f} {unit}")
    height = 56 + 34 * len(parts)
    return from_svg(svg.document(WIDTH + 20, height, drawn), "; ".join(told) + ".")


def _key(fills: dict[str, str]) -> list[str]:
    drawn = []
    for number, (name, fill) in enumerate(fills.items()):
        drawn.append(svg.rect(250 + 130 * number, 12, 16, 16, fill=fill, stroke=INK, thick=0.7))
        drawn.append(svg.text(272 + 130 * number, 25, name))
    return drawn
