"""Data sets by the names that the command line and checkpoints use: one row for each.

A name is a kind, "scenes", or a kind and the folder that holds its files, "voc:DIR". A new data set
is a class in a file of its own, see `dlseg.data` for what it has, and a row here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dlseg.data import cityscapes, voc
from dlseg.data.cityscapes import Cityscapes
from dlseg.data.faults import Fault
from dlseg.data.own import folder
from dlseg.data.own.folder import Folder
from dlseg.data.photographs import Photographs
from dlseg.data.scenes import Scenes
from dlseg.data.voc import VOC

TRAIN_SCENES, VALIDATION_SCENES = 2000, 200


@dataclass(frozen=True)
class Files:
    """What a row whose data are files says about them.

    title: the data set's name. layout: what its folder has. look: a folder to the faults of its
    lists and a data set of every split there; to none of both where the folder holds no such data.
    """

    title: str
    layout: str
    look: Callable[[Path], tuple[list[Fault], list]]


@dataclass(frozen=True)
class Kind:
    """A row. open: (folder, split) to the data set. files: None where it reads none.

    options: the keywords that `open` takes beside them.
    """

    open: Callable[..., object]
    files: Files | None = None
    options: tuple[str, ...] = ()


def _scenes(_folder: str, split: str) -> Scenes:
    """The teaching data, drawn once and kept in memory."""
    scenes = Scenes(TRAIN_SCENES if split == "train" else VALIDATION_SCENES, split)
    scenes.pool()
    return scenes


def _photographs(_folder: str, split: str) -> Photographs:
    if split != "val":
        raise ValueError(f"the photographs are for evaluation alone, split val, got {split!r}")
    return Photographs()


KINDS = {
    "scenes": Kind(_scenes),
    "photographs": Kind(_photographs),
    "voc": Kind(VOC, Files("Pascal VOC", "VOCdevkit/VOC2012", voc.look)),
    "cityscapes": Kind(Cityscapes, Files("Cityscapes", "leftImg8bit and gtFine", cityscapes.look)),
    "folder": Kind(
        Folder,
        Files("folder of pictures and masks", "images and masks", folder.look),
        ("validate", "seed"),
    ),
}


def data_names() -> str:
    """What a data set may be called, for messages, such as "scenes, voc:DIR or folder:DIR"."""
    *names, last = (f"{kind}:DIR" if row.files else kind for kind, row in KINDS.items())
    return f"{', '.join(names)} or {last}"


def kind_and_folder(name: str) -> tuple[str, str]:
    """The kind and the folder, "" where it has none, of a data set's name.

    Raises ValueError for a kind that has no row, and a folder that is missing or too much.
    """
    kind, _, folder = name.partition(":")
    if kind not in KINDS or (KINDS[kind].files is None) == bool(folder):
        raise ValueError(f"data must be {data_names()}, got {name!r}")
    return kind, folder


def open_data(name: str, split: str, **options):
    """The data set of that name. split: which pictures, such as "train" or "val".

    options: `validate` and `seed` of `Folder`; those that are None are left out.
    Raises ValueError for another name, for an option that this kind of data does not take, and as
    the data set itself where its files are not there.
    """
    kind, place = kind_and_folder(name)
    options = {key: value for key, value in options.items() if value is not None}
    for option in options:
        if option not in KINDS[kind].options:
            takers = [f"{other}:DIR" for other, row in KINDS.items() if option in row.options]
            hint = f"it is for {' and '.join(takers)}" if takers else "there is no such option"
            raise ValueError(f"{name} takes no option {option}: {hint}")
    return KINDS[kind].open(place, split, **options)
