"""Which pictures and masks a folder has, and how they are split: learnt from names.

images/ masks/                      or other usual names of the two, or any that are given
images/train/ masks/train/          with subfolders for the splits below
train/images/ train/masks/          or above
train/ trainannot/                  as SegNet's CamVid; train_labels/, train_masks/
train/NAME.jpg train/NAME_mask.png  side by side
JPEGImages/ SegmentationClass/ ImageSets/Segmentation/train.txt       as Pascal VOC
JPEGImages/ SegmentationClassPNG/   as labelme's labelme2voc; CVAT's "Segmentation mask 1.1"
NAME.jpg NAME.json                  labelme's own files, beside the pictures or in a folder
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from dlseg.data.faults import DataError, Fault
from dlseg.data.own.names import (
    IMAGES,
    MASKS,
    has_pictures,
    held_out,
    is_mask_name,
    key_of,
    pair_up,
    pictures_in,
)
from dlseg.data.voc import list_lines

# The likeliest first.
_IMAGES = """images image imgs img jpegimages photos photographs photo pictures rgb inputs input"""
_MASKS = """masks mask segmentationclasspng segmentationclass labels label annotations annotation
annots annot gt groundtruth ground_truth segmentation segmentations targets target"""
_BESIDE = """annot _annot _annotations _labels _label _masks _mask masks labels _gt"""
IMAGE_FOLDERS, MASK_FOLDERS = tuple(_IMAGES.split()), tuple(_MASKS.split())
_NAMES_OF_SPLITS = {
    "train": "train training",
    "val": "val valid validation",
    "test": "test testing",
}
SPLITS = {name: split for split, names in _NAMES_OF_SPLITS.items() for name in names.split()}
SHAPES = (".json",)
_ANNOT = tuple(_BESIDE.split())


class Sample(NamedTuple):
    """A picture and its mask. name: its key, without the folder of the split."""

    name: str
    image: Path
    mask: Path


class Source(NamedTuple):
    """Two folders of pictures and masks. split: of all that is in them; "": it is told inside.

    suffixes: of the masks; SHAPES: they are labelme's own files. deep: whether folders below count;
    not where nothing but the files in it tells what the folder is, which may be a whole disk.
    """

    split: str
    images: Path
    masks: Path
    suffixes: tuple[str, ...] = MASKS
    deep: bool = True


@dataclass
class Layout:
    """What is where. parts: samples by split, "" for those of none; words: the layout in words.

    lone_images, lone_masks: without partner, with the split they lie in. unlisted: the names of
    each list that are not there.
    """

    words: str
    base: Path
    sources: list[Source]
    parts: dict[str, list[Sample]] = field(default_factory=dict)
    lone_images: list[tuple[str, Path]] = field(default_factory=list)
    lone_masks: list[tuple[str, Path]] = field(default_factory=list)
    unlisted: dict[Path, list[str]] = field(default_factory=dict)

    @property
    def has_shapes(self) -> bool:
        """Whether the masks are labelme's own files."""
        return self.sources[0].suffixes == SHAPES

    @property
    def folders(self) -> list[Path]:
        """Where a list of classes may lie, the likeliest first."""
        near = [place for source in self.sources for place in (source.masks, source.images)]
        both = [self.base, *near, *(place.parent for place in near)]
        return [place for place in dict.fromkeys(both) if place.is_relative_to(self.base)]

    @property
    def total(self) -> int:
        """How many samples there are, each once."""
        return len({sample.image for samples in self.parts.values() for sample in samples})


def find_layout(root: Path, images: str | None = None, masks: str | None = None) -> Layout | None:
    """The layout of a folder; None where it holds no pictures and masks in folders that are known.

    images, masks: names of the two folders in it, where they have no usual ones.
    Raises DataError where a folder that is named is not there.
    """
    if images is not None or masks is not None:
        return _filled(_given(root, images, masks))
    for base in _bases(root):
        for find in (_two_folders, _splits_above, _annot_beside, _side_by_side, _shapes):
            if found := find(base):
                return _filled(found)
    return None


