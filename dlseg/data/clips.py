"""Clips of the teaching data: the things of one scene, each on a way of its own."""

from dataclasses import dataclass

import numpy as np

from dlseg.checks import check_integer
from dlseg.data.canvas import Canvas
from dlseg.data.drawing import (
    CLASSES,
    IGNORE_INDEX,
    NOISE,
    RING,
    VERSION,
    WIRE,
    Scene,
    draw_scene,
)
from dlseg.data.draws import Draws
from dlseg.data.scenes import PALETTE, SPLITS

FASTEST = 2.5  # pixels per frame, down and across


class Clip:
    """`count` frames of moving things; clip[i] is (image, label), the same on every machine.

    Things move in straight lines over the background of their scene, and turn round at the edges of
    the picture; where two meet, the later one is on top. Rings and wires, of which parts are
    hidden, are left out, and no pixel is void. Each frame has noise of its own, as a camera's has.
    count: frames. size: pixels of each side. seed: another one, other things; none of them is in
    `Scenes` with its seed 0.
    clip[i]: uint8 (S, S, 3) and uint8 (S, S). Raises ValueError where `draw_scene` does.
    """

    classes = CLASSES
    num_classes = len(CLASSES)
    ignore_index = IGNORE_INDEX
    palette = PALETTE

    def __init__(self, count: int, size: int = 96, seed: int = 0):
        self.count = check_integer("count", count, 1)
        self.key = check_integer("seed", seed, 0) + 1, SPLITS["test"], size
        scene = draw_scene(*self.key)
        # The first draws of a scene are those of its background.
        self._background = Canvas(size, Draws(VERSION, *self.key)).planes.transpose(1, 2, 0)
        draws = Draws(VERSION, *self.key, 0)
        self._movers = [
            _mover(scene, number, draws)
            for number, thing in enumerate(scene.things, start=1)
            if thing.label not in (RING, WIRE)
        ]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        i = range(self.count)[i]  # raises IndexError
        draws = Draws(VERSION, *self.key, 1 + i)
        image = self._background + NOISE * draws.noise(*self._background.shape)  # (S, S, 3)
        image = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
        label = np.zeros(image.shape[:2], np.uint8)
        for mover in self._movers:
            mover.paint(image, label, i)
        return image, label


@dataclass(frozen=True)
class _Mover:
    """A thing, cut out of its scene.

    pixels: uint8 (h, w, 3). inside: bool (h, w). start, speed: of its upper left corner, pixels
    and pixels per frame, down and across.
    """

    label: int
    pixels: np.ndarray
    inside: np.ndarray
    start: tuple[int, int]
    speed: tuple[float, float]

    def paint(self, image: np.ndarray, label: np.ndarray, frame: int) -> None:
        """Put it where it is in that frame."""
        window = tuple(
            _place(start + speed * frame, side, room)
            for start, speed, side, room in zip(
                self.start, self.speed, self.inside.shape, label.shape, strict=True
            )
        )
        image[window][self.inside] = self.pixels[self.inside]
        label[window][self.inside] = self.label


def _mover(scene: Scene, number: int, draws: Draws) -> _Mover:
    owned = scene.owner == number  # (S, S)
    rows, columns = (np.flatnonzero(owned.any(axis)) for axis in (1, 0))
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    speed = draws.uniform(-FASTEST, FASTEST), draws.uniform(-FASTEST, FASTEST)
    start = int(rows[0]), int(columns[0])
    label = scene.things[number - 1].label
    return _Mover(label, scene.image[window], owned[window], start, speed)


def _place(first: float, side: int, room: int) -> slice:
    """Where `side` pixels lie that started for `first` and turned round at both ends of `room`."""
    span = room - side
    first = round(first) % (2 * span) if span else 0
    first = min(first, 2 * span - first)
    return slice(first, first + side)
