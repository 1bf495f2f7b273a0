"""labelme's own files: a JSON for each picture, with polygons and other shapes, drawn as labels.

Later shapes lie over earlier ones. A polygon, rectangle or circle is filled with its outline, as
labelme's own export has it; lines and points have no surface and are refused. What no shape covers
is the background, label 0; a shape called `__ignore__` counts nowhere.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from dlseg.data.decode import MAX_PIXELS
from dlseg.data.faults import DataError, Fault, place_of
from dlseg.data.files import Counted, Pair, of_a_sample
from dlseg.data.own.classes import MOST, VOID, Classes
from dlseg.schema import Unfit, integer, listing, number, record, text

BACKGROUND, IGNORED = "_background_", "__ignore__"
_FORM = "shapes of labelme"
_LARGEST = 400_000_000  # bytes of a file, which may hold its picture as text
_MORE = 1e7  # of pixels; a shape may reach out of its picture


def _anything(_entry: str, _value: object) -> None:
    """Check of what is not used, such as the picture itself as text."""


_POINT = listing(number(-_MORE, _MORE), 2, 2)
_SHAPE = record(
    {"label": text(empty=False), "points": listing(_POINT, 1)},
    {"shape_type": text()},
    _anything,
)
_CHECK = record(
    {"shapes": listing(_SHAPE), "imageHeight": integer(1), "imageWidth": integer(1)},
    others=_anything,
)


class Shape(NamedTuple):
    """A shape: what of, its kind, and its points (x, y) in pixels."""

    label: str
    kind: str
    points: tuple[tuple[float, float], ...]


class Shapes(NamedTuple):
    """The shapes of a picture of size (H, W), in the order in which they are drawn."""

    size: tuple[int, int]
    shapes: tuple[Shape, ...]


def read_shapes(path: str | Path) -> Shapes:
    """The content of a file of labelme. Raises DataError where it is none."""
    path = place_of(path)
    try:
        state = path.stat()
        if state.st_size > _LARGEST:
            problem = f"has {state.st_size // 10**6} MB, the limit is {_LARGEST // 10**6}"
            raise DataError(Fault(path, problem, "save it without the picture (imageData)"))
        return _read(path, state.st_mtime_ns, state.st_size)
    except FileNotFoundError as error:
        raise DataError(Fault(path, "there is no such file", "put it there")) from error
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise DataError(Fault(path, problem, "copy it to another place")) from error


@lru_cache(maxsize=1 << 12)  # a file that did not change is read once
def _read(path: Path, _time: int, _size: int) -> Shapes:
    try:
        content = _CHECK("", json.loads(path.read_bytes()))
    except Unfit as error:
        raise DataError(Fault(path, f"is no file of labelme: {error}", "save it anew")) from error
    except (ValueError, RecursionError) as error:
        raise DataError(Fault(path, "is no JSON", "save it anew with labelme")) from error
    size = content["imageHeight"], content["imageWidth"]
    if math.prod(size) > MAX_PIXELS:
        problem = f"has {math.prod(size) // 10**6} megapixels, the limit is {MAX_PIXELS // 10**6}"
        raise DataError(Fault(path, problem, "cut the picture into parts"))
    shapes = tuple(
        Shape(one["label"], one.get("shape_type", "polygon"), tuple(map(tuple, one["points"])))
        for one in content["shapes"]
    )
    return Shapes(size, shapes)


def draw_shapes(path: str | Path, names: Sequence[str], ignore_index: int = VOID) -> np.ndarray:
    """Labels, uint8 (H, W), of a file of labelme; names: of the classes in the order of labels.

    Raises DataError for a file that is none, a shape of another name, and one without a surface.
    """
    path, found = place_of(path), read_shapes(path)
    numbers = {name: label for label, name in enumerate(names)} | {IGNORED: ignore_index}
    image = Image.new("L", found.size[::-1], 0)
    for shape in found.shapes:
        if shape.label not in numbers:
            problem = f"has a shape of {shape.label!r}, which is no class"
            raise DataError(Fault(path, problem, "name it in classes.txt, or name the shape anew"))
        _draw(path, ImageDraw.Draw(image), shape, numbers[shape.label])
    return np.array(image)


def _draw(path: Path, drawing: ImageDraw.ImageDraw, shape: Shape, label: int) -> None:
    points = list(shape.points)
    if shape.kind == "polygon" and len(points) > 2:
        drawing.polygon(points, fill=label, outline=label)
    elif shape.kind == "rectangle" and len(points) == 2:
        (left, right), (top, bottom) = (sorted(side) for side in zip(*points, strict=True))
        drawing.rectangle((left, top, right, bottom), fill=label, outline=label)
    elif shape.kind == "circle" and len(points) == 2:
        (x, y), edge = points
        radius = math.dist((x, y), edge)
        box = (x - radius, y - radius, x + radius, y + radius)
        drawing.ellipse(box, fill=label, outline=label)
    else:
        problem = f"has a {shape.kind} of {len(points)} points, which has no surface to label"
        raise DataError(Fault(path, problem, "draw it as a polygon, a rectangle or a circle"))


def shape_classes(files: list[Path]) -> Classes:
    """The background, and all labels of some files in the order of the alphabet."""
    labels = set()
    for file in files:
        try:
            labels |= {shape.label for shape in read_shapes(file).shapes}
        except DataError:
            continue  # it is told where it is read
    names = (BACKGROUND, *sorted(labels - {IGNORED, BACKGROUND}))
    if not 1 < len(names) <= MOST:
        problem = f"the shapes of {len(files)} files have {len(names) - 1} labels"
        remedy = f"label 1 to {MOST - 1} things" if len(names) > 1 else "label things in them"
        raise DataError(Fault(files[0].parent, problem, remedy))
    return Classes(names, source="the labels of the shapes, in the order of the alphabet")


@dataclass(frozen=True)
class ShapePair(Pair):
    """A picture and labelme's file of it. names: of the classes."""

    names: tuple[str, ...] = ()

    def read_label(self) -> np.ndarray:
        """The labels, uint8 (H, W), as `draw_shapes` has them."""
        with of_a_sample():
            return draw_shapes(self.label, self.names, self.ignore_index)

    def count_labels(self) -> Counted:
        """As of a `Pair`."""
        return super().count_labels()._replace(form=_FORM)
