"""The drawings of chapter 09: a disc under four rates, a face under four, the whole network."""

from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from math import hypot

import numpy as np
from matplotlib import cbook
from PIL import Image

from dlseg.arithmetic import valid_tap_fractions
from dlseg.book import BLUE, GREEN, INK, PAPER, PURPLE, RED, Picture, from_svg, svg
from support.maps import panel
from support.stages import BACKBONE, HEAD, IMAGE, PARTS, RATE, Box, Branches, network_picture

STRIDE = 8  # pixels from unit to unit, in all of DeepLab v2
SIDE, MIDDLE = 513, 256  # of the image under the taps: pixels, and the one below the unit
COLOURS = (BLUE, RED, GREEN, PURPLE)  # of the branches
LEFT, TOP, SCALE = 12, 36, 0.56  # place of that image in the drawing, and size of its pixels
RULER, LONGEST = 430, 300  # length of the ruler in the drawing, and in pixels of the image

REMARKS = {  # on each part of a backbone, see `map_sides`
    "VGG-16": ("pool to 1/2", "pool to 1/4", "pool to 1/8", "pool stays", "rate 2"),
    "ResNet-101": ("stride 4", "3 units", "4, stride 2", "23, rate 2", "3, rate 4"),
}
PHOTO, NOSE = 512, (268, 224)  # side of the photograph, and column and row of its nose, pixels
PANEL, GAP, FINE = 186, 12, 2  # of the faded photographs: side, space, and pixels that become one


def tap_distances(rate: int) -> list[float]:
    """How far each of the nine taps of a 3x3 kernel is from the middle one, in pixels."""
    return [STRIDE * rate * hypot(row, column) for row, column in product((-1, 0, 1), repeat=2)]


def radius_between(radius: float, rates: Sequence[int]) -> tuple[float, float]:
    """What taps that say "on the disc" or "beside it" tell about its radius, in pixels.

    radius: of a disc around the unit. Returns: the next tap's distance from the middle below
    (0 where there is none) and above (infinity where there is none).
    """
    distances = {0.0, *(d for rate in rates for d in tap_distances(rate)), float("inf")}
    return next((a, b) for a, b in pairwise(sorted(distances)) if a <= radius < b)


def disc_picture(rates: Sequence[int], radius: int) -> Picture:
    """A disc in an image of 513 pixels, the taps of the unit at its centre, and what they tell.

    rates: of one to four branches. radius: of the disc, pixels.
    """
    low, high = radius_between(radius, rates)
    size = f"{low:.0f} pixels or more" if high > LONGEST else f"{low:.0f} to {high:.0f} pixels"
    size = f"below {high:.0f} pixels" if low == 0 else size
    counts = [sum(d <= radius for d in tap_distances(rate)) for rate in rates]
    right, side = LEFT + SIDE * SCALE + 34, SIDE * SCALE
    parts = [
        svg.text(LEFT, 22, f"{SIDE} x {SIDE} pixels, a disc of radius {radius}", size=12),
        svg.rect(LEFT, TOP, side, side, fill="#e8edf3", stroke=INK),
        _disc(radius),
        svg.text(right, 22, "filled: the tap is on the disc; open: beside it", size=12),
    ]
    for number, (rate, count) in enumerate(zip(rates, counts, strict=True)):
        colour, y = COLOURS[number], 54 + 26 * number
        parts.append(_nine(rate, radius, colour))
        parts.append(svg.dot(right + 6, y - 4, 5.5, fill=colour))
        parts.append(svg.text(right + 20, y, f"rate {rate}: {count} of 9 taps on the disc"))
    parts.append(svg.text(right, 190, f"So the radius is {size}.", size=15))
    parts.append(_ruler(right, 262, rates, radius))
    named = ", ".join(f"rate {r} {n} of 9" for r, n in zip(rates, counts, strict=True))
    alt = f"A disc of radius {radius} pixels. Taps on it: {named}. So the radius is {size}."
    return from_svg(svg.document(820, TOP + side + 12, parts), alt)


def _disc(radius: float) -> str:
    """The disc, cut off where the image ends."""
    side = SIDE * SCALE
    frame = svg.rect(LEFT, TOP, side, side)
    disc = svg.dot(LEFT + side / 2, TOP + side / 2, radius * SCALE, fill="#f0d08c")
    cut = f'<clipPath id="image">{frame}</clipPath><g clip-path="url(#image)">{disc}</g>'
    return cut + svg.rect(LEFT, TOP, side, side, stroke=INK)


def _nine(rate: int, radius: float, colour: str) -> str:
    parts = []
    for number, distance in enumerate(tap_distances(rate)):
        row, column = (STRIDE * rate * (step - 1) for step in divmod(number, 3))
        x, y = LEFT + (MIDDLE + column) * SCALE, TOP + (MIDDLE + row) * SCALE
        parts.append(svg.dot(x, y, 5.5, fill=colour if distance <= radius else PAPER))
        parts.append(svg.ring(x, y, 5.5, colour=colour, thick=2))
    return "".join(parts)


