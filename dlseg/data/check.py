"""Look at a whole folder of data before a night of training trips over one file of it."""

from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from dlseg.data.faults import DataError, Fault, place_of
from dlseg.data.files import Pair
from dlseg.data.registry import KINDS


def check_folder(root: str | Path) -> list[Fault]:
    """All that is wrong with the data sets of files in a folder, such as Pascal VOC; reads all.

    Lists that are missing, empty or overlap with val; images and masks that are missing, damaged,
    of two sizes, in colours, or hold a label out of range. A number of images other than published
    is a remark, a fault that is not serious. Shows a progress bar on a terminal.
    root: as for the data set, see `dlseg.data.registry`. Raises DataError where none is there.
    """
    root = place_of(root)
    kinds = [kind.files for kind in KINDS.values() if kind.files is not None]
    faults, pairs = [], {}  # a dict keeps the order, and each pair once
    for kind in kinds:
        more, datasets = kind.look(root)
        faults += more
        for dataset in datasets:
            pairs.update(dict.fromkeys(dataset.pairs))
    if not faults and not pairs:
        problem = f"there is neither {' nor '.join(kind.title for kind in kinds)} here"
        remedy = f"give a folder that has {', or '.join(kind.layout for kind in kinds)}"
        raise DataError(Fault(root, problem, remedy))
    faults += _check_folders(pairs) + _check_files(pairs)
    return list(dict.fromkeys(faults))  # an image may have two masks, and its fault comes twice


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


def _check_files(pairs: Collection[Pair]) -> list[Fault]:
    bar = tqdm(total=len(pairs), desc="reading", unit=" images", disable=None)
    faults = []
    # Threads, since decoding leaves Python's lock alone; whoever interrupts it cancels the rest.
    with ThreadPoolExecutor() as pool, bar:
        for more in pool.map(_check_pair, pairs):
            faults += more
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
