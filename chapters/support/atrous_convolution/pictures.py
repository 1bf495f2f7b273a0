"""Chapter 02: a kernel that travels over its input while the output fills."""

import numpy as np
from matplotlib.colors import to_hex, to_rgb

from dlseg.arithmetic import taps
from dlseg.book import BLUE, FAINT, INK, ORANGE, SKY, Picture, from_svg, svg

SIZE, CELL, MOST = 9, 20, 3  # pixels of input and output, of a cell, and the largest rate
TOP, LEFT = 54, 20
INPUT = LEFT + MOST * CELL, TOP + MOST * CELL  # corner; padding lies around it
OUTPUT = INPUT[0] + (SIZE + MOST + 2) * CELL, INPUT[1]
EMPTY = "#f4f7fa"


def disc() -> np.ndarray:
    """The input, (9, 9): whole numbers, 9 inside a disc and 0 far outside."""
    across = np.arange(SIZE) - SIZE // 2
    return np.rint(9 * np.clip(3.6 - np.hypot(*np.meshgrid(across, across)), 0, 1)).astype(int)


def travel_picture(rate: int, place: int) -> Picture:
    """Nine taps at one place of the output, counted row by row, and all that was written so far.

    The padding is the rate, so that input and output are equally large; taps on it read 0.
    """
    image = np.pad(disc(), rate)
    row, column = divmod(place, SIZE)
    rows, columns = (taps(at, 3, 1, rate, rate) for at in (row, column))
    read = [int(image[y + rate, x + rate]) for y in rows for x in columns]
    off = sum(not (0 <= y < SIZE and 0 <= x < SIZE) for y in rows for x in columns)
    means = [
        int(image[y : y + 2 * rate + 1 : rate, x : x + 2 * rate + 1 : rate].sum())
        for y in range(SIZE)
        for x in range(SIZE)
    ]
    sums = " + ".join(map(str, read))
    words = f"Row {row}, column {column}, rate {rate}: ({sums}) / 9 = {sum(read) / 9:.1f}"
    parts = [
        svg.text(LEFT, 24, words),
        _padding(rate),
        _cells(INPUT, disc().ravel() / 9),
        _grid(INPUT, "input"),
        *(_tap(x, y) for y in rows for x in columns),
        _cells(OUTPUT, [value / 81 for value in means[: place + 1]]),
        _grid(OUTPUT, "output so far"),
        svg.rect(
            OUTPUT[0] + column * CELL,
            OUTPUT[1] + row * CELL,
            CELL,
            CELL,
            stroke=BLUE,
            thick=3,
        ),
        _legend(),
    ]
    height = TOP + (SIZE + 2 * MOST) * CELL + 40
    alt = f"{words}. {place + 1} of 81 output pixels are written; {off} of nine taps read padding."
    return from_svg(svg.document(OUTPUT[0] + SIZE * CELL + LEFT, height, parts), alt)


def _cells(corner: tuple[float, float], values) -> str:
    """A square for each value in reading order: paper for 0, orange for 1."""
    none, full = to_rgb(EMPTY), to_rgb(ORANGE)
    parts = []
    for at, value in enumerate(values):
        fill = to_hex([value * b + (1 - value) * a for a, b in zip(none, full, strict=True)])
        x, y = corner[0] + at % SIZE * CELL, corner[1] + at // SIZE * CELL
        parts.append(svg.rect(x, y, CELL, CELL, fill=fill))
    return "".join(parts)


def _grid(corner: tuple[float, float], title: str) -> str:
    side = SIZE * CELL
    return (
        svg.grid(*corner, SIZE, SIZE, CELL, colour="#c3cad2")
        + svg.rect(*corner, side, side, stroke=INK, thick=1.5)
        + svg.text(corner[0] + side / 2, corner[1] + side + 17, title, anchor="middle")
    )


def _padding(rate: int) -> str:
    side = (SIZE + 2 * rate) * CELL
    return svg.rect(
        INPUT[0] - rate * CELL, INPUT[1] - rate * CELL, side, side, stroke=FAINT, dash="3 3"
    )


def _tap(column: int, row: int) -> str:
    x, y = INPUT[0] + column * CELL, INPUT[1] + row * CELL
    square = svg.rect(x, y, CELL, CELL, fill=SKY, stroke=INK, thick=1.2)
    return square + svg.dot(x + CELL / 2, y + CELL / 2, 3.5)


def _legend() -> str:
    x, y = OUTPUT[0], TOP + 6
    tap = svg.rect(x, y, 16, 16, fill=SKY, stroke=INK) + svg.dot(x + 8, y + 8, 3)
    dashes = svg.rect(x, y + 26, 16, 16, stroke=FAINT, dash="3 3")
    return (
        tap
        + svg.text(x + 24, y + 13, "one of nine taps")
        + dashes
        + svg.text(x + 24, y + 39, "padding, zeros")
    )
