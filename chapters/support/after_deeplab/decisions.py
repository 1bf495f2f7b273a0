"""The map of chapter 17: where one unit may look in eight networks, and who decides."""

from collections.abc import Iterator

import numpy as np

from dlseg.book import BLUE, PAPER, RED, Picture, from_svg, svg
from support.after_deeplab.neighbourhood import neighbours
from support.after_deeplab.pictures import GRID, GROUND, moved_taps
from support.maps import hexadecimal, rgb

DECIDES = (
    ("atrous convolution", "kernel and rate,", "before training", "atrous"),
    ("attention with holes", "the rate; query and", "key weigh the keys", "holes"),
    ("deformable convolution", "a convolution, anew", "at every place", "moved"),
    ("large kernel", "the kernel: all of it,", "weights learned", "large"),
    ("dense CRF", "colours and positions;", "nothing is learned", "crf"),
    ("object context (OCR)", "a first segmentation", "makes the regions", "regions"),
    ("SegFormer", "query and key, on a", "map made smaller", "smaller"),
    ("Mask2Former", "the mask of the layer", "before", "mask"),
)  # name, who decides in two lines, what is drawn
BOARD = 15  # pixels of a side
Square = tuple[float, float, int, float]  # row, column, side in pixels, weight in [0, 1]


def decisions_picture() -> Picture:
    """Where one unit may look in eight networks, and who decides."""
    cell, gap = 10, 36
    wide, parts, told = BOARD * cell, [], []
    for number, (name, *who, way) in enumerate(DECIDES):
        x, y = 10 + number % 4 * (wide + gap), 30 + number // 4 * (wide + 84)
        parts.append(svg.text(x, y - 8, name, size=13))
        parts.append(_board(x, y, cell, way))
        for line, words in enumerate(who):
            parts.append(svg.text(x, y + wide + 18 + 16 * line, words, size=12))
        told.append(f"{name}: {' '.join(who)}")
    alt = "Where the unit in red may look, the darker the more it may count, and who decides. "
    document = svg.document(4 * (wide + gap) - 12, 2 * (wide + 84), parts)
    return from_svg(document, f"{alt}{'; '.join(told)}.")


def _board(x: float, y: float, cell: float, way: str) -> str:
    """One map with what is looked at, and the unit in the middle."""
    pale, blue = (np.array(rgb(colour), float) for colour in ("#cfe3f1", BLUE))
    parts = [svg.rect(x, y, BOARD * cell, BOARD * cell, fill=GROUND)]
    parts.append(svg.grid(x, y, BOARD, BOARD, cell, colour=GRID))
    for row, column, size, weight in looked_at(way):
        look = {"fill": hexadecimal(pale + weight * (blue - pale)), "stroke": PAPER, "thick": 0.8}
        parts.append(svg.rect(x + column * cell, y + row * cell, size * cell, size * cell, **look))
    middle = BOARD // 2 * cell
    return "".join([*parts, svg.rect(x + middle, y + middle, cell, cell, stroke=RED, thick=2.5)])


def looked_at(way: str) -> Iterator[Square]:
    """What the unit in the middle of BOARD x BOARD pixels may look at, in one of DECIDES.

    The weights are for the picture's sake: where they are learned, any others could be.
    """
    middle, every = BOARD // 2, range(BOARD)
    if way in ("atrous", "holes"):
        near = neighbours(BOARD, 3, 4)[middle].tolist()
        asked = (0.1, 0.8, 0.2, 0.3, 0.5, 0.1, 0.0, 1.0, 0.3)
        weights = iter((0.6,) * 9 if way == "atrous" else asked)
        yield from ((i, j, 1, next(weights)) for i in near for j in near)
    elif way == "moved":
        yield from ((middle + a, middle + b, 1, 0.6) for a, b in moved_taps(4, 0.7).tolist())
    elif way == "regions":
        yield from ((1, 1, 5, 0.1), (3, 9, 5, 0.9), (9, 4, 5, 0.3))
    elif way == "smaller":
        yield from ((i, j, 3, (2 * i + 5 * j) % 7 / 7) for i in every[::3] for j in every[::3])
    else:
        for i, j in np.ndindex(BOARD, BOARD):
            weight = _weight(way, i, j, middle)
            if weight is not None:
                yield i, j, 1, weight


def _weight(way: str, i: int, j: int, middle: int) -> float | None:
    """Of one pixel; None where it is not looked at."""
    if way == "large":
        return None if {i, j} & {0, BOARD - 1} else 0.6
    if way == "mask":
        return 0.6 if (i - 6) ** 2 + (j - 9) ** 2 <= 14 else None
    # The CRF: two colours meet in a slanting line, and near pixels of the own one count.
    near = np.exp(-((i - middle) ** 2 + (j - middle) ** 2) / 30)
    return float(near * (1 if 2 * j + i > 16 else 0.15))
