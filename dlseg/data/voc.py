"""Pascal VOC 2012, segmentation: 20 classes of things and the background.

    VOCdevkit/VOC2012/JPEGImages/2007_000032.jpg
                      SegmentationClass/2007_000032.png       indices with a palette, 255 at borders
                      SegmentationClassAug/2007_000032.png    indices, usually grey, without 255
                      ImageSets/Segmentation/train.txt        one name a line

Data of your own may have the same folders: images and masks of any format that is read, names with
dots and spaces, and lists that you write.

train has 1464 images, val 1449, trainval both. **trainaug**, on which the DeepLab papers trained,
has 10582: train and 9118 images that Hariharan et al. (2011) labelled, the Semantic Boundaries
Dataset (SBD), without those of val. Neither is in the archive of VOC: put a list `trainaug.txt`
(or another name that ends in "aug") into ImageSets/Segmentation and the masks into
SegmentationClassAug. SBD's own lists are others, 8498 and 2857 names, and overlap with val.

SBD publishes its masks as files of Matlab. With SciPy, which dlseg does without, one is converted
by `mask = scipy.io.loadmat(path)["GTcls"]["Segmentation"][0, 0]` and
`dlseg.data.write_label(target, mask.astype("uint8"), voc_palette())`; the masks of train
that SBD lacks are copied from SegmentationClass.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from dlseg.data.faults import DataError, Fault, place_of, remark_count
from dlseg.data.files import Pair
from dlseg.data.own.classes import find_classes, read_classes
from dlseg.data.palette import voc_palette

_NAMES = """background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog
horse motorbike person pottedplant sheep sofa train tvmonitor"""
CLASSES = tuple(_NAMES.split())  # index = label
# How many images each list has; trainval_aug: trainaug and val.
# Ends of file names, the likeliest first.
IMAGES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif")
MASKS = (".png", ".tif", ".tiff", ".bmp", ".gif")
COUNTS = {"train": 1464, "val": 1449, "trainval": 2913, "trainaug": 10582, "trainval_aug": 12031}


class VOC:
    """Pascal VOC 2012 as a data set of (image uint8 (H, W, 3), labels uint8 (H, W)).

    root: the folder VOC2012, VOCdevkit, or the one above. An image is NAME.jpg, or another format
    (see `dlseg.data.read_image`); a mask NAME.png, or another. split: name of a list in
    ImageSets/Segmentation, such as "train", "val", "trainval"; where it ends in "aug", masks come
    from SegmentationClassAug. Labels are 0 to 20, and 255 for void; data of your own may have a
    list of their classes beside JPEGImages, such as labelme's class_names.txt.
    Files are opened when a sample is asked for, and closed again.
    Raises DataError for a missing or faulty list; `dataset[i]` for a missing or faulty file.
    """

    classes = CLASSES
    num_classes = len(CLASSES)
    ignore_index = 255

    def __init__(self, root: str | Path, split: str = "train"):
        root = place_of(root)
        folder = find_voc(root)
        if folder is None:
            remedy = "give the folder that has JPEGImages and ImageSets, usually VOCdevkit/VOC2012"
            raise DataError(Fault(root, "there is no Pascal VOC here", remedy))
        self.palette = voc_palette()
        self._own_classes(folder)
        self.split = split = str(split)
        self.names = read_names(folder / "ImageSets" / "Segmentation", split)
        images, masks = _files(folder / "JPEGImages"), _files(_masks(folder, split))
        self.pairs = [
            Pair(
                _file_of(name, images, folder / "JPEGImages", IMAGES),
                _file_of(name, masks, _masks(folder, split), MASKS),
                self.num_classes,
                self.ignore_index,
            )
            for name in self.names
        ]

    def _own_classes(self, folder: Path) -> None:
        """Of data of somebody's own, where their list lies beside the pictures."""
        if (path := find_classes([folder])) is None:
            return
        own = read_classes(path)
        self.classes, self.num_classes, self.ignore_index = own.names, len(own.names), own.void
        if own.colours is not None:
            self.palette[: len(own.colours)] = own.colours

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.pairs[index].read()


