"""What can be counted of drawn scenes alone: their data card, and how well a network does on them.

A plate is A or B by the mark at its centre, a lamp by the one lit lamp of its picture. How often
the letter is right, against how far away the cue is, shows how far a network looks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlseg.checks import check_integer
from dlseg.data.scenes.datasets import Scenes
from dlseg.data.scenes.drawing import DOTS, LAMP_A, LAMP_B, PLATE_A, PLATE_B, STRIPES, Scene

PAIRS = ((PLATE_A, PLATE_B), (LAMP_A, LAMP_B))


@dataclass(frozen=True)
class Row:
    """One class. Shares are of 1.

    pixels: share of all pixels. scenes: share of scenes that show it. things: objects per scene.
    smallest, largest: radii in pixels; 0 where it has no objects (wires: half the thickness).
    """

    name: str
    pixels: float
    scenes: float
    things: float
    smallest: float
    largest: float


@dataclass(frozen=True)
class Card:
    """Counts over scenes; `print(card)` shows a table.

    rows: one per class, then one for label 255. lamp_distances: pixels from unlit lamps to the lit
    one, sorted, one per unlit lamp. title: which scenes were counted.
    """

    title: str
    rows: tuple[Row, ...]
    lamp_distances: tuple[float, ...]

    def __str__(self) -> str:
        lines = [self.title, "", "class        pixels  scenes  per scene  radius (px)"]
        for row in self.rows:
            radii = f"{row.smallest:.1f} - {row.largest:.1f}" if row.things else ""
            things = f"{row.things:.2f}" if row.things else ""
            line = f"{row.name:<12} {row.pixels:6.1%} {row.scenes:7.0%} {things:>10}  {radii:>11}"
            lines.append(line.rstrip())
        count = len(self.lamp_distances)
        places = [round(q * (count - 1)) for q in (0.1, 0.5, 0.9)] if count else []
        marks = " / ".join(f"{self.lamp_distances[place]:.0f}" for place in places)
        lines += ["", f"unlit lamps: {count}; distance to the lit one, 10 / 50 / 90 %: {marks} px"]
        return "\n".join(lines)


def card(scenes: Scenes, count: int = 500) -> Card:
    """The data card of the first `count` scenes, or of all if there are fewer.

    Raises: ValueError for a count below 1.
    """
    check_integer("count", count, 1)
    drawn = [scenes.scene(i) for i in range(min(count, len(scenes)))]
    rows = [_row(drawn, label, name) for label, name in enumerate(scenes.classes)]
    rows.append(_row(drawn, scenes.ignore_index, "255 (void)"))
    distances = (thing.lamp_distance for scene in drawn for thing in scene.things)
    title = f"{len(drawn)} scenes of {scenes.size}x{scenes.size} px, {scenes.split} split"
    return Card(f"{title}, seed {scenes.seed}", tuple(rows), tuple(sorted(filter(None, distances))))


def _row(drawn: list[Scene], label: int, name: str) -> Row:
    pixels = [int(np.count_nonzero(scene.label == label)) for scene in drawn]
    radii = [thing.radius for scene in drawn for thing in scene.things if thing.label == label]
    area = sum(scene.label.size for scene in drawn)
    return Row(
        name,
        pixels=sum(pixels) / area,
        scenes=sum(map(bool, pixels)) / len(drawn),
        things=len(radii) / len(drawn),
        smallest=min(radii, default=0.0),
        largest=max(radii, default=0.0),
    )


def cue_distance(scene: Scene) -> np.ndarray:
    """Pixels from each pixel of a plate or an unlit lamp to what tells its letter; else NaN.

    Of a plate: to its centre, pixel by pixel. Of an unlit lamp: from its centre to the lit one's,
    the same for all its pixels.
    Returns: float32 (S, S).
    """
    centres = np.array([(np.nan, np.nan), *((thing.x, thing.y) for thing in scene.things)])
    x, y = centres[scene.owner].transpose(2, 0, 1)  # (S, S) each
    rows, columns = np.indices(scene.label.shape) + 0.5
    distance = np.hypot(columns - x, rows - y)
    lamp = scene.lamp_distance
    distance = np.where(lamp > 0, lamp, distance)
    known = np.isin(scene.label, PAIRS[0]) | (lamp > 0)
    return np.where(known, distance, np.nan).astype(np.float32)


def letter_accuracy(
    scenes: Sequence[Scene], predictions: Sequence[np.ndarray], edges: Sequence[float]
) -> np.ndarray:
    """How often a plate or lamp that was seen as one got the right letter, by distance to the cue.

    predictions: integers (S, S), one for each scene. edges: n + 1 distances in pixels, rising.
    Returns: float64 (n,), shares in [edges[i], edges[i + 1]); 0.5 is a coin toss, NaN no pixel.
    """
    right, seen = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for scene, predicted in zip(scenes, predictions, strict=True):
        distance, label = cue_distance(scene), scene.label
        for pair in PAIRS:
            chosen = np.isin(label, pair) & np.isin(predicted, pair) & ~np.isnan(distance)
            seen += np.histogram(distance[chosen], edges)[0]
            right += np.histogram(distance[chosen & (label == predicted)], edges)[0]
    return _share(right, seen)


def found_by_radius(
    scenes: Sequence[Scene], predictions: Sequence[np.ndarray], edges: Sequence[float]
) -> np.ndarray:
    """Share of the pixels of stripes and dots that are labelled right, by the radius of the thing.

    Arguments and result as those of `letter_accuracy`, with radii for distances.
    """
    right, there = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for scene, predicted in zip(scenes, predictions, strict=True):
        radius, chosen = scene.radius, np.isin(scene.label, (STRIPES, DOTS))
        there += np.histogram(radius[chosen], edges)[0]
        right += np.histogram(radius[chosen & (scene.label == predicted)], edges)[0]
    return _share(right, there)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
