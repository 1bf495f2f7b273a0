"""What only all files of a data set together show: copies, one class alone, absent classes."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dlseg.data.faults import Fault
from dlseg.data.files import Pair
from dlseg.data.own.folder import Folder

_COMPARED = ("train", "trainaug", "val", "test")  # splits that must not share a picture
_SHOWN = 5


@dataclass(frozen=True)
class Seen:
    """What one reading of a pair found. counts: pixels of each label that is there.

    foreign: pixels of values or colours that are no label. form: of the mask, in words, where that
    is known. digest: of the picture's pixels.
    image, mask: their sizes (H, W). None where a file cannot be read.
    """

    faults: tuple[Fault, ...]
    counts: dict[int, int] | None = None
    foreign: dict = field(default_factory=dict)
    form: str = ""
    digest: bytes | None = None
    image: tuple[int, int] | None = None
    mask: tuple[int, int] | None = None


@dataclass
class Survey:
    """All that is known of a folder after one reading. seen: by pair, each once.

    faults: of lists and files, each by itself. together: what only all files together show, such
    as copies, one class alone, and classes without a mask.
    """

    root: Path
    datasets: list
    faults: list[Fault]
    seen: dict[Pair, Seen]
    together: list[Fault] = field(default_factory=list)

    def counts(self, dataset) -> np.ndarray:
        """Pixels of each label in a data set, int64 (256,)."""
        total = np.zeros(256, np.int64)
        for pair in dataset.pairs:
            if pair in self.seen and (counts := self.seen[pair].counts):
                total[list(counts)] += list(counts.values())
        return total


def across(found: Survey) -> list[Fault]:
    """Faults and remarks that only all files together show."""
    faults = copies(found)
    for home, datasets in _by_home(found).items():
        counts = sum(found.counts(dataset) for dataset in datasets)
        if datasets[0].pairs[0].num_classes == datasets[0].num_classes:  # not ids of Cityscapes
            faults += _one_class(home, datasets[0], counts)
            faults += _all_void(found, home, datasets)
            faults += _absent(home, datasets[0], counts)
    return faults


def _by_home(found: Survey) -> dict[Path, list]:
    """Data sets of a kind, by the folder of their first mask; none whose masks cannot be read."""
    groups = defaultdict(list)
    for dataset in found.datasets:
        if found.counts(dataset).any():
            groups[type(dataset)].append(dataset)
    return {datasets[0].pairs[0].label.parent: datasets for datasets in groups.values()}


def foreign(found: Survey) -> list[Fault]:
    """Values and colours that are no label, of all masks of one kind in one fault."""
    total, masks = {}, {}
    for pair, one in found.seen.items():
        for value, count in one.foreign.items():
            colours = isinstance(value, tuple)
            total.setdefault(colours, Counter())[value] += count
            masks.setdefault(colours, {})[pair.label] = pair
    faults = []
    for colours, values in total.items():
        first, pair = next(iter(masks[colours].items()))
        some = ", ".join(map(str, list(values)[:_SHOWN])) + (
            ", ..." if len(values) > _SHOWN else ""
        )
        kind = "colours that no class has" if colours else "labels outside the classes"
        problem = f"{kind}: {some}; masks: {len(masks[colours])}, pixels: {values.total()}"
        faults.append(Fault(first, problem, _remedy(pair, colours, values)))
    return faults


def _remedy(pair: Pair, colours: bool, values: Counter) -> str:
    if colours and len(values) <= 20:
        lines = ", ".join("NAME {} {} {}".format(*colour) for colour in list(values)[:_SHOWN])
        return f"name them in classes.txt ({lines}), one of them void if it counts nowhere"
    if colours:
        return "take masks that were neither resized with smoothing nor saved as JPEG"
    allowed = f"0 to {pair.num_classes - 1} or {pair.ignore_index}"
    return (
        f"labels must be {allowed}: name all classes in classes.txt, or set ignore_index in "
        "dataset.toml to the label that counts nowhere"
    )


def copies(found: Survey) -> list[Fault]:
    """Pictures of the same pixels: serious where they are in two splits."""
    across, within = [], []
    for places in _same(found):
        (across if len(set(places.values())) > 1 else within).append(places)
    faults = []
    if across:
        a, b = _two(across[0])
        problem = f"in two splits under other names: {len(across)}, the first as {b}"
        remedy = "delete one of each: a score on pictures of training says nothing"
        faults.append(Fault(a, problem, remedy))
    if within:
        a, b = _two(within[0])
        problem = f"there twice in one split: {len(within)}, the first as {b}"
        faults.append(Fault(a, problem, "delete one of each, or leave it: it counts twice", False))
    return faults


def _same(found: Survey) -> list[dict[Path, str]]:
    """Pictures of the same pixels with their splits, two or more at a time."""
    splits = defaultdict(dict)  # digest -> picture -> its split
    for dataset in found.datasets:
        if dataset.split in _COMPARED:
            for pair in dataset.pairs:
                one = found.seen.get(pair)
                if one is not None and one.digest is not None:
                    splits[one.digest].setdefault(pair.image, dataset.split)
    return [places for places in splits.values() if len(places) > 1]


def surplus(found: Survey) -> set[Path]:
    """Pictures to leave out so that none is in two splits: those of val stay, then of test."""
    left_out = set()
    for places in _same(found):
        keeper = next((one for one in ("val", "test") if one in places.values()), None)
        left_out |= {path for path, split in places.items() if keeper and split != keeper}
    return left_out


def _two(places: dict[Path, str]) -> tuple[Path, str]:
    """The first picture, and the next of another split if there is one, with the splits."""
    (first, split), *others = places.items()
    other = next((path for path, its in others if its != split), others[0][0])
    return first, f"{other.name} of {places[other]}"


def _one_class(home: Path, dataset, counts: np.ndarray) -> list[Fault]:
    """Masks in which one label alone is ever counted: usually 255 was meant for the thing."""
    void = dataset.ignore_index
    labels = [label for label in np.flatnonzero(counts).tolist() if label != void]
    if len(labels) > 1 or void in labels or not counts.sum():
        return []
    share = counts[void] / counts.sum()
    if not labels:
        problem, remedy = f"all masks are void ({void}): nothing counts", "label things in them"
    else:
        problem = f"label {labels[0]} alone is ever counted: one class, and nothing to learn"
        remedy = "label things in the masks"
    if labels and share:
        problem += f"; {void}, which counts nowhere, holds {share:.1%} of the pixels"
        remedy = (
            f"if {void} is the thing, have two names in classes.txt, or no list: folder:DIR then "
            "takes it as 1, and dlseg doctor --data folder:DIR --fix OUT writes it so"
        )
    return [Fault(home, problem, remedy)]


def _all_void(found: Survey, home: Path, datasets: Iterable) -> list[Fault]:
    pairs = dict.fromkeys(pair for dataset in datasets for pair in dataset.pairs)
    empty = [
        pair.label
        for pair in pairs
        if (one := found.seen.get(pair)) is not None
        and one.counts is not None
        and list(one.counts) == [pair.ignore_index]
        and pair.ignore_index >= pair.num_classes
    ]
    if not empty or len(empty) == len(pairs):
        return []
    problem = f"void all over, which teaches nothing: {len(empty)}, the first {empty[0].name}"
    return [Fault(home, problem, "label things in them, or leave them out", False)]


def _absent(home: Path, dataset, counts: np.ndarray) -> list[Fault]:
    """Classes without a pixel."""
    if not isinstance(dataset, Folder):  # a part of published data lacks some, and may
        return []
    void = dataset.ignore_index
    absent = [
        name for label, name in enumerate(dataset.classes) if label != void and not counts[label]
    ]
    if not absent or len(absent) >= dataset.num_classes - 1:
        return []
    some = ", ".join(absent[:_SHOWN]) + (", ..." if len(absent) > _SHOWN else "")
    problem = f"no mask has {len(absent)} of the {dataset.num_classes} classes: {some}"
    remedy = "nothing to do if that is so; else look at the numbers in the list of classes"
    return [Fault(home, problem, remedy, False)]


def in_kinds(faults: Iterable[Fault]) -> list[tuple[list[Fault], str]]:
    """Faults that differ in numbers and files alone, together, and the remedy of the first."""
    groups = defaultdict(list)
    for fault in faults:
        groups[fault.serious, re.sub(r"\d+", "0", fault.problem)].append(fault)
    return [(group, group[0].remedy) for group in groups.values()]