def _given(root: Path, images: str | None, masks: str | None) -> Layout:
    if images is None or masks is None:
        raise ValueError(f"images and masks go together, got images={images!r}, masks={masks!r}")
    folders = root / images, root / masks
    for folder in folders:
        if not folder.is_dir():
            there = ", ".join(sorted(_subfolders(root))) or "there is none"
            raise DataError(Fault(folder, "there is no such folder", f"name one of: {there}"))
    if images == masks:
        return Layout(f"pictures and masks in {images}", root, [Source("", *folders)])
    return Layout(f"{images} and {masks}, as they were named", root, [Source("", *folders)])


def _bases(root: Path) -> list[Path]:
    """The folder itself, those of an archive of VOC, and what is its only subfolder."""
    inner = list(_subfolders(root).values())
    only = inner if len(inner) == 1 else []
    below = [root / "VOC2012", root / "VOCdevkit" / "VOC2012", *only]
    return [base for base in (root, *below) if base.is_dir()]


def _subfolders(folder: Path) -> dict[str, Path]:
    """Folders in one, by their names in small letters."""
    if not folder.is_dir():
        return {}
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        problem = f"cannot be looked into: {error.strerror}"
        raise DataError(Fault(folder, problem, "give yourself the right to read it")) from error
    return {
        key_of(path.name).casefold(): path
        for path in inside
        if not path.name.startswith((".", "__MACOSX")) and path.is_dir()
    }


def _usual(folder: Path, names: tuple[str, ...], suffixes: tuple[str, ...]) -> Path | None:
    """The folder of one of these names that has pictures."""
    there = _subfolders(folder)
    places = (there[name] for name in names if name in there)
    return next((place for place in places if has_pictures(place, suffixes)), None)


def _both(folder: Path) -> tuple[Path, Path] | None:
    """The folders of pictures and of masks in one, where both are there."""
    images = _usual(folder, IMAGE_FOLDERS, IMAGES)
    masks = _usual(folder, MASK_FOLDERS, MASKS)
    return (images, masks) if images and masks else None


def _two_folders(base: Path) -> Layout | None:
    if not (both := _both(base)):
        return None
    return Layout(" and ".join(place.name for place in both), base, [Source("", *both)])


def _splits_above(base: Path) -> Layout | None:
    there = {name: place for name, place in _subfolders(base).items() if name in SPLITS}
    found = [Source(SPLITS[name], *both) for name, place in there.items() if (both := _both(place))]
    if not found:
        return None
    inside = f"{found[0].images.name} and {found[0].masks.name}"
    return Layout(f"{inside} in folders of the splits", base, found)


def _annot_beside(base: Path) -> Layout | None:
    there, found = _subfolders(base), []
    for name, place in there.items():
        masks = next((there[name + end] for end in _ANNOT if name + end in there), None)
        if name in SPLITS and masks:
            found.append(Source(SPLITS[name], place, masks))
    words = " and ".join(place.name for place in found[0][1:3]) if found else ""
    return Layout(f"{words}, and so for each split", base, found) if found else None


def _side_by_side(base: Path) -> Layout | None:
    """Pictures and masks in one folder, told apart by the ends of their names."""
    there = {SPLITS[name]: place for name, place in _subfolders(base).items() if name in SPLITS}
    there = there or {"": base}
    found = [
        Source(split, place, place, deep=bool(split))
        for split, place in there.items()
        if _has_both(place)
    ]
    return Layout("pictures and masks side by side", base, found) if found else None


def _shapes(base: Path) -> Layout | None:
    """Pictures and labelme's own files, in one folder or two."""
    images = _usual(base, IMAGE_FOLDERS, IMAGES)
    apart = _usual(base, (*MASK_FOLDERS, "json", "jsons"), SHAPES)
    places = [(place, images) for place in (apart, images) if place and images]
    found = [[Source("", pictures, files, SHAPES)] for files, pictures in places]
    there = _subfolders(base).items()
    found.append(
        [Source(SPLITS[name], place, place, SHAPES) for name, place in there if name in SPLITS]
    )
    found.append([Source("", base, base, SHAPES, deep=False)])
    chosen = next((sources for sources in found if any(map(_any_pair, sources))), None)
    return Layout("labelme's own files", base, chosen) if chosen else None


def _any_pair(source: Source) -> bool:
    """Whether a picture and a file of labelme have one key."""
    files = pictures_in(source.masks, source.suffixes, source.deep)
    return bool(files) and any(
        key in files for key in pictures_in(source.images, IMAGES, source.deep)
    )


