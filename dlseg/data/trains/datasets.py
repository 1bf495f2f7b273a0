"""The data set of the trains."""

from dlseg.data.drawn import Drawn, drawn_palette
from dlseg.data.trains.drawing import (
    IGNORE_INDEX,
    SIDE,
    TRAIN_CLASSES,
    VERSION,
    TrainScene,
    draw_trains,
)

TRAIN_PALETTE = drawn_palette("020002 6f5847 9a3380 fe8a02 8ea8fd 88ff77 514dc0")  # of the scenes


class Trains(Drawn):
    """The first `count` scenes of trains of one split, 129 pixels a side.

    trains[i] is (image, label): uint8 (129, 129, 3) and uint8 (129, 129), arrays of the caller's
    own; `trains.scene(i)` is a `TrainScene`, with the distances too.
    split: "train", "val" or "test". seed: of the whole data set. turned, bend: see `draw_trains`.
    Raises: ValueError for a bad argument.
    """

    classes = TRAIN_CLASSES
    num_classes = len(TRAIN_CLASSES)
    ignore_index = IGNORE_INDEX
    palette = TRAIN_PALETTE

    def __init__(
        self,
        count: int,
        split: str = "train",
        seed: int = 0,
        turned: bool = False,
        bend: float = 0.0,
    ):
        self.turned, self.bend = turned, bend
        super().__init__(count, split, SIDE, seed)

    def draw(self, index: int) -> TrainScene:
        return draw_trains(self.seed, index, self.turned, self.bend)

    def header(self) -> dict:
        """What decides the pixels."""
        return {
            "version": VERSION,
            "split": self.split,
            "seed": self.seed,
            "count": self.count,
            "turned": self.turned,
            "bend": self.bend,
        }
