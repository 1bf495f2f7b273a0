"""Cityscapes with fine masks: street scenes of 2048 x 1024 pixels in 50 cities, 19 classes.

    leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png
    gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png

A mask holds **ids**, 0 to 33. Networks are trained on **train ids**, 0 to 18, in which 255 stands
for the ids that are not evaluated. The benchmark wants ids back: its server takes images in the
form of the labelIds files (README of the benchmark's own scripts, section Evaluation).
train has 2975 images, val 500, test 1525; the masks of test hold void only.
"""

from pathlib import Path

import numpy as np

from dlseg.checks import check_choice
from dlseg.data.faults import DataError, Fault, place_of, remark_count
from dlseg.data.files import Pair
from dlseg.data.palette import CITYSCAPES_PALETTE
from dlseg.doors import check_labels

# name and id of each train id in its order
_TABLE = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
CLASSES = tuple(_TABLE)
NUM_IDS = 34
VOID = 255
COUNTS = {"train": 2975, "val": 500, "test": 1525}
IMAGE, LABEL = "_leftImg8bit.png", "_gtFine_labelIds.png"

_IDS = np.array(list(_TABLE.values()), dtype=np.uint8)
_TRAIN_IDS = np.full(NUM_IDS, VOID, dtype=np.uint8)
_TRAIN_IDS[_IDS] = np.arange(len(_IDS))


class Cityscapes:
    """Cityscapes as a data set of (image uint8 (H, W, 3), train ids uint8 (H, W)).

    root: the folder with leftImg8bit and gtFine. split: "train", "val" or "test".
    Labels are train ids 0 to 18, and 255 for what is not evaluated.
    Files are opened when a sample is asked for, and closed again.
    Raises DataError for a missing folder; `dataset[i]` for a missing or faulty file.
    """

    classes = CLASSES
    num_classes = len(CLASSES)
    ignore_index = VOID

    def __init__(self, root: str | Path, split: str = "train"):
        check_choice("split", split, COUNTS)
        self.palette = CITYSCAPES_PALETTE.copy()
        self.split = split
        folder = place_of(root) / "leftImg8bit" / split
        self.pairs = [
            Pair(image, label_of(image), NUM_IDS, None)
            for image in sorted(folder.glob(f"*/*{IMAGE}"))
        ]
        if not self.pairs:
            problem = "there are no images of Cityscapes here"
            remedy = "give the folder that has leftImg8bit and gtFine, and unpack both archives"
            raise DataError(Fault(folder, problem, remedy))

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image, ids = self.pairs[index].read()
        return image, to_train_ids(ids)


def look(root: Path) -> tuple[list[Fault], list[Cityscapes]]:
    """Faults of the folders, and a data set of each split; nothing where no Cityscapes is."""
    if not any((root / part).is_dir() for part in ("leftImg8bit", "gtFine")):
        return [], []
    faults, datasets = [], []
    for split, published in COUNTS.items():
        images, masks = root / "leftImg8bit" / split, root / "gtFine" / split
        # Only those who submit to the benchmark need test.
        if split == "test" and not images.is_dir() and not masks.is_dir():
            continue
        try:
            dataset = Cityscapes(root, split)
        except DataError as error:
            faults.append(error.fault)
            continue
        datasets.append(dataset)
        faults += remark_count(images, len(dataset), published)
        faults += _masks_alone(masks, {pair.label for pair in dataset.pairs})
    return faults, datasets


def _masks_alone(masks: Path, expected: set[Path]) -> list[Fault]:
    remedy = "put its image into leftImg8bit, or delete the mask"
    alone = sorted(set(masks.glob(f"*/*{LABEL}")) - expected)
    return [Fault(mask, "the mask has no image", remedy) for mask in alone]


def label_of(image: Path) -> Path:
    """Where the mask of an image belongs."""
    city = image.parent
    name = image.name.removesuffix(IMAGE) + LABEL
    return city.parents[2] / "gtFine" / city.parent.name / city.name / name


def to_train_ids(ids: np.ndarray) -> np.ndarray:
    """Train ids, uint8, of ids 0 to 33 in an array of any shape; 255 where not evaluated.

    Raises ValueError for another id, and for other than integers.
    """
    check_labels("ids", ids, NUM_IDS, None)
    return _TRAIN_IDS[ids.astype(np.uint8)]


def to_ids(train_ids: np.ndarray) -> np.ndarray:
    """Ids, uint8, of train ids 0 to 18 in an array of any shape, as the benchmark wants them.

    255 becomes 0, unlabelled. Raises ValueError for another train id, and for other than integers.
    """
    check_labels("train ids", train_ids, len(_IDS), VOID)
    void = train_ids == VOID
    return np.where(void, 0, _IDS[np.where(void, 0, train_ids).astype(np.uint8)]).astype(np.uint8)