def _has_both(folder: Path) -> bool:
    inside = (path for path in folder.iterdir() if path.suffix.lower() in IMAGES)
    named = [is_mask_name(path.stem) for path in inside]
    return any(named) and not all(named)


def _filled(layout: Layout) -> Layout:
    """The layout with its samples in parts."""
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for source in layout.sources:
        for found, folder, suffixes in (
            (images, source.images, IMAGES),
            (masks, source.masks, source.suffixes),
        ):
            inside = pictures_in(folder, suffixes, source.deep)
            if source.images == source.masks and source.suffixes == MASKS:
                keys = {key for key in inside if is_mask_name(key) == (found is masks)}
                inside = {key: path for key, path in inside.items() if key in keys}
            found |= {_with_split(source.split, key): path for key, path in inside.items()}
    pairs, lone_images, lone_masks = pair_up(images, masks)
    layout.lone_images = _with_splits(images, lone_images)
    layout.lone_masks = _with_splits(masks, lone_masks)
    lists = layout.base / "ImageSets" / "Segmentation"
    if any(lists.glob("*.txt")):
        layout.parts = _by_lists(layout, lists, pairs)
    else:
        for key, (image, mask) in pairs.items():
            split = _split_of(key)
            name = key.partition("/")[2] if split else key
            layout.parts.setdefault(split, []).append(Sample(name, image, mask))
    return layout


def _with_split(split: str, key: str) -> str:
    """A key that begins with its split under its own name, where there is one."""
    if split:
        return f"{split}/{key}"
    first, slash, rest = key.partition("/")
    return SPLITS.get(first.casefold(), first) + slash + rest if slash else key


def _split_of(key: str) -> str:
    first, slash, _ = key.partition("/")
    return first if slash and first in SPLITS.values() else ""


def _with_splits(files: dict[str, Path], lone: list[Path]) -> list[tuple[str, Path]]:
    chosen = set(lone)
    return [(_split_of(key), path) for key, path in files.items() if path in chosen]


def _by_lists(
    layout: Layout, lists: Path, pairs: dict[str, tuple[Path, Path]]
) -> dict[str, list[Sample]]:
    """The samples of each list; what is in none belongs to none."""
    parts = {}
    by_name = {key.rpartition("/")[2]: key for key in pairs} | {key: key for key in pairs}
    for path in sorted(lists.glob("*.txt")):
        names = [key_of(name) for name in list_lines(path)]
        names = [name if name in by_name else name.rpartition("/")[2] for name in names]
        found = [by_name[name] for name in names if name in by_name]
        if lost := [name for name in names if name not in by_name]:
            layout.unlisted[path] = lost
        if found:
            split = SPLITS.get(path.stem.casefold(), path.stem)
            parts[split] = [Sample(key, *pairs[key]) for key in dict.fromkeys(found)]
    layout.words += f", split by the lists {', '.join(sorted(parts))} of ImageSets/Segmentation"
    return parts or {"": [Sample(key, *both) for key, both in pairs.items()]}


def splits_of(layout: Layout, validate: float, seed: int) -> tuple[dict[str, list[Sample]], str]:
    """Samples of train, val and perhaps more, and in words how they were split.

    Where the folder has no split of its own, a share `validate` is held out by `held_out`.
    """
    parts = layout.parts
    if parts.get("train") and parts.get("val"):
        own = " and ".join(name for name in parts if name)
        return {name: samples for name, samples in parts.items() if name}, f"its own split: {own}"
    rest = {name: samples for name, samples in parts.items() if name not in ("val", "test")}
    pool = list({s.image: s for samples in rest.values() for s in samples}.values())
    kept = {name: parts[name] for name in ("val", "test") if parts.get(name)}
    if "val" in kept and pool:
        return {"train": pool, **kept}, "its own val, and the rest to train on"
    if len(pool) < 2:
        problem = f"{len(pool)} pictures have masks to train on, and a split takes two"
        remedy = "add pictures with masks of the same names, or folders train and val"
        raise DataError(Fault(layout.base, problem, remedy))
    held = held_out([sample.name for sample in pool], validate, seed)
    train = [sample for sample in pool if sample.name not in held]
    val = [sample for sample in pool if sample.name in held]
    words = f"{validate:g} held out for val by seed {seed} and name"
    return {"train": train, "val": val, **kept}, words
