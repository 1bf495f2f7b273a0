"""Maps as images side by side under titles, and keys: quick to be redrawn while dragging."""

from collections.abc import Iterable, Sequence

import matplotlib
import numpy as np

from dlseg.book import GREEN, INK, MORE, RED, SIGNED, Picture, from_svg, svg
from dlseg.data import CLASSES, PALETTE

SIDE, GAP = 232, 16
ENTRY, LINE = 104, 24  # of a key: from one word to the next, and from one line to the next
RIGHT, WRONG, VOID = (0, 114, 178), (213, 94, 0), (221, 221, 221)
STILL, REPAIRED, BROKEN = "#4d5560", GREEN, RED


def rgb(colour: str) -> tuple[int, int, int]:
    """A colour such as "#4d5560" as three values, 0 to 255."""
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


# What colours mean, for `panels`: labels of the scenes, `right_and_wrong`, `changes`.
SCENE_KEY = [*zip(CLASSES, PALETTE.tolist(), strict=False), ("void, 255", PALETTE[255].tolist())]
RIGHT_KEY = [("right", RIGHT), ("wrong", WRONG)]
CHANGES_KEY = [("repaired", rgb(REPAIRED)), ("broken", rgb(BROKEN)), ("wrong", rgb(STILL))]


def grey(image: np.ndarray) -> np.ndarray:
    """Values in [0, 1] as grey levels. Returns: uint8, same shape."""
    return np.uint8(np.clip(image, 0, 1) * 255)


def coloured(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as colours of the book's maps; a negative `low` chooses the map for signed values.

    image: array (H, W). low, high: the values at the two ends of the map.
    Returns: uint8 array (H, W, 3).
    """
    colours = matplotlib.colormaps[SIGNED if low < 0 else MORE]
    return np.uint8(colours((image - low) / (high - low))[..., :3] * 255)


def panels(
    images: Sequence[np.ndarray],
    titles: Sequence[str],
    alt: str,
    legend: Sequence[tuple[str, Sequence[int]]] = (),
) -> Picture:
    """Square images in a row, each under its title, and below them what their colours mean.

    images: uint8 arrays (H, W) or (H, W, 3); each is drawn to the same side, pixel by pixel.
    legend: pairs of a word and its colour, three values from 0 to 255; `SCENE_KEY` for labels of
    the scenes.
    """
    parts = []
    for index, (image, title) in enumerate(zip(images, titles, strict=True)):
        parts.append(panel(10 + index * (SIDE + GAP), SIDE, image, title))
    width = 20 + len(images) * (SIDE + GAP) - GAP
    columns = (width - 20) // ENTRY
    looks = [(word, {"fill": hexadecimal(colour), "stroke": INK}) for word, colour in legend]
    parts.append(key(looks, 10, SIDE + 42, step=ENTRY, columns=columns, line=LINE, size=12))
    height = SIDE + 38 + LINE * -(-len(legend) // columns)
    return from_svg(svg.document(width, height, parts), alt)


def panel(x: float, side: float, image: np.ndarray, title: str = "", **frame) -> str:
    """One square image with its top at 28, below a title, in a frame that `svg.rect` draws."""
    label = svg.text(x, 18, title, size=12) if title else ""
    frame = svg.rect(x, 28, side, side, **({"stroke": INK} | frame))
    return label + svg.pixels(x, 28, side, side, image) + frame


def key(
    entries: Iterable[tuple[str, dict]], x: float, y: float, step=130, columns=9, line=28, size=13
) -> str:
    """What colours mean, from (x, y) on: words, and the look of a square, as for `svg.rect`."""
    parts = []
    for number, (label, look) in enumerate(entries):
        left, top = x + number % columns * step, y + number // columns * line
        parts.append(svg.rect(left, top, 15, 15, **look))
        parts.append(svg.text(left + 22, top + 12, label, size=size))
    return "".join(parts)


def changes(before: np.ndarray, after: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """What refinement did to each pixel: repaired, broken, wrong before and after; else white.

    before, after, truth: integers (H, W). Returns: uint8 (H, W, 3).
    """
    shown = np.full((*truth.shape, 3), 255, dtype=np.uint8)
    shown[(before != truth) & (after != truth)] = rgb(STILL)
    shown[(before != truth) & (after == truth)] = rgb(REPAIRED)
    shown[(before == truth) & (after != truth)] = rgb(BROKEN)
    return shown


def right_and_wrong(labels: np.ndarray, guess: np.ndarray, inside=True) -> np.ndarray:
    """Right pixels blue, wrong ones orange, void grey; paler where `inside` is False.

    labels, guess: integers (H, W). Returns: uint8 (H, W, 3).
    """
    colours = np.where((guess == labels)[..., None], RIGHT, WRONG)
    colours = np.where((labels == 255)[..., None], VOID, colours)
    pale = 255 - (255 - colours) // 5
    inside = np.broadcast_to(inside, labels.shape)[..., None]
    return np.where(inside, colours, pale).astype(np.uint8)


def hexadecimal(colour: Sequence[float]) -> str:
    """Three values, 0 to 255, as a colour such as "#4d5560"."""
    return "#" + "".join(f"{round(float(value)):02x}" for value in colour)