def look(root: Path) -> tuple[list[Fault], list[VOC]]:
    """Faults of the lists, and a data set of each that can be read; nothing where no VOC is."""
    folder = find_voc(root)
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
        published = COUNTS.get(_published(split)) if dataset.classes is CLASSES else None
        faults += remark_count(lists / f"{split}.txt", len(dataset), published)
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


def find_voc(root: Path) -> Path | None:
    """The folder VOC2012 that `root` is or has, or None."""
    for folder in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        if (folder / "JPEGImages").is_dir() or (folder / "ImageSets" / "Segmentation").is_dir():
            return folder
    return None


_NO_TEXT = "the list is no text in UTF-8", "save it as UTF-8, one name a line"


def read_names(lists: Path, split: str) -> list[str]:
    """The names of the images of one split, as in "2007_000032".

    lists: folder with files `split`.txt, a name a line; a line of two paths, image and mask, as
    DeepLab's own lists have them, counts as the name of its first. A name may have dots and
    spaces; the end of a picture's file name is taken off.
    Raises DataError for a list that is missing, empty, no text, or holds a name twice.
    """
    path = place_of(lists / f"{split}.txt")
    if split == "test":
        remedy = "evaluate on val, or predict single images"
        raise DataError(Fault(path, "the masks of test are not published", remedy))
    names = [_name(line) for line in _lines(path, _remedy(lists, split))]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if not names:
        raise DataError(Fault(path, "the list is empty", "write one name a line"))
    if twice:
        problem = f"{len(twice)} names are there twice, the first {twice[0]}"
        raise DataError(Fault(path, problem, "keep one line of each"))
    return names


def list_lines(path: Path) -> list[str]:
    """The names in a list of pictures of one's own, without the ends of file names; see `_name`.

    A name may have folders: CVAT writes `street/1`. Raises DataError for a list that is no text.
    """
    lines = _lines(path, "write it")
    return [_without_end(line if " /" not in line else line.split()[0]) for line in lines]


def _lines(path: Path, remedy: str) -> list[str]:
    """Lines of a text that are not empty, without space at their ends."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError as error:
        raise DataError(Fault(path, "there is no such list", remedy)) from error
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise DataError(
            Fault(path, problem, "write it anew, as a file that you may read")
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(Fault(path, *_NO_TEXT)) from error
    if any("\0" in line for line in lines):  # UTF-16, as some editors save, or no list
        raise DataError(Fault(path, *_NO_TEXT))
    return [line.strip() for line in lines if line.strip()]


def _name(line: str) -> str:
    if "/" in line:
        line = line.split()[0].rpartition("/")[2]
    return _without_end(line)


def _without_end(line: str) -> str:
    suffix = Path(line).suffix
    return line.removesuffix(suffix) if suffix.lower() in IMAGES else line


def _masks(folder: Path, split: str) -> Path:
    if split.endswith("aug"):
        return folder / "SegmentationClassAug"
    # labelme's: in SegmentationClass it has arrays, which are no masks.
    own, labelme = folder / "SegmentationClass", folder / "SegmentationClassPNG"
    return labelme if labelme.is_dir() and not any(own.glob("*.png")) else own


def _files(folder: Path) -> dict[tuple[str, str], Path]:
    """The files of a folder by their name without its end, and the end in small letters."""
    inside = folder.iterdir() if folder.is_dir() else ()
    return {(path.stem, path.suffix.lower()): path for path in inside}


def _file_of(name: str, files: dict, folder: Path, suffixes: tuple[str, ...]) -> Path:
    """The file of that name in the likeliest format; where there is none, the one to expect."""
    found = (files.get((name, suffix)) for suffix in suffixes)
    return next(filter(None, found), folder / (name + suffixes[0]))


def _remedy(lists: Path, split: str) -> str:
    there = sorted(path.stem for path in lists.glob("*.txt"))
    if split.endswith("aug"):
        remedy = "it is no part of VOC, see dlseg.data.voc"
        return f"{remedy}; lists there: {', '.join(there)}" if there else remedy
    write = "write one, the name of an image without .jpg a line"
    if there:
        return f"{write}, or choose one of: {', '.join(there)}"
    return f"{write}, or name the data folder:DIR, which needs no list"
