"""The data sets of the drawn scenes: `Scenes`, single pictures, and `Clip`, moving ones."""

from dataclasses import dataclass

import numpy as np

from dlseg.checks import check_integer
from dlseg.data.drawn import SPLITS, Drawn, drawn_palette
from dlseg.data.scenes.canvas import Canvas, Draws
from dlseg.data.scenes.drawing import (
    CLASSES,
    IGNORE_INDEX,
    NOISE,
    RING,
    SMALLEST,
    VERSION,
    WIRE,
    Scene,
    draw_scene,
)

# Found by a search: at least 25 apart in CIELAB for normal, protan, deutan and tritan eyes, and all
# with a contrast of 3 to 1 at least against the background, the first of them.
PALETTE = drawn_palette("020002 6f5847 9a3380 fe8a02 8ea8fd 8a00ff ca9f7c 88ff77 c32e05 514dc0")

FASTEST = 2.5  # pixels per frame of a clip, down and across


class Scenes(Drawn):
    """The first `count` scenes of one split of the teaching data; any number can be asked for.

    scenes[i] is (image, label): uint8 (S, S, 3) and uint8 (S, S), arrays of the caller's own.
    split: "train", "val" or "test". size: pixels of each side. seed: of the whole data set; scenes
    of different splits, seeds or sizes have nothing in common.
    Each scene is drawn when asked for, in 2 ms, until `pool` keeps them all.
    Raises: ValueError for a bad argument.
    """

    classes = CLASSES
    num_classes = len(CLASSES)
    ignore_index = IGNORE_INDEX
    palette = PALETTE

    def __init__(self, count, split="train", size=96, seed=0):
        super().__init__(count, split, check_integer("size", size, SMALLEST), seed)

    def draw(self, index: int) -> Scene:
        """The scene with that number, of all splits, with all that is known of it."""
        return draw_scene(self.seed, index, self.size)

    def header(self) -> dict:
        """What decides the pixels."""
        return {
            "version": VERSION,
            "split": self.split,
            "size": self.size,
            "seed": self.seed,
            "count": self.count,
        }


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
