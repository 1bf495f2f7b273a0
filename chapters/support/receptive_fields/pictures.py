"""The drawings of receptive fields: over a photograph, at the border of a map, and by weight."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image

from dlseg import data
from dlseg.arithmetic import (
    Field,
    Layer,
    coverage,
    middle_part,
    path_spread,
    stack_fields,
    valid_tap_fractions,
)
from dlseg.book import BLUE, FAINT, INK, ORANGE, PAPER, RED, SKY, Picture, from_svg, svg
from support import released
from support.maps import coloured, grey, hexadecimal, panel
from support.photographs import photograph
from support.shown import Shown, side_by_side
from support.taps import cone

SIDE = 258  # of a square picture, in pixels of the drawing
PHOTO = 128  # pixels of the photograph along one side
MIDDLE = 64  # the photograph's pixel that the observed unit stands on
LEVELS = 6  # layers that the cone has room for
UNIT = {"stroke": RED, "thick": 2}  # the frame of what a unit sees
# Taps on the map, and how their curve is drawn.
CURVES = ((9, BLUE, ""), (4, ORANGE, "7 4"), (1, RED, "2 3"))


def field_picture(layers: Sequence[Layer], title: str) -> Picture:
    """What one unit sees of a photograph, what of that it reads, and through which layers.

    layers: at most six, first layer first, with an odd field of at most 127 pixels.
    title: a few words for the stack.
    """
    fields = stack_fields(layers)
    size = fields[-1].size
    read = np.array(coverage(layers)) > 0  # (size,)
    alt = (
        f"{title}, {_counted(layers)}: "
        f"a frame of {size} x {size} pixels on a face, of which {read.sum() ** 2} are read; "
        f"units stand {fields[-1].stride} apart."
    )
    middle, right = 10 + SIDE + 20, 10 + 2 * (SIDE + 20)
    parts = [
        panel(10, SIDE, _photograph(), f"the photograph, {PHOTO} x {PHOTO} pixels", stroke=FAINT),
        _frame(10, 28, size),
        panel(
            middle, SIDE, _read(size, read), f"what the unit reads of its {size} x {size}", **UNIT
        ),
        svg.text(right, 18, title, size=12),
        _table(right, 48, layers, fields),
        svg.text(right, 240, f"pixels read: {read.sum() ** 2} of {size**2}", size=13),
        svg.text(right, 264, f"neighbours stand {fields[-1].stride} apart", size=13),
        cone(layers, 28 + SIDE + 44 + 36 * LEVELS, 36),
    ]
    return from_svg(svg.document(820, 28 + SIDE + 44 + 36 * LEVELS + 48, parts), alt)


def _counted(layers: Sequence[Layer]) -> str:
    return "1 layer" if len(layers) == 1 else f"{len(layers)} layers"


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


def _table(x: float, y: float, layers: Sequence[Layer], fields: Sequence[Field]) -> str:
    rows = [("layer", "rate", "stride", "field")]
    for number, (layer, field) in enumerate(zip(layers, fields, strict=True), start=1):
        rows.append((str(number), str(layer.rate), str(layer.stride), str(field.size)))
    return "".join(
        svg.text(x + 34 + 58 * place, y + 26 * number, cell, size=12, anchor="end")
        for number, row in enumerate(rows)
        for place, cell in enumerate(row)
    )


def valid_tap_picture(size: int = 65, rate: int = 12) -> Picture:
    """How many taps of a 3x3 kernel lie on a map, position by position and for every rate.

    size: side of the map; rate: any from 1 to 64.
    """
    shares = valid_tap_fractions(size, rate)
    listed = ", ".join(
        f"{count} on {_percent(share)}"
        for count, share in sorted(shares.items(), reverse=True)
        if share
    )
    parts = [
        svg.text(10, 18, f"map of {size} x {size}, rate {rate}: taps on the map", size=12),
        _tap_map(10, 28, size, rate),
        _curves(360, 28, size, rate),
    ]
    alt = f"Taps on a {size} x {size} map at rate {rate}: {listed} of the units."
    return from_svg(svg.document(820, 28 + SIDE + 56, parts), alt)


def _percent(share: float) -> str:
    if share in (0, 1):
        return f"{share:.0%}"
    return f"{share:.2%}" if share < 0.001 else f"{share:.1%}"


def _tap_map(x: float, y: float, size: int, rate: int) -> str:
    """Nine rectangles at most: along one axis the count changes at `rate` and `size - rate`."""
    edges = sorted({0, min(rate, size), max(size - rate, 0), size})
    counts = [sum(0 <= start + shift < size for shift in (-rate, 0, rate)) for start in edges[:-1]]
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
                count = str(rows * columns)
                parts.append(svg.text(*place, count, anchor="middle", colour=colour))
    return "".join([*parts, svg.rect(x, y, SIDE, SIDE, stroke=INK)])


def _shade(count: int) -> str:
    return hexadecimal(coloured(np.array([[count]]), 0, 9)[0, 0])


@cache
def _shares(size: int) -> list[dict[int, float]]:
    return [valid_tap_fractions(size, rate) for rate in range(1, 65)]


def _curves(x: float, y: float, size: int, rate: int) -> str:
    """The shares of 9, 4 and 1 taps against the rate, and a mark at the current one."""
    wide, high = 380, SIDE

    def place(at: float, share: float) -> tuple[float, float]:
        return x + 40 + (at - 1) / 63 * wide, y + (1 - share) * high

    parts = [svg.text(x + 40, y - 10, "share of units with this many taps", size=12)]
    for share in (0, 0.25, 0.5, 0.75, 1):
        left, height = place(1, share)
        parts.append(svg.line(left, height, left + wide, height, colour=FAINT))
        parts.append(svg.text(left - 6, height + 4, f"{share:.0%}", size=11, anchor="end"))
    for at in (1, 6, 12, 18, 24, 32, 48, 64):
        parts.append(svg.text(place(at, 0)[0], y + high + 16, str(at), size=11, anchor="middle"))
    parts.append(svg.text(x + 40 + wide / 2, y + high + 34, "rate", size=12, anchor="middle"))
    parts.append(svg.line(*place(rate, 0), *place(rate, 1), thick=1.5))
    for number, (count, colour, dash) in enumerate(CURVES):
        points = [place(at, shares[count]) for at, shares in enumerate(_shares(size), start=1)]
        parts.append(svg.polyline(points, colour=colour, dash=dash, thick=2.5))
        share = _shares(size)[rate - 1][count]
        parts.append(svg.dot(*place(rate, share), 4, fill=colour))
        left, low = x + 40 + 135 * number, y + high + 54
        parts.append(
            svg.polyline([(left, low - 4), (left + 34, low - 4)], colour=colour, dash=dash)
        )
        label = f"{count} {'tap' if count == 1 else 'taps'}: {_percent(share)}"
        parts.append(svg.text(left + 40, low, label, size=12))
    return "".join(parts)


def used_picture(layers: Sequence[Layer], title: str) -> Picture:
    """What one unit sees of a photograph, what of it counts, and how much each column counts.

    A pixel counts by the number of paths from it to the unit: the gradient where all weights are 1.

    layers: first layer first, with an odd field of at most 127 pixels. title: a few words.
    """
    paths = np.array(coverage(layers), dtype=float)  # (size,)
    share = paths / paths.sum()
    size, width = len(paths), path_spread(layers)
    core = middle_part(share)
    alt = (
        f"{title}, {_counted(layers)}: of a field {size} pixels wide, the middle {core} carry "
        f"95 percent of the weight; standard deviation {width:.2f} pixels."
    )
    first = MIDDLE - size // 2
    patch = _photograph()[first : first + size, first : first + size]
    weight = np.outer(share, share) / share.max() ** 2
    faded = (255 - (255 - patch) * weight).astype(np.uint8)
    parts = [
        panel(10, SIDE, patch, f"{title}: {size} x {size}", **UNIT),
        panel(30 + SIDE, SIDE, faded, "the same, faded by weight", **UNIT),
        _profile(60 + 2 * SIDE, 28, share, width, core),
    ]
    return from_svg(svg.document(80 + 3 * SIDE, 28 + SIDE + 48, parts), alt)


def _profile(x: float, y: float, share: np.ndarray, width: float, core: int) -> str:
    """Weight of each column as bars, and the normal curve of the same width as a dashed line."""
    size, high = len(share), SIDE - 20
    bar, top = SIDE / size, max(share.max(), 0.4 / width)
    offset = np.arange(size) - (size - 1) / 2
    bars = "".join(
        f"M{x + i * bar:.1f} {y + high:g}v{-high * s / top:.1f}h{bar:.1f}v{high * s / top:.1f}z"
        for i, s in enumerate(share)
    )
    fine = np.linspace(offset[0] - 0.5, offset[-1] + 0.5, 80)
    normal = np.exp(-(fine**2) / (2 * width**2)) / (width * (2 * np.pi) ** 0.5)
    curve = np.stack([x + (fine - offset[0] + 0.5) * bar, y + high * (1 - normal / top)], 1)
    left, right = x + (size - core) / 2 * bar, x + (size + core) / 2 * bar
    line = y + high + 12
    parts = [
        svg.text(x, 18, "weight by column; dashed: normal curve", size=12),
        f'<path d="{bars}" fill="{SKY}" stroke="{BLUE}" stroke-width="0.5"/>',
        svg.polyline(curve, colour=INK, dash="6 4"),
        svg.line(x, y + high, x + SIDE, y + high),
        svg.line(left, line, right, line, colour=BLUE, thick=3),
        svg.text(x, line + 22, f"bar: 95% of the weight, {core} of {size} columns", size=12),
        svg.text(x, line + 42, f"standard deviation {width:.2f} pixels", size=12),
    ]
    return "".join(parts)


def looks_picture(name: str, what: str) -> Picture:
    """A photograph, and it again, lit up where it moves a number of the trained network.

    what: "unit" or "score", see `released.looks`. Brightness is the root of the gradient's size.
    """
    image, root = data.photograph(name), released.kept_looks(name, what)
    light = Image.fromarray(np.uint8(255 * np.clip(2 * root, 0, 1)))
    light = np.asarray(light.resize(image.shape[1::-1], Image.Resampling.BILINEAR)) / 255
    lit = np.uint8(image * (0.15 + 0.85 * light[..., None]))
    kind = released.LOOKING[name][2]
    title = {"unit": "what moves a unit", "score": f"what moves the score of {kind}"}[what]
    near = half_within(name, what)
    alt = (
        f"The photograph {name}, and {title}: bright around the unit and along edges; half of the "
    )
    items = [Shown(name, image), Shown(title, lit)]
    return side_by_side(items, f"{alt}gradient lies within {near:.0f} pixels.", light=True)


def half_within(name: str, what: str) -> float:
    """The distance from the unit, in pixels, within which half of the gradient lies.

    Units stand 16 pixels apart, 8 of those that are kept.
    """
    weight = released.kept_looks(name, what) ** 2
    down, across, _ = released.LOOKING[name]
    rows, columns = np.indices(weight.shape)
    height, width = weight.shape
    row, column = 8 * round(down * (height - 1) / 8), 8 * round(across * (width - 1) / 8)
    far = 2 * np.hypot(rows - row, columns - column)
    order = np.argsort(far, axis=None)
    share = np.cumsum(weight.ravel()[order]) / weight.sum()
    return float(far.ravel()[order][np.searchsorted(share, 0.5)])
