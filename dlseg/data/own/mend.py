"""Write what can be mended of a folder of one's own to another folder, with its pictures.

    OUT/images/train/NAME.jpg  masks/train/NAME.png  classes.txt

Masks become index PNGs of 8 bits with the classes' colours, 255 counting nowhere. Pictures are
copied as they are. The split is written down, so that it stays.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from dlseg.aside import new_file, new_folder
from dlseg.data.across import Seen, Survey, surplus
from dlseg.data.faults import DataError, Fault, place_of
from dlseg.data.files import write_label
from dlseg.data.own.classes import VOID
from dlseg.data.own.coding import OwnPair, read_values
from dlseg.data.own.folder import Folder
from dlseg.data.own.polygons import ShapePair
from dlseg.data.pictures import read_pictures, upright

_SPLITS = ("train", "val", "test")


@dataclass
class Mended:
    """What was written. counts: pictures of each split; changes: how many masks of each kind.

    left: what could not be mended, and is not there.
    """

    folder: Path
    counts: Counter = field(default_factory=Counter)
    changes: Counter = field(default_factory=Counter)
    left: list[Fault] = field(default_factory=list)


class _Task(NamedTuple):
    pair: OwnPair | ShapePair
    seen: Seen
    part: str  # split/NAME


def mend(found: Survey, out: str | Path) -> Mended:
    """Write the pictures and mended masks of a survey of a folder of one's own to the folder `out`.

    Shows a progress bar on a terminal. Raises DataError where `out` is there, or lies in the data,
    or nothing can be written of them.
    """
    out = place_of(out)
    folders = [dataset for dataset in found.datasets if isinstance(dataset, Folder)]
    if not folders:
        problem = "there is no folder of pictures and masks that can be opened"
        raise DataError(Fault(found.root, problem, "mend what is told above first"))
    if out.resolve().is_relative_to(found.root.resolve()):
        raise DataError(Fault(out, "lies in the data", "name a folder outside of them"))
    if out.exists():
        raise DataError(Fault(out, "is there already", "name a folder that is not there"))
    result = Mended(out)
    with new_folder(out) as part:
        _write_all(found, folders, part, result)
        if not all(result.counts[split] for split in _SPLITS[:2]):
            problem = "nothing is left to train on, or none for val"
            raise DataError(Fault(found.root, problem, "mend what is told above first"))
        _write_classes(part / "classes.txt", folders[0])
    return result


def _write_all(found: Survey, folders: list[Folder], out: Path, result: Mended) -> None:
    doubles, palette = surplus(found), folders[0].palette.copy()
    tasks = list(_tasks(found, folders))

    def work(task: _Task) -> tuple[list[str], Fault | None]:
        if task.pair.image in doubles:
            problem, remedy = "is in another split under another name", "the other one is written"
            return [], Fault(task.pair.image, problem, remedy, False)
        return _write(task, out, palette)

    bar = tqdm(total=len(tasks), desc="writing", unit=" masks", disable=None)
    with ThreadPoolExecutor() as pool, bar:
        for task, (changes, fault) in zip(tasks, pool.map(work, tasks), strict=True):
            bar.update()
            if fault is not None:
                result.left.append(fault)
                continue
            result.counts[task.part.partition("/")[0]] += 1
            result.changes.update(changes)


def _tasks(found: Survey, folders: list[Folder]) -> Iterator[_Task]:
    done = set()
    for dataset in folders:
        if dataset.split in _SPLITS:
            for name, pair in zip(dataset.names, dataset.pairs, strict=True):
                if pair.image not in done:
                    done.add(pair.image)
                    yield _Task(pair, found.seen.get(pair, Seen(())), f"{dataset.split}/{name}")


def _write(task: _Task, out: Path, palette: np.ndarray) -> tuple[list[str], Fault | None]:
    """Write a pair; what was changed of its mask, or why it was left out."""
    pair, seen = task.pair, task.seen
    if seen.image is None or seen.mask is None:
        return [], next(iter(seen.faults), Fault(pair.image, "was not looked at", "look again"))
    try:
        labels, changes = _labels(pair, seen)
    except DataError as error:
        return [], error.fault
    if (labels == VOID).all():
        problem = "is void all over"
        return [], Fault(pair.label, problem, "label things in it, or leave it out", False)
    picture = out / "images" / f"{task.part}{pair.image.suffix}"
    write_label(out / "masks" / f"{task.part}.png", labels, palette)
    picture.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(pair.image, picture)
    return changes, None


def _labels(pair: OwnPair | ShapePair, seen: Seen) -> tuple[np.ndarray, list[str]]:
    """Labels of a mask with 255 for void, and what of it had to be changed."""
    if isinstance(pair, ShapePair):
        if seen.faults:
            raise DataError(seen.faults[0])
        labels = pair.read_label()
        labels[labels == pair.ignore_index] = VOID
        return labels, ["shapes of labelme drawn as masks"]
    values, changes = read_values(pair.label), []
    labels, known = pair.coding.labels(values.array, values.palette)
    if not known.all():
        problem = f"{int((~known).sum())} pixels are no label or have the colour of no class"
        raise DataError(Fault(pair.label, problem, "mend the mask, or name them in classes.txt"))
    if labels.shape != seen.image:
        labels = _turned(pair, labels, seen)
        changes.append("turned as their pictures are")
    if pair.ignore_index != VOID and pair.coding.white is None:
        labels[labels == pair.ignore_index] = VOID
        changes.append(f"{pair.ignore_index} made {VOID}, which counts nowhere")
    if values.turned:
        changes.append("turned upright")
    if pair.coding.white is not None:
        changes.append(f"{pair.coding.white} made 1")
    elif values.form == "colours":
        changes.append("colours made indices")
    elif values.form not in ("indices of 8 bits", "indices with a palette"):
        changes.append(f"{values.form} made 8")
    elif values.palette is not None and (labels != values.array).any() and not changes:
        changes.append("colours of a palette made indices")
    return labels, changes


def _turned(pair: OwnPair, labels: np.ndarray, seen: Seen) -> np.ndarray:
    """A mask that was drawn over its picture as the file has it, turned as the picture is."""
    orientation = next(read_pictures(pair.image)).orientation
    if labels.shape != seen.image[::-1] or orientation < 5:
        raise DataError(seen.faults[0])
    return np.ascontiguousarray(upright(labels, orientation))


def _write_classes(path: Path, dataset: Folder) -> None:
    """Names and colours, a line for each class."""
    colours = dataset.palette[: dataset.num_classes].tolist()
    rows = zip(dataset.classes, colours, strict=True)
    text = "".join("{} {} {} {}\n".format(name, *colour) for name, colour in rows)
    with new_file(path) as file:
        file.write(text.encode())
