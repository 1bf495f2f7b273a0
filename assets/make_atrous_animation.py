"""Draw atrous.svg, the README's picture: a 3x3 kernel at rate 2 moves over 9x9 pixels.

    python assets/make_atrous_animation.py [FILE]

The file is animated by CSS alone. For readers who ask for less motion it stands still, with the
kernel in the middle and the whole output written.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.colors import to_hex, to_rgb

from dlseg.book import BLUE, INK, ORANGE, SKY, svg

KERNEL, RATE, SIZE = 3, 2, 9
SPAN = RATE * (KERNEL - 1) + 1
OUT = SIZE - SPAN + 1
CELL = 32
INPUT = (32, 58)  # top left corners, in pixels of the drawing
OUTPUT = (INPUT[0] + (SIZE + 3.5) * CELL, INPUT[1] + (SIZE - OUT) / 2 * CELL)
WIDTH, HEIGHT = OUTPUT[0] + OUT * CELL + 32, INPUT[1] + SIZE * CELL + 72
SECONDS = 20
GREY, OUTLINE, EMPTY = "#6b7480", "#9aa3ad", "#f4f7fa"

TITLE = "Atrous convolution: a 3x3 kernel at rate 2"
DESCRIPTION = (
    "Nine taps, two pixels apart and marked by dots, move over an input of 9 by 9 pixels, and skip "
    "the 16 pixels between them. At each of 25 stops their mean becomes one pixel of the 5 by 5 "
    "output."
)


def disc() -> np.ndarray:
    """The input, (9, 9): 1 inside a disc, 0 far outside, and a soft edge."""
    across = np.arange(SIZE) - SIZE // 2
    distance = np.hypot(*np.meshgrid(across, across))
    return np.clip(3.6 - distance, 0, 1)


def convolve(image: np.ndarray) -> np.ndarray:
    """The output, (5, 5): each pixel is the mean of its nine taps."""
    offsets = range(0, SPAN, RATE)
    return np.mean([image[i : i + OUT, j : j + OUT] for i in offsets for j in offsets], axis=0)


def cells(corner: tuple[float, float], values: np.ndarray) -> Iterator[str]:
    """One square per value in reading order: paper for 0, orange for 1."""
    none, full = to_rgb(EMPTY), to_rgb(ORANGE)
    for (row, column), value in np.ndenumerate(values):
        fill = to_hex([value * b + (1 - value) * a for a, b in zip(none, full, strict=True)])
        yield svg.rect(corner[0] + column * CELL, corner[1] + row * CELL, CELL, CELL, fill=fill)


def frame(corner: tuple[float, float], size: int, title: str) -> str:
    """The lines over a square of pixels, and the words above it."""
    x, y = corner
    return (
        svg.grid(x, y, size, size, CELL, colour=OUTLINE)
        + svg.rect(x, y, size * CELL, size * CELL, stroke=INK, thick=1.5)
        + svg.text(x + size * CELL / 2, y - 16, title, size=16, anchor="middle")
    )


def kernel() -> str:
    """Nine marked taps and the outline of the pixels they span, at the input's first corner."""
    parts = []
    for row in range(0, SPAN, RATE):
        for column in range(0, SPAN, RATE):
            parts.append(tap(INPUT[0] + column * CELL, INPUT[1] + row * CELL))
    parts.append(svg.rect(*INPUT, SPAN * CELL, SPAN * CELL, stroke=BLUE, thick=3))
    return "".join(parts)


def tap(x: float, y: float) -> str:
    """A pixel that is read: marked by colour and by a dot."""
    square = svg.rect(x, y, CELL, CELL, fill=SKY, stroke=INK, thick=1.2)
    return square + svg.dot(x + CELL / 2, y + CELL / 2, 5)


def cursor() -> str:
    """The outline of the output pixel being written, at the output's first corner."""
    return svg.rect(*OUTPUT, CELL, CELL, stroke=BLUE, thick=3)


def legend() -> str:
    """What the marks mean, below the pictures."""
    x, y = INPUT[0], INPUT[1] + SIZE * CELL + 22
    hole = svg.rect(x + 196, y, CELL, CELL, fill=EMPTY, stroke=OUTLINE)
    return "".join(
        [
            tap(x, y),
            svg.text(x + CELL + 10, y + 21, "9 taps are read", size=15),
            hole,
            svg.text(x + 196 + CELL + 10, y + 21, "16 holes are skipped", size=15),
            svg.text(OUTPUT[0] + OUT * CELL, y + 21, "rate 2 spans 5 × 5", size=15, anchor="end"),
        ]
    )


def arrow() -> str:
    """From input to output."""
    x, y = INPUT[0] + (SIZE + 0.7) * CELL, INPUT[1] + SIZE * CELL / 2
    tip = x + 2.1 * CELL
    head = f'<path d="M{tip - 9:g} {y - 7:g}L{tip:g} {y:g}L{tip - 9:g} {y + 7:g}" fill="none" '
    head += f'stroke="{GREY}" stroke-width="2.5"/>'
    words = svg.text((x + tip) / 2, y - 14, "mean", size=14, anchor="middle", colour=GREY)
    return svg.line(x, y, tip, y, colour=GREY, thick=2.5) + head + words


def style() -> str:
    """The animation: rest at a stop while its pixel is written, then glide to the next."""
    stops, share = OUT * OUT, 100 / (OUT * OUT)
    places = [((i % OUT) * CELL, (i // OUT) * CELL) for i in range(stops)]
    glide = "".join(
        f"{i * share:g}%,{(i + 0.65) * share:g}%{{transform:translate({x}px,{y}px)}}"
        for i, (x, y) in enumerate(places)
    )
    write = "".join(
        f"@keyframes w{i}{{0%,{(i + 0.2) * share:g}%{{opacity:0}}"
        f"{(i + 0.5) * share:g}%,99.6%{{opacity:1}}}}.w{i}{{animation-name:w{i}}}"
        for i in range(stops)
    )
    middle = (OUT // 2) * CELL
    return (
        f"<style>.move{{transform:translate({middle}px,{middle}px)}}"
        "@media (prefers-reduced-motion:no-preference){"
        f".move,.write{{animation:{SECONDS}s ease-in-out infinite}}.move{{animation-name:glide}}"
        f"@keyframes glide{{{glide}100%{{transform:none}}}}{write}}}</style>"
    )


def draw() -> str:
    """The whole file."""
    image = disc()
    written = [
        f'<g class="write w{i}">{cell}</g>' for i, cell in enumerate(cells(OUTPUT, convolve(image)))
    ]
    parts = [f"<title>{TITLE}</title><desc>{DESCRIPTION}</desc>", style()]
    parts += [*cells(INPUT, image), frame(INPUT, SIZE, "input, 9 × 9")]
    parts += [*written, frame(OUTPUT, OUT, "output, 5 × 5"), arrow(), legend()]
    parts += [f'<g class="move">{kernel()}</g><g class="move">{cursor()}</g>']
    return svg.document(WIDTH, HEIGHT, parts) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("atrous.svg")
    target.write_text(draw(), encoding="utf-8")
