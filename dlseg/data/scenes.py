"""The teaching data: drawn scenes in which each class isolates one problem that DeepLab solves.

| classes | told apart by | what a network needs |
|---|---|---|
| stripes, dots | texture of period 4-6 px, radius 3.5-30 px | fine texture at every scale |
| plate A, plate B | a small mark at the centre only, warm or cold | context of the object's size |
| star | six spikes that run out to a point | boundaries, for a decoder or a CRF |
| ring, wire | curves 3 px thin; the wire is open, black or white | localisation |
| lamp A, lamp B | the colour of the one lit cross of the picture | context of the picture's size |
| background | a smooth field with soft blobs | |
| 255 | one rectangle of random pixels per portion of 96x96 px | to be ignored |

Colours are random, but differ from all of the background by 0.3 (of 1) in a channel at least; the
noise has a deviation of 0.04. Outlines are anti-aliased; labels say whether a pixel's centre lies
inside. Things with a mark, lamps and textures do not cover each other; rings and wires pass below.

Limits. Everything is flat, seen from above, and its sizes do not depend on its class as they do in
photographs; there is no light, no texture in the background, and no label is wrong. A network that
is good here need not be good on photographs: compare ideas with it, not products. The share of
large things is a little lower than drawn by lot, because they find room less often.
"""

import json
import zipfile
from pathlib import Path
from uuid import uuid4

import numpy as np
from tqdm import tqdm

from dlseg.checks import check_integer
from dlseg.data.drawing import CLASSES, IGNORE_INDEX, SMALLEST, VERSION, Scene, draw_scene

__all__ = [
    "CLASSES",
    "IGNORE_INDEX",
    "PALETTE",
    "SPLITS",
    "VERSION",
    "Scene",
    "Scenes",
    "draw_scene",
]

# Found by a search: at least 25 apart in CIELAB for normal, protan, deutan and tritan eyes.
_COLOURS = "15191f 47700d 7b3eb6 f28f63 1b9f9c 720d68 9696e0 c7b417 ac3c57 0d13c6"
PALETTE = np.full((256, 3), 0xDD, np.uint8)  # 255 and what has no class: pale grey
PALETTE[: len(CLASSES)] = [tuple(bytes.fromhex(colour)) for colour in _COLOURS.split()]
PALETTE.flags.writeable = False

SPLIT_SIZE = 2**30  # scenes; the splits are ranges of indices that do not meet
SPLITS = {"train": 0, "val": SPLIT_SIZE, "test": 2 * SPLIT_SIZE}  # first index of each


class Scenes:
    """The first `count` scenes of one split of the teaching data; any number can be asked for.

    scenes[i] is (image, label): uint8 (S, S, 3) and uint8 (S, S), arrays of the caller's own.
    split: "train", "val" or "test". size: pixels of each side. seed: of the whole data set; scenes
    of different splits, seeds or sizes have nothing in common.
    cache: a folder; all scenes are read from there, or drawn once and kept there and in memory
    (size * size * 4 bytes each). Without it each scene is drawn when asked for, in 2 ms.
    Raises: ValueError for a bad argument, OSError if the cache cannot be written.
    """

    classes = CLASSES
    num_classes = len(CLASSES)
    ignore_index = IGNORE_INDEX
    palette = PALETTE

    def __init__(self, count, split="train", size=96, seed=0, cache: str | Path | None = None):
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
        self.count = check_integer("count", count, 1)
        if self.count > SPLIT_SIZE:
            raise ValueError(f"count must be at most {SPLIT_SIZE}, got {self.count}")
        self.split = split
        self.size = check_integer("size", size, SMALLEST)
        self.seed = check_integer("seed", seed, 0)
        self.scene(0)  # for the rest of its clear errors
        self._pool = None
        if cache is not None:
            self._pool = _load(self._file(cache), self.header()) or self._keep(Path(cache))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        if self._pool is None:
            scene = self.scene(i)
            return scene.image, scene.label
        i = range(self.count)[i]  # raises IndexError
        return self._pool[0][i].copy(), self._pool[1][i].copy()

    def scene(self, i: int) -> Scene:
        """Scene number i of this split with all that is known of it; always drawn anew."""
        return draw_scene(self.seed, SPLITS[self.split] + range(self.count)[i], self.size)

    def pool(self) -> tuple[np.ndarray, np.ndarray]:
        """All scenes at once, kept in memory from then on; `scenes[i]` reads them there.

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

    def header(self) -> dict:
        """What decides the pixels, as the file in the cache says it too."""
        return {
            "version": VERSION,
            "split": self.split,
            "size": self.size,
            "seed": self.seed,
            "count": self.count,
        }

    def _file(self, cache: str | Path) -> Path:
        return Path(cache, f"scenes-{self.split}-{self.size}-{self.seed}-{self.count}.npz")

    def _keep(self, cache: Path) -> tuple[np.ndarray, np.ndarray]:
        pool = self.pool()
        target = self._file(cache)
        partial = target.with_name(f"{target.name}.{uuid4().hex}.part")
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with partial.open("xb") as file:
                header = json.dumps(self.header())
                np.savez(file, header=header, images=pool[0], labels=pool[1])
            partial.replace(target)
        except OSError as error:
            raise OSError(
                f"cannot keep the scenes in {target}: {error}. Give another folder as cache"
            ) from error
        finally:
            if cache.is_dir():
                partial.unlink(missing_ok=True)
        return pool


def _load(path: Path, header: dict) -> tuple[np.ndarray, np.ndarray] | None:
    """The images and labels of a file that `header` fits; None if there is none or it is damaged.

    The archive holds a checksum of each array, which NumPy's reader compares.
    """
    shape = (header["count"], header["size"], header["size"])
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if json.loads(str(arrays["header"])) != header:
                return None
            images, labels = arrays["images"], arrays["labels"]
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    fits = images.shape == (*shape, 3) and labels.shape == shape
    return (images, labels) if fits and images.dtype == labels.dtype == np.uint8 else None
