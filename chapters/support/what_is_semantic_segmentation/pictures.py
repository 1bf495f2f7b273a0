"""The drawings of chapter 01: labels in colour, a confusion matrix, a network as a funnel."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from dlseg.book import INK, PAPER, Picture, from_svg, svg
from support.maps import hexadecimal, key
from support.stages import BACKBONE, HEAD, IMAGE, Box, network_picture

COLUMN, CELL = 190, 34


def legend(classes: Sequence[str], palette: np.ndarray, columns: int = 4) -> Picture:
    """The colour of each class, and of void, as squares with names.

    palette: uint8 (256, 3), whose entry 255 is void.
    """
    names = [*classes, "void (255)"]
    colours = [*palette[: len(classes)], palette[255]]
    looks = [{"fill": hexadecimal(colour), "stroke": INK} for colour in colours]
    drawn = key(zip(names, looks, strict=True), 10, 10, COLUMN, columns)
    height = 16 + 28 * -(-len(names) // columns)
    alt = f"The colours of {len(classes)} classes and of void: {', '.join(names)}."
    return from_svg(svg.document(20 + columns * COLUMN, height, [drawn]), alt)


def number_grids(
    grids: Sequence[np.ndarray], titles: Sequence[str], palette: np.ndarray, alt: str
) -> Picture:
    """Label maps side by side, each pixel a coloured square with its label in it.

    grids: integer arrays (H, W) of one shape. palette: uint8 (256, 3).
    """
    rows, columns = grids[0].shape
    parts = []
    for index, (grid, title) in enumerate(zip(grids, titles, strict=True)):
        left = 12 + index * (columns * CELL + 36)
        parts.append(svg.text(left, 20, title))
        for (row, column), label in np.ndenumerate(grid):
            x, y = left + column * CELL, 30 + row * CELL
            fill = hexadecimal(palette[label])
            parts.append(svg.rect(x, y, CELL, CELL, fill=fill, stroke=PAPER))
            ink = PAPER if palette[label] @ (0.3, 0.6, 0.1) < 140 else INK
            middle = x + CELL / 2, y + CELL / 2 + 5
            parts.append(svg.text(*middle, str(label), anchor="middle", colour=ink))
    width = 24 + len(grids) * (columns * CELL + 36) - 36
    return from_svg(svg.document(width, 42 + rows * CELL, parts), alt)


def confusion_picture(matrix: np.ndarray, classes: Sequence[str], alt: str) -> Picture:
    """A confusion matrix, each row as shares of its true class in per cent.

    matrix: counts (C, C), row = true class. A row without pixels stays empty.
    """
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    left, top, cell = 120, 92, 46
    parts = [svg.text(10, 20, "rows: the true class; columns: what was predicted; per cent")]
    for number, name in enumerate(classes):
        middle = (number + 0.5) * cell
        parts.append(svg.text(left - 8, top + middle + 5, name, anchor="end"))
        parts.append(_slanted(left + middle, top - 8, name))
    for (row, column), share in np.ndenumerate(shares):  # white to the book's blue
        x, y = left + column * cell, top + row * cell
        fill = hexadecimal(255 - share * (255 - np.array([0, 114, 178])))
        parts.append(svg.rect(x, y, cell, cell, fill=fill, stroke=PAPER))
        ink = PAPER if share > 0.5 else INK
        place = x + cell / 2, y + cell / 2 + 5
        parts.append(svg.text(*place, f"{100 * share:.0f}", anchor="middle", colour=ink))
    size = len(classes) * cell
    return from_svg(svg.document(left + size + 70, top + size + 12, parts), alt)


def funnel(maps: Sequence[tuple[str, int, int]], alt: str) -> Picture:
    """A network from image to labels: one square per map, as large as the map.

    maps: (name, channels, side in pixels), in the order in which they are computed: the image,
    those of the backbone, the scores, and these stretched.
    """
    kinds = (IMAGE, *(BACKBONE for _ in maps[1:-2]), HEAD, HEAD)
    boxes = [
        Box(name, side, (f"{channels} maps",), kind)
        for (name, channels, side), kind in zip(maps, kinds, strict=True)
    ]
    return network_picture("The coarse network", [boxes], alt)


def _slanted(x: float, y: float, label: str) -> str:
    return f'<g transform="translate({x:g} {y:g}) rotate(-40)">{svg.text(0, 0, label)}</g>'


def shares_written(labels: np.ndarray, stride: int) -> np.ndarray:
    """A map of labels, uint8 (H, W), drawn again by the shares of its classes in squares.

    Each square of stride x stride pixels gives a unit, and the largest of the stretched shares the
    label. Void takes no part.
    """
    height, width = labels.shape
    classes = np.setdiff1d(np.unique(labels), [255])
    one_hot = torch.stack([torch.from_numpy(labels == c).float() for c in classes])[None]
    size = -(-height // stride), -(-width // stride)
    shares = F.interpolate(one_hot, size, mode="area")  # (1, C, H/stride, W/stride), rounded up
    stretched = F.interpolate(shares, (height, width), mode="bilinear")
    return classes[stretched.argmax(1)[0].numpy()].astype(np.uint8)
