"""The drawings of chapter 11: the network with its two paths, and where a stretch puts units."""

from collections.abc import Sequence

import numpy as np

from dlseg.book import INK, SKY, Picture, from_svg, svg
from support.maps import key
from support.stages import BACKBONE, HEAD, IMAGE, RATE, Box, network_picture

WIDTH = 820
# The ways between the maps, from (row, column) to (row, column): along the encoder, down to the
# decoder twice, along it.
LINKS = (
    *(((0, column), (0, column + 1)) for column in range(3)),
    ((0, 1), (1, 1)),
    ((0, 3), (1, 2)),
    ((1, 1), (1, 3)),
    *(((1, column), (1, column + 1)) for column in range(2, 6)),
)


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


def v3plus_picture(output_stride: int = 16, side: int = 513) -> Picture:
    """DeepLab v3+ on ResNet-101 or Xception-65 as its maps: above the encoder, below the decoder.

    side: of the square image, pixels. The squares grow with the root of the side, not with it.
    """
    shallow, deep = sides(side, output_stride)
    rates = ", ".join(str(rate * 16 // output_stride) for rate in (6, 12, 18))
    encoder = [
        _box("image", side, 3, IMAGE),
        _box("shallow map", shallow, 256, BACKBONE),
        _box("deep map", deep, 2048, BACKBONE),
        _box("ASPP", deep, 256, RATE, f"rates {rates}"),
    ]
    decoder = [
        _box("1x1", shallow, 48),
        _box("stretched", shallow, 256),
        _box("joined", shallow, 304),
        _box("two 3x3", shallow, 256),
        _box("1x1: scores", shallow, 21),
        _box("stretched", side, 21),
    ]
    title = f"DeepLab v3+, output stride {output_stride}, image of {side} x {side} pixels"
    remark = _remark(side, output_stride)
    maps = ", ".join(
        f"{box.name} {box.side} x {box.side} with {box.lines[0].split()[0]}"
        for box in encoder + decoder
    )
    alt = f"{title}. Encoder, then decoder: {maps} channels. ASPP has rates {rates}. "
    alt += " ".join(remark)
    rows = [encoder, [None, *decoder]]
    return network_picture(title, rows, alt, links=LINKS, notes=remark, by_root=True)


def _box(name: str, side: int, channels: int, kind: str = HEAD, *lines: str) -> Box:
    return Box(name, side, (f"{channels} channels", *lines), kind)


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
    fills = zip(names, (SKY, "#f8dfae", "#7fceb9"), strict=False)
    looks = {name: {"fill": fill, "stroke": INK, "thick": 0.7} for name, fill in fills}
    scale, left = 480 / longest, 250
    drawn, sentences = [key(looks.items(), left, 12)], []
    for row, (network, values) in enumerate(parts):
        x, y = left, 44 + 34 * row
        drawn.append(svg.text(left - 10, y + 17, network, anchor="end"))
        for name, value in values:
            width = scale * value
            drawn.append(svg.rect(x, y, width, 24, **looks[name]))
            if width > 40:
                middle = x + width / 2
                drawn.append(svg.text(middle, y + 17, f"{value:.1f}", size=12, anchor="middle"))
            x += width
        total = sum(value for _, value in values)
        drawn.append(svg.text(x + 8, y + 17, f"{total:.2f} {unit}"))
        pieces = ", ".join(f"{name} {value:.2f}" for name, value in values)
        sentences.append(f"{network}: {pieces}, together {total:.2f} {unit}")
    height = 56 + 34 * len(parts)
    return from_svg(svg.document(WIDTH + 20, height, drawn), "; ".join(sentences) + ".")
