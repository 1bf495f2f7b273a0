"""Data of one's own as a data set: a folder of pictures and one of masks, and little more.

What cannot be guessed stands in a file `dataset.toml` in the folder, of which every line may be
left out:

    images = "photos of 2024"      # folders, where they have no usual names
    masks = "drawn"
    classes = ["soil", "weed", "crop"]
    ignore_index = 0               # the label that counts nowhere, else 255
    validate = 0.2                 # share held out where there is no folder or list val
    seed = 0                       # that chooses it
"""

import tomllib
from collections.abc import Sequence
from copy import copy
from pathlib import Path

import numpy as np

from dlseg.checks import check_integer, check_number
from dlseg.data.faults import DataError, Fault, place_of
from dlseg.data.own.classes import VOID, Classes, find_classes, named, read_classes
from dlseg.data.own.coding import OwnPair
from dlseg.data.own.layout import Layout, find_layout, splits_of
from dlseg.data.own.learn import learn, palette_of
from dlseg.data.own.polygons import ShapePair, shape_classes
from dlseg.schema import Unfit, integer, listing, number, record, text

SETTINGS = "dataset.toml"
VALIDATE, SEED = 0.2, 0
_SHOWN = 12
_CHECK = record(
    {},
    {
        "images": text(empty=False),
        "masks": text(empty=False),
        "classes": listing(text(empty=False), 1, 255),
        "ignore_index": integer(0, 255),
        "validate": number(0.001, 0.999),
        "seed": integer(),
    },
)


