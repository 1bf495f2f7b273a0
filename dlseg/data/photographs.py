"""Free photographs that come with Python packages, and masks of them that were traced by hand.

They lie in the folders of scikit-image and matplotlib; nothing is fetched. `traced.txt`, beside
this file, holds the outlines, in pixels of the photograph as it is shipped: a line is a photograph,
a class, and the corners x,y of a polygon, painted in their order; (0, 0) is the upper left corner
of the first pixel. The horse is a silhouette, its own exact mask.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from dlseg.checks import check_choice, check_integer, install_line
from dlseg.data.palette import voc_palette
from dlseg.data.voc import CLASSES

SIDE = 513  # pixels, which the authors' networks take
VOID = 255
FINE = 4  # polygons are painted so many times as large
_OUTLINES = Path(__file__).with_name("traced.txt")


class Photograph(NamedTuple):
    """package, file: where it lies; credit: who made it, and its licence as the package says."""

    package: str
    file: str
    credit: str


_SKIMAGE, _CC0 = "skimage", "CC0"
PHOTOGRAPHS = {
    "horse": Photograph(_SKIMAGE, "data/horse.png", f"Andreas Preuss (marauder), {_CC0}"),
    "camera": Photograph(_SKIMAGE, "data/camera.png", f"Lav Varshney, {_CC0}"),
    "astronaut": Photograph(_SKIMAGE, "data/astronaut.png", "NASA, public domain"),
    "cat": Photograph(_SKIMAGE, "data/chelsea.png", f"Stéfan van der Walt, {_CC0}"),
    "coffee": Photograph(_SKIMAGE, "data/coffee.png", f"Rachel Michetti, {_CC0}"),
    "rocket": Photograph(_SKIMAGE, "data/rocket.jpg", "SpaceX, public domain"),
    "hopper": Photograph(
        "matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "U.S. Navy, public domain"
    ),
}
MASKED = ("horse", "camera", "astronaut", "cat", "hopper", "rocket")


def photograph(name: str, side: int | None = SIDE) -> np.ndarray:
    """A photograph, uint8 (H, W, 3), RGB.

    name: a key of PHOTOGRAPHS. side: pixels of its longer side; the other becomes the multiple of
    16, and 1, that is next to its share, as output stride 16 likes it. None: as it is shipped.
    Raises ValueError for another name or a side below 33; ModuleNotFoundError, with what to do,
    where its package is not installed.
    """
    return np.array(_scaled(_opened(name), side))


def traced(name: str, side: int | None = SIDE, rim: int = 2) -> np.ndarray:
    """The labels of a photograph, uint8 (H, W): Pascal VOC's numbers, 255 for void.

    name: one of MASKED. side: as for `photograph`. rim: pixels on either side of each edge that are
    void, as the class of a pixel there is a matter of taste.
    Raises as `photograph` does.
    """
    check_choice("name", name, MASKED)
    rim, whole = check_integer("rim", rim, 0), _opened(name)
    labels = _silhouette(whole) if name == "horse" else _painted(name, whole.size)
    labels = labels.resize(_size(whole.size, side), Image.Resampling.NEAREST)
    window = 2 * rim + 1
    low, high = labels.filter(ImageFilter.MinFilter(window)), ImageFilter.MaxFilter(window)
    return np.where(np.asarray(low) == np.asarray(labels.filter(high)), labels, VOID)


class Photographs:
    """The photographs that have masks, as a data set: pairs of `photograph` and `traced`.

    side: as for `photograph`. Attributes: names, of the photographs, and as all data sets of
    `dlseg.data` have them.
    """

    def __init__(self, side: int | None = SIDE):
        self.side, self.names = side, MASKED
        self.classes, self.num_classes, self.ignore_index = CLASSES, len(CLASSES), VOID
        self.palette = voc_palette()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        name = self.names[index]
        return photograph(name, self.side), traced(name, self.side)


def _opened(name: str) -> Image.Image:
    """The photograph as it is shipped, on white where it is transparent."""
    check_choice("name", name, tuple(PHOTOGRAPHS))
    row = PHOTOGRAPHS[name]
    package = find_spec(row.package)
    if package is None:
        raise ModuleNotFoundError(
            f"the photograph {name} comes with {row.package}, which is not installed; run: "
            f"{install_line('read')}",
            name=row.package,
        )
    with Image.open(Path(package.submodule_search_locations[0], row.file)) as image:
        image = image.convert("RGBA")
    paper = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(paper, image).convert("RGB")


def _scaled(image: Image.Image, side: int | None) -> Image.Image:
    return image.resize(_size(image.size, side), Image.Resampling.BILINEAR)


def _size(size: tuple[int, int], side: int | None) -> tuple[int, int]:
    if side is None:
        return size
    side, longest = check_integer("side", side, 33), max(size)
    return tuple(
        side if length == longest else 16 * max(1, round(length * side / longest / 16)) + 1
        for length in size
    )


def _silhouette(image: Image.Image) -> Image.Image:
    return image.convert("L").point(lambda grey: CLASSES.index("horse") if grey < 128 else 0)


def _painted(name: str, size: tuple[int, int]) -> Image.Image:
    """The labels by the outlines, FINE times as large as the photograph."""
    labels = Image.new("L", (FINE * size[0], FINE * size[1]))
    for kind, corners in _outlines().get(name, ()):
        value = {"void": VOID, "hole": 0}.get(kind)
        value = CLASSES.index(kind) if value is None else value
        # A corner lies between pixels, and Pillow counts from the middle of the first.
        ImageDraw.Draw(labels).polygon([FINE * c - 0.5 for c in corners], fill=value)
    return labels


@cache
def _outlines() -> dict[str, list[tuple[str, list[float]]]]:
    """Of each photograph the kinds and corners, x, y, x, y, of its polygons."""
    found: dict[str, list[tuple[str, list[float]]]] = {}
    for line in _OUTLINES.read_text(encoding="utf-8").splitlines():
        name, kind, *corners = line.split()
        flat = [float(value) for corner in corners for value in corner.split(",")]
        found.setdefault(name, []).append((kind, flat))
    return found