def _ruler(x: float, y: float, rates: Sequence[int], radius: float) -> str:
    """An axis of radii with a mark for each distance, and the stretch between the nearest two."""
    scale = RULER / LONGEST
    low, high = (min(edge, LONGEST) for edge in radius_between(radius, rates))
    parts = [
        svg.rect(x + low * scale, y - 34, (high - low) * scale, 34, fill="#f0d08c"),
        svg.line(x, y, x + RULER, y, thick=1.5),
        svg.line(x + radius * scale, y - 44, x + radius * scale, y + 8, thick=2.5),
        svg.text(x, y + 40, "radius, pixels; thick line: the disc's", size=12),
    ]
    for number, rate in enumerate(rates):
        for distance in sorted(set(tap_distances(rate)) - {0.0}):
            place = x + distance * scale
            parts.append(svg.line(place, y - 26, place, y, colour=COLOURS[number], thick=3))
    for value in range(0, LONGEST + 1, 50):
        parts.append(svg.text(x + value * scale, y + 20, str(value), size=12, anchor="middle"))
    return "".join(parts)


def hills_picture(paths: Mapping[int, Sequence[float]]) -> Picture:
    """A photograph, and what the branch of each rate sees of it from the unit on the nose.

    paths: by rate, the paths from each column of a field to its unit (`coverage`), an odd number.
    A pixel is faded by its number of paths, columns times rows; the most of a branch is full.
    """
    photo = _photograph()
    shown = [("the photograph", photo)]
    for rate, counted in paths.items():
        shown.append((f"rate {rate}: {len(counted)} pixels", _faded(photo, counted)))
    parts = []
    for number, (title, image) in enumerate(shown):
        x, (column, row) = 10 + number * (PANEL + GAP), (PANEL * at / PHOTO for at in NOSE)
        parts.append(panel(x, PANEL, image, title))
        parts.append(svg.ring(x + column, 28 + row, 5, colour=RED, thick=2))
    fields = ", ".join(f"rate {rate} {len(counted)}" for rate, counted in paths.items())
    alt = "A face with a cap before a flag, and four times the same faded by what a branch reads "
    alt += "from the nose: one soft patch at the smallest rate, nine apart at the largest; "
    alt += f"fields in pixels: {fields}."
    return from_svg(svg.document(8 + len(shown) * (PANEL + GAP), PANEL + 40, parts), alt)


def _photograph() -> np.ndarray:
    """Rear Admiral Hopper (U.S. Navy, public domain), uint8 (256, 256, 3), in 32 levels."""
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        image = Image.open(file).convert("RGB").crop((0, 0, PHOTO, PHOTO))
    side = PHOTO // FINE
    return np.asarray(image.resize((side, side), Image.Resampling.BOX)) // 8 * 8


def _faded(photo: np.ndarray, paths: Sequence[float]) -> np.ndarray:
    """The photograph, white where no path begins."""
    reach, places = len(paths) // 2, np.arange(-PHOTO, PHOTO + 1)
    line = np.interp(places, np.arange(-reach, reach + 1), paths, left=0, right=0) / max(paths)
    column, row = (line[PHOTO - at : 2 * PHOTO - at : FINE] for at in NOSE)
    weight = np.outer(row, column)[..., None]
    return np.uint8(255 - (255 - photo.astype(float)) * weight) | 7


def map_sides(backbone: str, side: int) -> list[int]:
    """Sides of the maps behind each part of a backbone for an image of `side` pixels.

    VGG-16 with padded 3x3 pools rounds up; so does ResNet, but its pool, as Caffe's, adds a unit.
    Raises: ValueError for another backbone.
    """
    if backbone not in REMARKS:
        raise ValueError(f"backbone must be one of {', '.join(REMARKS)}, got {backbone!r}")
    if backbone == "VGG-16":
        return [-(-side // stride) for stride in (2, 4, 8, 8, 8)]
    quarter = -(-side // 2) // 2 + 1
    return [quarter, quarter] + 3 * [-(-quarter // 2)]


def v2_picture(
    backbone: str = "ResNet-101", rates: Sequence[int] = (6, 12, 18, 24), side: int = 513
) -> Picture:
    """DeepLab v2 from the image to the logits: every map as a square, with its size.

    rates: of one to four branches. side: of the image, pixels.
    """
    sides = map_sides(backbone, side)
    title = f"DeepLab v2 on {backbone}, image of {side} x {side} pixels, 21 classes"
    units, boxes = sides[-1], [Box("image", side, ("3 maps",), IMAGE)]
    parts = PARTS[backbone.replace("101", "50")]  # of as many channels
    for (name, channels, _), remark, width in zip(parts, REMARKS[backbone], sides, strict=True):
        kind = RATE if "rate" in remark else BACKBONE
        cut = remark == "pool stays" or kind == RATE  # in v2 each part with a rate lost its stride
        boxes.append(Box(name, width, (f"{channels} maps", remark), kind, cut))
    boxes.append(Box("scores", units, ("21 maps",), HEAD))
    boxes.append(Box("logits", side, ("21 maps",), HEAD))
    layers = "fc6 3x3, fc7, fc8" if backbone == "VGG-16" else "3x3 to classes"
    full = {rate: f"{valid_tap_fractions(units, rate)[9]:.0%}" for rate in rates}
    ways = [((f"rate {r}: {layers}", f"all nine taps: {full[r]}"), RATE) for r in rates]
    trunk = ", ".join(f"{box.name} {box.side}" for box in boxes[1:-2])
    listed = ", ".join(f"rate {rate} {share}" for rate, share in full.items())
    alt = f"{title}: {trunk}; branches side by side, and where all nine taps are on the map: "
    alt += f"{listed}; their sum {units} x {units}, stretched to {side} x {side}."
    branches = Branches(len(sides), ways, "+")
    return network_picture(title, [boxes], alt, branches=branches, by_root=True)
