"""Look at a whole folder of data before a night of training trips over one file of it."""

from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dlseg.data.across import Seen, Survey, across, foreign
from dlseg.data.faults import DataError, Fault, place_of
from dlseg.data.files import Pair
from dlseg.data.own.classes import find_classes
from dlseg.data.registry import KINDS
from dlseg.data.voc import find_voc

LISTS = ("train", "val", "trainval")


def check_folder(root: str | Path) -> list[Fault]:
    """What is wrong with lists and files of the data sets in a folder, as Pascal VOC; reads all.

    Lists that are missing, empty or overlap with val; images and masks that are missing, damaged,
    of two sizes, in colours, or hold a label out of range. A number of images other than published
    is a remark, a fault that is not serious. Shows a progress bar on a terminal. What only all
    files together show, as copies in two splits, `survey` has.
    root: as for the data set, see `dlseg.data.registry`. Raises DataError where none is there.
    """
    return survey(root).faults


def survey(root: str | Path, kind: str | None = None, **options: float) -> Survey:
    """`check_folder` with all that it learnt. kind: of the data; None: what the folder has.

    options: of the kind that is named, as for `open_data`.

    Pascal VOC and Cityscapes are known by their folders; what is neither, or has the folders of VOC
    without its lists and with a list of classes, is taken as folder of pictures and masks.
    """
    root = place_of(root)
    looked = _looked(root) if kind is None else {kind: KINDS[kind].files.look(root, **options)}
    faults = [fault for more, _ in looked.values() for fault in more]
    datasets = [dataset for _, found in looked.values() for dataset in found]
    pairs = dict.fromkeys(pair for dataset in datasets for pair in dataset.pairs)
    if not faults and not pairs:
        rows = [KINDS[name].files for name in looked]
        problem = f"there is {_neither([row.title for row in rows])} here"
        remedy = f"give a folder that has {', or '.join(row.layout for row in rows)}"
        raise DataError(Fault(root, problem, remedy))
    faults += _check_folders(pairs)
    seen = _see_all(pairs)
    faults += [fault for one in seen.values() for fault in one.faults]
    result = Survey(root, datasets, faults, seen)
    faults += foreign(result)
    # An image may have two masks, and its fault comes twice.
    result.faults, result.together = list(dict.fromkeys(faults)), across(result)
    return result


def _looked(root: Path) -> dict[str, tuple[list[Fault], list]]:
    """What each kind finds: `folder` only where no other is, or VOC's folders without its lists."""
    home = find_voc(root)
    lists = [home / "ImageSets" / "Segmentation" / f"{name}.txt" for name in LISTS] if home else []
    own = home is not None and ((home / "SegmentationClassPNG").is_dir() or find_classes([home]))
    if own and not any(path.is_file() for path in lists):
        return {"folder": KINDS["folder"].files.look(root)}
    looked = {}
    for name, row in KINDS.items():
        if row.files is not None and (name != "folder" or not any(map(any, looked.values()))):
            looked[name] = row.files.look(root)
    return looked


def _neither(titles: Sequence[str]) -> str:
    return f"neither {' nor '.join(titles)}" if len(titles) > 1 else f"no {titles[0]}"


def _check_folders(pairs: dict[Pair, None]) -> list[Fault]:
    """One fault for each missing folder, instead of one for each file in it; drops its pairs."""
    missing = Counter()
    for pair in list(pairs):
        absent = {_absent_folder(pair.image), _absent_folder(pair.label)} - {None}
        missing.update(absent)
        if absent:
            del pairs[pair]
    return [
        Fault(folder, f"there is no such folder, and {count} samples need it", "put it there")
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


def _see_all(pairs: Collection[Pair]) -> dict[Pair, Seen]:
    bar = tqdm(total=len(pairs), desc="reading", unit=" images", disable=None)
    seen = {}
    # Threads, since decoding leaves Python's lock alone; whoever interrupts it cancels the rest.
    with ThreadPoolExecutor() as pool, bar:
        for pair, one in zip(pairs, pool.map(_see, pairs), strict=True):
            seen[pair] = one
            bar.update()
    return seen


def _see(pair: Pair) -> Seen:
    """A pair, each file read once."""
    faults, found = [], {}
    try:
        image = pair.read_image()
        found = {"image": image.shape[:2], "digest": _digest(image)}
    except DataError as error:
        faults.append(error.fault)
    try:
        counted = pair.count_labels()
        held = np.flatnonzero(counted.counts).tolist()
        found |= counted._asdict() | {
            "counts": {label: int(counted.counts[label]) for label in held}
        }
    except DataError as error:
        faults.append(error.fault)
    if not faults:
        try:
            pair.check_sizes(found["image"], found["mask"])
        except DataError as error:
            faults.append(error.fault)
    return Seen(tuple(faults), **found)


def _digest(image: np.ndarray) -> bytes:
    """The same for pictures of the same pixels, whatever their files are called and how packed."""
    digest = blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image))
    return digest.digest()
