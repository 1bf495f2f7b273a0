"""The data card of the teaching data: what is in the scenes, counted."""

from dataclasses import dataclass

import numpy as np

from dlseg.data.scenes import Scene, Scenes


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
        marks = [self.lamp_distances[round(q * (count - 1))] for q in (0.1, 0.5, 0.9)] * (count > 0)
        lines += ["", f"unlit lamps: {count}; distance to the lit one, 10 / 50 / 90 %: "]
        lines[-1] += " / ".join(f"{mark:.0f}" for mark in marks) + " px"
        return "\n".join(lines)


def card(scenes: Scenes, count: int = 500) -> Card:
    """The data card of the first `count` scenes, or of all if there are fewer.

    Raises: ValueError for a count below 1.
    """
    if count < 1:
        raise ValueError(f"a card counts at least 1 scene, got count={count}")
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
