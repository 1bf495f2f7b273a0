"""The drawings of receptive fields: over a photograph, at the border of a map, and pixel by pixel."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from dlseg.arithmetic import Field, Layer, coverage, stack_fields, taps, valid_tap_fractions
from dlseg.book import svg
from dlseg.book.diagrams import touched_units
from dlseg.book.maps import coloured, grey
from dlseg.book.photograph import photograph
from dlseg.book.picture import Picture, from_svg
from dlseg.book.style import BLUE, DASHES, FAINT, INK, ORANGE, PAPER, RED, SKY

SIDE = 258  # of a square picture, in pixels of the drawing
PHOTO = 128  # pixels of the photograph along one side
MIDDLE = 64  # the photograph's pixel that the observed unit stands on
LEVELS = 6  # layers that the cone has room for


def field_picture(layers: Sequence[Layer]) -> Picture:
    """What one unit sees of a photograph, what of that it reads, and through which layers.

    layers: at most six, first layer first, with an odd field of at most 127 pixels.
    """
    fields = stack_fields(layers)
    size = fields[-1].size
    read = np.array(coverage(layers)) > 0  # (size,)
    alt = (
        f"{len(layers)} layers, rates {[x.rate for x in layers]}, strides "
        f"{[x.stride for x in layers]}: a frame of {size} x {size} pixels on a face; of these "
        f"{read.sum() ** 2} are read, the others are blank."
    )
    middle, right = 10 + SIDE + 20, 10 + 2 * (SIDE + 20)
    parts = [
        svg.text(10, 18, f"the photograph, {PHOTO} x {PHOTO} pixels", size=12),
        svg.pixels(10, 28, SIDE, SIDE, _photograph()),
        svg.rect(10, 28, SIDE, SIDE, stroke=FAINT),
        _frame(10, 28, size),
        svg.text(middle, 18, f"what the unit reads of its {size} x {size}", size=12),
        svg.pixels(middle, 28, SIDE, SIDE, _read(size, read)),
        svg.rect(middle, 28, SIDE, SIDE, stroke=RED, thick=2),
        svg.text(right, 18, "field behind", size=12),
        *(_row(right, 52 + 26 * number, *pair) for number, pair in
          enumerate(zip(layers, fields, strict=True), start=0)),
        svg.text(right, 236, f"pixels read: {read.sum() ** 2} of {size**2}", size=13),
        svg.text(right, 258, f"neighbours stand {fields[-1].stride} apart", size=13),
        _cone(layers, 28 + SIDE + 44),
    ]  # fmt: skip
    return from_svg(svg.document(820, 28 + SIDE + 44 + 36 * LEVELS + 48, parts), alt)


@cache
def _photograph() -> np.ndarray:
    """In 32 grey levels: nobody sees the difference, and the page is half as heavy."""
    return grey(photograph(PHOTO)) // 8 * 8


def _read(size: int, read: np.ndarray) -> np.ndarray:
    first = MIDDLE - size // 2
    patch = _photograph()[first : first + size, first : first + size]
    return np.where(read[:, None] & read[None, :], patch, 255).astype(np.uint8)


def _frame(x: float, y: float, size: int) -> str:
    """The field on the photograph: a dark and a light line, visible on any ground."""
    pixel = SIDE / PHOTO
    corner = (MIDDLE - size // 2) * pixel
    place = (x + corner, y + corner, size * pixel, size * pixel)
    return svg.rect(*place, stroke=PAPER, thick=4) + svg.rect(*place, stroke=RED, thick=2)


def _row(x: float, y: float, layer: Layer, field: Field) -> str:
    words = f"rate {layer.rate}, stride {layer.stride}:"
    return svg.text(x, y, words, size=13) + svg.text(x + 150, y, str(field.size), size=13)


def _cone(layers: Sequence[Layer], top: float) -> str:
    """The units of every level along one row; filled are those that the top unit depends on."""
    layers = [Layer(x.kernel_size, x.stride, 0, x.rate) for x in layers]
    fields = [Field(), *stack_fields(layers)]
    touched = touched_units(layers)
    size = max(45, fields[-1].size + 2)
    cell, shift = 650 / size, (size - fields[-1].size) // 2
    base = top + 36 * LEVELS

    def place(level: int, unit: int) -> tuple[float, float]:
        field = fields[level]
        return 150 + (shift + field.start + unit * field.stride + 0.5) * cell, base - 36 * level

    parts = [_links(layers, touched, place)]
    for level in range(len(fields)):
        seen = [unit for unit in range(-size, 2 * size) if 150 < place(level, unit)[0] < 800]
        rest = [unit for unit in seen if unit not in touched[level]]
        side = min(0.8 * cell, 11)
        parts.append(_squares([place(level, unit) for unit in rest], side, PAPER))
        parts.append(_squares([place(level, unit) for unit in touched[level]], side, BLUE))
        name = f"layer {level}" if level else "row of pixels"
        parts.append(svg.text(10, base - 36 * level + 4, name, size=12))
    left, right = 150 + shift * cell, 150 + (shift + fields[-1].size) * cell
    parts += [svg.line(left, base + 16, right, base + 16, colour=RED, thick=2)]
    words = f"field {fields[-1].size}"
    parts.append(svg.text((left + right) / 2, base + 34, words, anchor="middle"))
    return "".join(parts)


def _links(layers: Sequence[Layer], touched: list[list[int]], place) -> str:
    """All lines between units and what they read, as one path."""
    ends = (
        (place(level, index), place(level + 1, unit))
        for level, layer in enumerate(layers)
        for unit in touched[level + 1]
        for index in taps(unit, layer.kernel_size, layer.stride, 0, layer.rate)
    )
    path = "".join(f"M{x:.1f} {y:g}L{u:.1f} {v:g}" for (x, y), (u, v) in ends)
    return f'<path d="{path}" stroke="{BLUE}" stroke-width="0.7" opacity="0.4"/>'


def _squares(centres, side: float, fill: str) -> str:
    """Equal squares as one path."""
    step = f"h{side:.1f}v{side:.1f}h-{side:.1f}z"
    path = "".join(f"M{x - side / 2:.1f} {y - side / 2:.1f}{step}" for x, y in centres)
    return f'<path d="{path}" fill="{fill}" stroke="#9aa3ad" stroke-width="0.6"/>'


def valid_tap_picture(size: int = 65, rate: int = 12) -> Picture:
    """How many taps of a 3x3 kernel lie on a map, position by position and for every rate.

    size: side of the map; rate: any from 1 to 64.
    """
    shares = valid_tap_fractions(size, rate)
    listed = ", ".join(
        f"{_percent(share)} of positions {taps_} tap{'s' * (taps_ > 1)}"
        for taps_, share in sorted(shares.items(), reverse=True)
        if share
    )
    parts = [
        svg.text(10, 18, f"map of {size} x {size}, rate {rate}: taps on the map", size=12),
        _tap_map(10, 28, size, rate),
        _curves(360, 28, size, rate),
    ]
    alt = f"A {size} x {size} map under a 3x3 kernel of rate {rate}: {listed}."
    return from_svg(svg.document(820, 28 + SIDE + 56, parts), alt)


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0.001 < share < 0.999 else f"{share:.2%}"


def _tap_map(x: float, y: float, size: int, rate: int) -> str:
    """Nine rectangles at most: along one axis the count changes at `rate` and `size - rate`."""
    edges = sorted({0, min(rate, size), max(size - rate, 0), size})
    counts = [
        sum(0 <= start + shift < size for shift in (-rate, 0, rate)) for start in edges[:-1]
    ]
    pixel = SIDE / size
    parts = []
    for top, bottom, rows in zip(edges, edges[1:], counts, strict=False):
        for left, right, columns in zip(edges, edges[1:], counts, strict=False):
            wide, high = (right - left) * pixel, (bottom - top) * pixel
            here = (x + left * pixel, y + top * pixel)
            parts.append(svg.rect(*here, wide, high, fill=_shade(rows * columns), stroke=PAPER))
            if min(wide, high) >= 13:
                place = (here[0] + wide / 2, here[1] + high / 2 + 5)
                colour = PAPER if rows * columns < 5 else INK
                words = str(rows * columns)
                parts.append(svg.text(*place, words, anchor="middle", colour=colour))
    return "".join([*parts, svg.rect(x, y, SIDE, SIDE, stroke=INK)])


def _shade(count: int) -> str:
    red, green, blue = coloured(np.array([[count]]), 0, 9)[0, 0]
    return f"#{red:02x}{green:02x}{blue:02x}"


@cache
def _shares(size: int) -> list[dict[int, float]]:
    return [valid_tap_fractions(size, rate) for rate in range(1, 65)]


def _curves(x: float, y: float, size: int, rate: int) -> str:
    """The shares of 9, 4 and 1 taps against the rate, and a mark at the current one."""
    wide, high = 380, SIDE

    def place(at: float, share: float) -> tuple[float, float]:
        return x + 40 + (at - 1) / 63 * wide, y + (1 - share) * high

    parts = [svg.text(x + 40, y - 10, "share of positions with this many taps", size=12)]
    for share in (0, 0.25, 0.5, 0.75, 1):
        left, height = place(1, share)
        parts.append(svg.line(left, height, left + wide, height, colour=FAINT))
        parts.append(svg.text(left - 6, height + 4, f"{share:.0%}", size=11, anchor="end"))
    for at in (1, 6, 12, 18, 24, 32, 48, 64):
        parts.append(svg.text(place(at, 0)[0], y + high + 16, str(at), size=11, anchor="middle"))
    parts.append(svg.text(x + 40 + wide / 2, y + high + 34, "rate", size=12, anchor="middle"))
    parts.append(svg.line(*place(rate, 0), *place(rate, 1), thick=1.5))
    for count, colour, dash in ((9, BLUE, ""), (4, ORANGE, "7 4"), (1, RED, "2 3")):
        curve = [place(at, shares[count]) for at, shares in enumerate(_shares(size), start=1)]
        parts.append(svg.polyline(curve, colour=colour, dash=dash, thick=2.5))
        share = _shares(size)[rate - 1][count]
        at = place(rate, share)
        parts.append(svg.dot(*at, 4, fill=colour))
    parts.append(_key(x + 40, y + high + 50))
    return "".join(parts)


def _key(x: float, y: float) -> str:
    parts = []
    for number, (count, colour, dash) in enumerate(
        (("9 taps", BLUE, ""), ("4 taps", ORANGE, "7 4"), ("1 tap", RED, "2 3"))
    ):
        left = x + 130 * number
        parts.append(svg.polyline([(left, y - 4), (left + 40, y - 4)], colour=colour, dash=dash))
        parts.append(svg.text(left + 48, y, count, size=12))
    return "".join(parts)