class Folder:
    """A folder of one's own as a data set of (image uint8 (H, W, 3), labels uint8 (H, W)).

    root: the folder; `dlseg.data.own.layout` has what may be in it. split: "train", "val" or
    another that the folder has. images, masks: names of the two folders in it, where they have no
    usual ones. classes: names in the order of their labels, or the file of a list (see
    `dlseg.data.own.classes`); None: the folder's own list, else they follow from the masks.
    ignore_index: the label that counts nowhere. validate: the share held out for val where the
    folder has no such split, chosen by `seed` and the names. None: as dataset.toml has it, else
    255, 0.2 and 0. Pictures without a mask are left out.
    Files are opened when a sample is asked for, and closed again.
    Raises DataError where no pictures and masks are found, no classes follow, or a list is faulty;
    ValueError for an option that makes no sense; `dataset[i]` DataError for a faulty file.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        images: str | None = None,
        masks: str | None = None,
        classes: str | Path | Sequence[str] | None = None,
        ignore_index: int | None = None,
        validate: float | None = None,
        seed: int | None = None,
    ):
        given = {"images": images, "masks": masks, "classes": classes}
        given |= {"ignore_index": ignore_index, "validate": validate, "seed": seed}
        root = place_of(root)
        options = _settings(root) | {k: v for k, v in given.items() if v is not None}
        self.root = root
        self.layout = _layout(root, options)
        self.parts, self.split_words = splits_of(self.layout, *_chance(options))
        self._classes(options)
        self._take(str(split))

    def _take(self, split: str) -> None:
        """Have the samples of a split."""
        if split not in self.parts:
            problem = f"there is no split {split!r} here"
            raise DataError(Fault(self.root, problem, f"choose one of: {', '.join(self.parts)}"))
        self.split, samples = split, self.parts[split]
        self.names = [sample.name for sample in samples]
        numbers = self.num_classes, self.ignore_index
        kind, last = (ShapePair, self.classes) if self.layout.has_shapes else (OwnPair, self.coding)
        self.pairs = [kind(one.image, one.mask, *numbers, last) for one in samples]

    def other(self, split: str) -> "Folder":
        """Another split of the folder, which is not looked at anew. Raises DataError for none."""
        other = copy(self)
        other._take(split)
        return other

    def _classes(self, options: dict) -> None:
        ignore_index = options.get("ignore_index")
        if ignore_index is not None:
            ignore_index = check_integer("ignore_index", ignore_index, 0, 255)
        samples = [sample for part in self.layout.parts.values() for sample in part]
        masks = list(dict.fromkeys(sample.mask for sample in samples))
        known = _known_classes(self.root, self.layout, options.get("classes"))
        if known is None and self.layout.has_shapes:
            known = shape_classes(masks)
        if self.layout.has_shapes:  # 255 is no value of theirs
            ignore_index = VOID if ignore_index is None else ignore_index
        known, self.coding = learn(masks, known, ignore_index, self.layout.base)
        self.classes, self.num_classes = known.names, len(known.names)
        self.classes_from = known.source
        self.ignore_index = self.coding.ignore_index
        self.palette = palette_of(known, self.ignore_index)

    def learnt(self) -> list[str]:
        """What was found in the folder, in lines of words."""
        counts = ", ".join(f"{name} {len(samples)}" for name, samples in self.parts.items())
        void = f"{self.ignore_index} counts nowhere"
        if self.coding.white is not None:
            void = f"{self.coding.white} stands for 1"
        names = ", ".join(self.classes[:_SHOWN]) + (", ..." if self.num_classes > _SHOWN else "")
        return [
            f"folders: {self.layout.words}",
            f"pictures with masks: {counts} ({self.split_words})",
            f"classes: {self.num_classes} of {self.classes_from} ({names}); {void}",
        ]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.pairs[index].read()


def _settings(root: Path) -> dict:
    """The content of dataset.toml, {} without it. Raises DataError where it is faulty."""
    path = root / SETTINGS
    try:
        return _CHECK("", tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise DataError(Fault(path, problem, "write it anew, or delete it")) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        remedy = "write lines such as ignore_index = 0"
        raise DataError(Fault(path, f"is no TOML: {error}", remedy)) from error
    except Unfit as error:
        raise DataError(Fault(path, str(error), "mend or delete that line")) from error


def _layout(root: Path, options: dict) -> Layout:
    layout = find_layout(root, options.get("images"), options.get("masks"))
    if layout is None:
        problem = "there is no folder of pictures and masks here"
        remedy = (
            "put the pictures into a folder images and the masks into masks, or name yours in "
            f'{SETTINGS} there: images = "..." and masks = "..."'
        )
        raise DataError(Fault(root, problem, remedy))
    if not layout.total:
        count = f"{len(layout.lone_images)} pictures and {len(layout.lone_masks)} masks"
        problem = f"{count}, of which no two belong together"
        if layout.lone_images and layout.lone_masks:
            pair = f"{layout.lone_images[0][1].name} and {layout.lone_masks[0][1].name}"
            problem += f": they are called as {pair}"
        remedy = "give a mask the name of its picture, as in 1.jpg and 1.png or 1_mask.png"
        raise DataError(Fault(layout.base, problem, remedy))
    return layout


def _chance(options: dict) -> tuple[float, int]:
    validate = options.get("validate", VALIDATE)
    if check_number("validate", validate, 0, 1) in (0, 1):
        raise ValueError(f"validate must be a share above 0 and below 1, got {validate!r}")
    return float(validate), check_integer("seed", options.get("seed", SEED), 0)


def _known_classes(
    root: Path, layout: Layout, classes: str | Path | Sequence[str] | None
) -> Classes | None:
    if classes is None:
        found = find_classes([root, *layout.folders])
        return None if found is None else read_classes(found)
    if isinstance(classes, str | Path):
        return read_classes(classes)
    return named(classes, "the given names")


def look(root: Path, **options: float) -> tuple[list[Fault], list[Folder]]:
    """What is wrong with the folder's lists and pairs, and a data set of each split.

    options: `validate` and `seed` of `Folder`. Nothing of both where no folders of pictures and
    masks are known.
    """
    try:
        found = find_layout(root) is not None or (root / SETTINGS).is_file()
        if not found:
            return [], []
        train = Folder(root, **options)
    except DataError as error:
        return [error.fault], []
    datasets = [train, *(train.other(split) for split in train.parts if split != "train")]
    return faults_of(train.layout), datasets


def faults_of(layout: Layout) -> list[Fault]:
    """What has no partner, and names of lists that stand for nothing; one fault for all of a kind.

    Pictures without masks are a remark: they are not used.
    """
    faults = []
    if lone := [path for split, path in layout.lone_images if split != "test"]:
        problem = f"pictures without a mask, not used: {len(lone)}, the first {lone[0].name}"
        remedy = "draw masks of their names, or leave them out"
        faults.append(Fault(lone[0].parent, problem, remedy, False))
    if lone := [path for _, path in layout.lone_masks]:
        problem = f"masks without a picture, not used: {len(lone)}, the first {lone[0].name}"
        remedy = "put the picture there under the mask's name, or delete the mask"
        faults.append(Fault(lone[0].parent, problem, remedy))
    for path, names in layout.unlisted.items():
        problem = f"{len(names)} of its names have no picture with a mask, the first {names[0]}"
        faults.append(Fault(path, problem, "take them out, or put the files there"))
    for split, samples in layout.parts.items():
        if split in ("", "val"):
            continue
        val = {sample.image for sample in layout.parts.get("val", ())}
        shared = [sample.name for sample in samples if sample.image in val]
        if shared and split in ("train", "test"):
            problem = f"{len(shared)} of the pictures of {split} are in val too, the first "
            remedy = "take them out of one list: a score on val would be one on training images"
            faults.append(Fault(layout.base, problem + shared[0], remedy))
    return faults
