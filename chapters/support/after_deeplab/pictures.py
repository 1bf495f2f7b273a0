"""The drawings of chapter 17: steps, queries, taps, fields and things."""

from collections.abc import Mapping

import numpy as np

from dlseg.book import (
    BLUE,
    CYCLE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    PAPER,
    RED,
    SKY,
    Picture,
    from_svg,
    svg,
)
from support.after_deeplab.deformable import regular_taps
from support.after_deeplab.fields import SPAN, Measured, held_within
from support.after_deeplab.holes_in_time import doubling, field_in_time
from support.after_deeplab.neighbourhood import neighbours
from support.maps import coloured, panel, panels, rgb

GROUND = "#eef2f6"  # of pixels that nobody looks at
GRID = "#d5dae1"
PAST, FUTURE = 64, 4  # steps that are drawn


# Holes in time


def time_picture(rates: str = "doubling", layers: int = 4, kernel_size: int = 2) -> Picture:
    """What the output of now sees of the past, layer by layer, through causal convolutions.

    rates: "doubling", "all 1" or "all 4", of the layers from below.
    """
    chosen = {"doubling": doubling(2 ** (layers - 1)), "all 1": [1] * layers, "all 4": [4] * layers}
    stack, step, base = chosen[rates], 52, 40 + 52 * layers
    levels = [{0}]  # of the last output, downwards: steps before now that are read
    for rate in reversed(stack):
        levels.append({back + rate * tap for back in levels[-1] for tap in range(kernel_size)})
    cell, left = 620 / (PAST + FUTURE), 150
    parts = [_future(left + PAST * cell, base, cell, step * layers)]

    def place(level: int, back: int) -> tuple[float, float]:
        return left + (PAST - 1 - back + 0.5) * cell, base - step * level

    for level, rate in enumerate(stack):
        above, kernel = levels[layers - level - 1], range(kernel_size)
        links = [(back, back + rate * tap) for back in above for tap in kernel]
        parts.append(_lines((place(level + 1, a), place(level, b)) for a, b in links))
    for level in range(layers + 1):
        read = levels[layers - level]
        name = "sequence" if level == 0 else f"layer {level}: rate {stack[level - 1]}"
        parts.append(svg.text(8, base - step * level + 4, name, size=12))
        for back in range(PAST):
            look = {"fill": BLUE} if back in read else {"fill": PAPER, "stroke": FAINT}
            x, y = place(level, back)
            parts.append(svg.rect(x - 3, y - 3, 6, 6, **look))
    size = field_in_time(kernel_size, stack)
    seen = len(levels[-1])
    words = f"field {size} steps, {seen} of them read"
    parts.append(svg.text(left, base + 30, words, size=13, colour=INK if seen == size else RED))
    given = f"{layers} causal layers, kernel {kernel_size}, rates {', '.join(map(str, stack))}"
    return from_svg(svg.document(800, base + 44, parts), f"{given}: {words}.")


def _future(x: float, base: float, cell: float, height: float) -> str:
    """The steps after now, which nobody reads."""
    return svg.rect(
        x, base - height - 14, FUTURE * cell, height + 28, fill=GROUND, stroke=FAINT, dash="4 3"
    ) + svg.text(x + 4, base + 30, "future", size=12)


def _lines(ends) -> str:
    path = "".join(f"M{x:.1f} {y:.1f}L{u:.1f} {v:.1f}" for (x, y), (u, v) in ends)
    return f'<path d="{path}" stroke="{BLUE}" stroke-width="0.8" opacity="0.5" fill="none"/>'


# Attention with holes

SIDE = 15  # pixels of the map of `query_picture`
QUERIES = {"in the middle": (7, 7), "at an edge": (7, 1), "in a corner": (0, 14)}


