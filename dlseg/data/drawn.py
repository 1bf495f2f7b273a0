"""What the drawn data sets share: any number of scenes by number, in splits that never meet."""

import numpy as np
from tqdm import tqdm

from dlseg.checks import check_choice, check_integer

SPLIT_SIZE = 2**30  # scenes; the splits are ranges of indices that do not meet
SPLITS = {"train": 0, "val": SPLIT_SIZE, "test": 2 * SPLIT_SIZE}  # first index of each


def drawn_palette(colours: str) -> np.ndarray:
    """The colours "020002 6f5847 ..." by label, others pale grey: uint8 (256, 3), read only."""
    palette = np.full((256, 3), 0xDD, np.uint8)
    named = [tuple(bytes.fromhex(colour)) for colour in colours.split()]
    palette[: len(named)] = named
    palette.flags.writeable = False
    return palette


class Drawn:
    """The first `count` scenes of one split; any number can be asked for.

    data[i] is (image, label): uint8 (S, S, 3) and uint8 (S, S), arrays of the caller's own.
    split: "train", "val" or "test". size: pixels of each side. seed: of the whole data set; scenes
    of different splits or seeds have nothing in common.
    Each scene is drawn when asked for, until `pool` keeps them all. Subclasses say how, in `draw`.
    Raises: ValueError for a bad argument.
    """

    def __init__(self, count: int, split: str, size: int, seed: int):
        check_choice("split", split, SPLITS)
        self.count = check_integer("count", count, 1, SPLIT_SIZE)
        self.split, self.size = split, size
        self.seed = check_integer("seed", seed, 0)
        self.scene(0)  # for the rest of its clear errors
        self._pool: tuple[np.ndarray, np.ndarray] | None = None

    def draw(self, index: int):
        """The scene with that number, of all splits."""
        raise NotImplementedError

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        if self._pool is None:
            scene = self.scene(i)
            return scene.image, scene.label
        i = range(self.count)[i]  # raises IndexError
        return self._pool[0][i].copy(), self._pool[1][i].copy()

    def scene(self, i: int):
        """Scene number i of this split with all that is known of it; always drawn anew."""
        return self.draw(SPLITS[self.split] + range(self.count)[i])

    def pool(self) -> tuple[np.ndarray, np.ndarray]:
        """All scenes at once, kept in memory from then on; `data[i]` reads them there.

        They take size * size * 4 bytes each.
        Returns: images, uint8 (N, S, S, 3), and labels, uint8 (N, S, S). Do not write into them.
        """
        if self._pool is None:
            images = np.empty((self.count, self.size, self.size, 3), np.uint8)
            labels = np.empty((self.count, self.size, self.size), np.uint8)
            # disable=None: no bar unless standard error is a terminal
            for i in tqdm(range(self.count), desc=f"{self.split} scenes", disable=None):
                images[i], labels[i] = self[i]
            self._pool = images, labels
        return self._pool
