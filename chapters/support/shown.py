"""Photographs in a row, each under the labels that somebody gave it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from dlseg.book import CYCLE, INK, Picture, from_svg, svg
from dlseg.data import VOC_CLASSES, voc_palette
from support.maps import hexadecimal, key, rgb

WIDTH, GAP, TOP = 760, 10, 26  # pixels of the picture
TALLEST = 300
FINER = 1.5  # times as many pixels are drawn
SHADES = 96  # of a light picture
VEIL = 0.55  # of the colour of a label, over the photograph
# What the network mostly finds on the photographs, in colours that differ for everybody.
FOUND = ("person", "cat", "horse", "diningtable", "bottle", "chair", "bird", "void")
COLOURS = {name: hexadecimal(voc_palette()[label]) for label, name in enumerate(VOC_CLASSES)}
COLOURS |= zip(FOUND, (*CYCLE, "#f0e442", "#dddddd"), strict=True)
# Label -> its word and colour. Label 0 is what is left as it is.
Words = Mapping[int, tuple[str, str]]
VOC: Words = {
    label: (name, COLOURS[name]) for label, name in [*enumerate(VOC_CLASSES), (255, "void")]
}


class Shown(NamedTuple):
    """title: above it; image: uint8 (H, W, 3); labels: uint8 (H, W), or None."""

    title: str
    image: np.ndarray
    labels: np.ndarray | None = None


def side_by_side(
    items: Sequence[Shown],
    alt: str,
    light: bool = False,
    words: Words = VOC,
    tallest: int = TALLEST,
) -> Picture:
    """The items side by side, equally tall, and below them the classes that occur.

    Labels are a veil of their colour with an edge; background is the photograph as it is.
    light: fewer shades and pixels, for a slider, whose many pictures are kept together. words: of
    the labels, Pascal VOC's. tallest: pixels of a photograph.
    """
    aspects = [item.image.shape[1] / item.image.shape[0] for item in items]
    height = min(tallest, (WIDTH - GAP * (len(items) + 1)) / sum(aspects))
    parts, x = [], GAP
    for item, aspect in zip(items, aspects, strict=True):
        parts.append(_panel(item, x, height * aspect, height, light, words))
        x += height * aspect + GAP
    maps = [item.labels for item in items if item.labels is not None]
    seen = sorted({words[label] for labels in maps for label in np.unique(labels) if label})
    looks = [(name, {"fill": colour, "stroke": INK}) for name, colour in seen]
    bottom = TOP + height + 12
    parts.append(key(looks, GAP, bottom))
    return from_svg(svg.document(max(x, 330), bottom + (26 if seen else 0), parts), alt)


def veil(labels: np.ndarray, words: Words = VOC) -> np.ndarray:
    """Labels in colour, uint8 (H, W, 4): thin inside, full along edges, none on background."""
    result = np.zeros((*labels.shape, 4), np.uint8)
    for label in np.unique(labels):
        if label:
            inside = labels == label
            grown = np.pad(inside, 1, mode="edge")
            core = grown[:-2, 1:-1] & grown[2:, 1:-1] & grown[1:-1, :-2] & grown[1:-1, 2:]
            result[inside] = (*rgb(words[label][1]), round(255 * VEIL))
            result[inside & ~(core & inside), 3] = 255
    return result


def _panel(item: Shown, x: float, width: float, height: float, light: bool, words: Words) -> str:
    """A photograph, its veil and its title: two layers, of which pictures of a slider share one."""
    finer = 1.0 if light else FINER
    size, place = (round(finer * width), round(finer * height)), (x, TOP, width, height)
    small = Image.fromarray(item.image).resize(size, Image.Resampling.LANCZOS)
    if light:
        small = small.quantize(SHADES, method=Image.Quantize.MAXCOVERAGE, kmeans=1).convert("RGB")
    parts = [svg.text(x, 17, item.title, size=12), svg.pixels(*place, np.array(small))]
    if item.labels is not None:
        labels = Image.fromarray(item.labels).resize(size, Image.Resampling.NEAREST)
        parts.append(svg.pixels(*place, veil(np.array(labels), words)))
    return "".join([*parts, svg.rect(*place, stroke=INK)])