def query_picture(rate: int = 2, heads: int = 1, query: str = "in the middle") -> Picture:
    """The pixels that a query may ask, by the heads that may: each cell bears their numbers.

    rate: of the first head; every further one has a rate that is one larger. query: a key of
    QUERIES.
    """
    row, column = QUERIES[query]
    rates = range(rate, rate + heads)
    who: dict[tuple[int, int], list[int]] = {}
    for head, one in enumerate(rates, start=1):
        table = neighbours(SIDE, 3, one)
        for i in table[row].tolist():
            for j in table[column].tolist():
                who.setdefault((i, j), []).append(head)
    cell, left, top = 24, 10, 34
    title = f"3 x 3 keys; rates of the heads: {', '.join(map(str, rates))}"
    parts = [svg.text(left, 20, title, size=14)]
    parts.append(svg.rect(left, top, SIDE * cell, SIDE * cell, fill=GROUND))
    for (i, j), numbers in sorted(who.items()):
        x, y = left + j * cell, top + i * cell
        shade = SKY if len(numbers) == 1 else BLUE
        parts.append(svg.rect(x, y, cell, cell, fill=shade))
        words, white = "".join(map(str, numbers)), len(numbers) > 1
        size = 12 if len(words) < 4 else 9
        colour = PAPER if white else INK
        look = {"size": size, "anchor": "middle", "colour": colour}
        parts.append(svg.text(x + cell / 2, y + cell / 2 + 4, words, **look))
    parts.append(svg.grid(left, top, SIDE, SIDE, cell, colour=GRID))
    square = left + column * cell, top + row * cell
    parts.append(svg.rect(*square, cell, cell, stroke=RED, thick=3))
    span = 2 * max(rates) + 1
    words = [
        f"{len(who)} pixels may be asked",
        f"of {span} x {span} = {span**2} that they span",
        "number: the head that may",
        "red: the query",
    ]
    x = left + SIDE * cell + 20
    parts += [svg.text(x, top + 20 + 24 * n, line, size=13) for n, line in enumerate(words)]
    alt = f"A query {query} of {SIDE} x {SIDE} pixels, {title}: {words[0]}, {words[1]}."
    return from_svg(svg.document(x + 240, top + SIDE * cell + 12, parts), alt)


def gridding_picture(masks: Mapping[str, np.ndarray]) -> Picture:
    """What a unit of several stacks sees, white where it is blind: gradient supports, bool (S, S).

    masks: by the names that stand above them.
    """
    blue = rgb(BLUE)
    shown = [np.where(mask[..., None], blue, 255).astype(np.uint8) for mask in masks.values()]
    told = [f"{name}: {mask.sum()} pixels" for name, mask in masks.items()]
    return panels(shown, list(masks), f"Pixels that one unit sees. {'; '.join(told)}.")


# Taps that move

HIGH = 13  # pixels of the map of `taps_picture`


def moved_taps(rate: int, moved: float) -> np.ndarray:
    """Nine taps on their way from a grid to a ring of radius 5 around the middle: (9, 2)."""
    regular = regular_taps(3, rate).numpy().astype(float)
    angle = np.arctan2(regular[:, 0], regular[:, 1])
    ring = 5 * np.stack([np.sin(angle), np.cos(angle)], 1)
    ring[4] = 0  # the tap in the middle stays
    return (1 - moved) * regular + moved * ring


