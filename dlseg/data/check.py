"""Look at a whole folder of data before a night of training trips over one file of it."""

from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from dlseg.data import cityscapes, voc
from dlseg.data.cityscapes import Cityscapes
from dlseg.data.files import DataError, Fault, Pair
from dlseg.data.voc import VOC


def check_folder(root: str | Path) -> list[Fault]:
    """All that is wrong with the Pascal VOC or Cityscapes in a folder, every file read.

    Lists that are missing, empty or overlap with val; images and masks that are missing, damaged,
    of two sizes, in colours, or hold a label out of range. A number of images other than published
    is a remark, a fault that is not serious. Shows a progress bar on a terminal.
    root: as for `VOC` or `Cityscapes`. Raises DataError where neither is there.
    """
    root = Path(root)
    faults, pairs = [], {}  # a dict keeps the order, and each pair once
    for look in (_look_at_voc, _look_at_cityscapes):
        faults_there, datasets = look(root)
        faults += faults_there
        for dataset in datasets:
            pairs.update(dict.fromkeys(dataset.pairs))
    if not faults and not pairs:
        problem = "there is neither Pascal VOC nor Cityscapes here"
        remedy = "give a folder that has VOCdevkit/VOC2012, or leftImg8bit and gtFine"
        raise DataError(Fault(root, problem, remedy))
    faults += _check_folders(pairs) + _check_files(pairs)
    return list(dict.fromkeys(faults))  # an image may have two masks, and its fault comes twice


def _look_at_voc(root: Path) -> tuple[list[Fault], list[VOC]]:
    """Faults of the lists, and a data set of each that can be read; nothing where no VOC is."""
    folder = voc.find_voc(root)
    if folder is None:
        return [], []
    lists = folder / "ImageSets" / "Segmentation"
    splits = ["train", "val", "trainval"]
    if (folder / "SegmentationClassAug").is_dir() and not any(lists.glob("*aug.txt")):
        splits.append("trainaug")
    splits += [path.stem for path in sorted(lists.glob("*.txt")) if path.stem != "test"]
    faults, datasets = [], []
    for split in dict.fromkeys(splits):
        try:
            dataset = VOC(folder, split)
        except DataError as error:
            faults.append(error.fault)
            continue
        datasets.append(dataset)
        published = voc.COUNTS.get(_published(split))
        faults += _remark_count(lists / f"{split}.txt", len(dataset), published)
    names = {dataset.split: dataset.names for dataset in datasets}
    return faults + _leaks(lists, names), datasets


def _published(split: str) -> str:
    return {"train_aug": "trainaug", "trainvalaug": "trainval_aug"}.get(split, split)


def _leaks(lists: Path, names: dict[str, list[str]]) -> list[Fault]:
    """Training lists that hold images of val."""
    val = set(names.get("val", ()))
    faults = []
    for split in [split for split in names if _published(split) in ("train", "trainaug")]:
        shared = [name for name in names[split] if name in val]
        if shared:
            problem = f"{len(shared)} of its names are in val.txt too, the first {shared[0]}"
            remedy = "take them out: a score on val would be one on training images"
            faults.append(Fault(lists / f"{split}.txt", problem, remedy))
    return faults


def _look_at_cityscapes(root: Path) -> tuple[list[Fault], list[Cityscapes]]:
    """Faults of the folders, and a data set of each split; nothing where no Cityscapes is."""
    if not any((root / part).is_dir() for part in ("leftImg8bit", "gtFine")):
        return [], []
    faults, datasets = [], []
    for split, published in cityscapes.COUNTS.items():
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
        faults += _remark_count(images, len(dataset), published)
        faults += _masks_alone(masks, {pair.label for pair in dataset.pairs})
    return faults, datasets


def _masks_alone(masks: Path, expected: set[Path]) -> list[Fault]:
    remedy = "unpack the archive leftImg8bit again, or delete the mask"
    alone = sorted(set(masks.glob(f"*/*{cityscapes.LABEL}")) - expected)
    return [Fault(mask, "the mask has no image", remedy) for mask in alone]


def _remark_count(path: Path, count: int, published: int | None) -> list[Fault]:
    if published in (None, count):
        return []
    problem = f"{count} images, and {published} were published"
    return [Fault(path, problem, "nothing to do if this is a part, or data of your own", False)]


def _check_folders(pairs: dict[Pair, None]) -> list[Fault]:
    """One fault for each missing folder, instead of one for each file in it; drops its pairs."""
    missing = Counter()
    for pair in list(pairs):
        absent = {_absent_folder(pair.image), _absent_folder(pair.label)} - {None}
        missing.update(absent)
        if absent:
            del pairs[pair]
    return [
        Fault(folder, f"there is no such folder, and {count} samples need it", "unpack it again")
        for folder, count in sorted(missing.items())
    ]


def _absent_folder(file: Path) -> Path | None:
    """The highest folder above `file` that is not there."""
    absent = None
    for folder in file.parents:
        if folder.is_dir():
            return absent
        absent = folder
    return absent


def _check_files(pairs: Collection[Pair]) -> list[Fault]:
    bar = tqdm(total=len(pairs), desc="reading", unit=" images", disable=None)
    faults = []
    # Threads, since decoding leaves Python's lock alone; whoever interrupts it cancels the rest.
    with ThreadPoolExecutor() as pool, bar:
        for of_pair in pool.map(_check_pair, pairs):
            faults += of_pair
            bar.update()
    return faults


def _check_pair(pair: Pair) -> list[Fault]:
    arrays, faults = [], []
    for read in (pair.read_image, pair.read_label):
        try:
            arrays.append(read())
        except DataError as error:
            faults.append(error.fault)
    if not faults:
        try:
            pair.check_sizes(*arrays)
        except DataError as error:
            faults.append(error.fault)
    return faults