def taps_picture(rate: int = 2, moved: float = 0.5) -> Picture:
    """Taps of a deformable convolution: rings where they begin, dots where they are, pixels read.

    moved: the share of their way, 0 to 1, to the outline of a disc of radius 5.
    """
    taps, cell, left, top = moved_taps(rate, moved), 26, 10, 34
    weights = read_weights(taps)
    title = f"3 x 3 taps, rate {rate}, moved by {moved:g} of their way"
    shade = coloured(1 - np.minimum(weights, 1), 0, 1)
    shade[weights == 0] = rgb(GROUND)
    parts = [
        svg.text(left, 20, title, size=14),
        svg.pixels(left, top, HIGH * cell, HIGH * cell, shade),
        svg.grid(left, top, HIGH, HIGH, cell, colour=GRID),
    ]
    middle = HIGH // 2 + 0.5

    def place(down: float, right: float) -> tuple[float, float]:
        return left + (middle + right) * cell, top + (middle + down) * cell

    parts.append(svg.ring(*place(0, 0), 5 * cell, colour=GREEN, thick=1.5))
    for start, end in zip(regular_taps(3, rate).tolist(), taps.tolist(), strict=True):
        parts.append(svg.line(*place(*start), *place(*end), colour=ORANGE, thick=2))
        parts.append(svg.ring(*place(*start), 6, colour=ORANGE, thick=1.5))
        parts.append(svg.dot(*place(*end), 4.5))
    read = int((weights > 0).sum())
    words = ["rings: taps of the rate", "dots: where offsets put them", f"{read} pixels are read,"]
    words += ["the darker the more they count", "green: the outline of a thing"]
    x = left + HIGH * cell + 20
    parts += [svg.text(x, top + 20 + 24 * n, line, size=13) for n, line in enumerate(words)]
    alt = f"{title} to the outline of a disc: {read} pixels are read, bilinearly."
    return from_svg(svg.document(x + 230, top + HIGH * cell + 12, parts), alt)


def read_weights(taps: np.ndarray) -> np.ndarray:
    """How much each of HIGH x HIGH pixels counts for taps (n, 2) off their middle, bilinearly."""
    places = np.arange(HIGH) - HIGH // 2
    down, right = (np.clip(1 - np.abs(places - one[:, None]), 0, 1) for one in taps.T)  # (n, HIGH)
    return np.einsum("nh,nw->hw", down, right).round(9)  # sines leave traces of 1e-16


# Large kernels


def fields_picture(fields: Mapping[str, Measured]) -> Picture:
    """Effective fields side by side: squared gradients, each on a logarithmic scale of its own."""
    side, parts, told = 232, [], []
    for number, (name, (energy, taps)) in enumerate(fields.items()):
        shade = coloured(1 + np.log10(np.maximum(energy / energy.max(), 1e-4)) / 4, 0, 1)
        shade[energy == 0] = 255
        row, column = divmod(number, 3)
        drawn = panel(10 + column * (side + 16), side, shade, f"{name}: {taps} taps")
        parts.append(f'<g transform="translate(0 {row * (side + 44)})">{drawn}</g>')
        told.append(f"{name}, {taps} taps: {held_within(energy)} pixels")
    alt = f"Effective fields within {SPAN} x {SPAN} pixels; width that holds 90 % of the energy. "
    rows = -(-len(fields) // 3)
    document = svg.document(3 * (side + 16) + 4, rows * (side + 44), parts)
    return from_svg(document, f"{alt}{'; '.join(told)}.")


# Which thing


def numbered(numbers: np.ndarray) -> np.ndarray:
    """Numbers of things as colours, 0 white: integers (H, W) to uint8 (H, W, 3)."""
    palette = np.array([(255, 255, 255), *map(rgb, CYCLE)], np.uint8)
    return palette[np.where(numbers > 0, 1 + (numbers - 1) % len(CYCLE), 0)]


def things_picture(
    image: np.ndarray, owner: np.ndarray, centres: np.ndarray, found: np.ndarray
) -> Picture:
    """A scene, its things, the hills over their middles, and the things that were found.

    image: uint8 (H, W, 3). owner, found: numbers (H, W). centres: (H, W).
    """
    images = [image, numbered(owner), coloured(np.clip(centres, 0, 1), 0, 1), numbered(found)]
    there, here = (int((np.unique(one) > 0).sum()) for one in (owner, found))
    titles = ["the scene", f"{there} things", "hills over their middles", f"{here} found"]
    return panels(images, titles, f"A scene with {there} things, and {here} that were found.")
