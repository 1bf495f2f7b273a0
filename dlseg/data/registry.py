"""Data sets by the names that the command line and checkpoints use: one row for each.

A name is a kind, "scenes", or a kind and the folder that holds its files, "voc:DIR", perhaps with
options behind it, "folder:DIR?validate=0.3&seed=1", so that a checkpoint's text of its data says
which pictures it was trained on. A new data set is a class in a file of its own, see `dlseg.data`
for what it has, and a row here.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dlseg.data import cityscapes, voc
from dlseg.data.cityscapes import Cityscapes
from dlseg.data.faults import Fault
from dlseg.data.own import folder
from dlseg.data.own.folder import Folder
from dlseg.data.photographs import Photographs
from dlseg.data.scenes import Scenes
from dlseg.data.trains import Trains
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

    options: the keywords that `open` takes beside them, with the kind of each.
    """

    open: Callable[..., object]
    files: Files | None = None
    options: Mapping[str, Callable[[str], object]] = field(default_factory=dict)


def _scenes(_folder: str, split: str) -> Scenes:
    """The teaching data, drawn once and kept in memory."""
    scenes = Scenes(TRAIN_SCENES if split == "train" else VALIDATION_SCENES, split)
    scenes.pool()
    return scenes


def _trains(_folder: str, split: str, turned: bool = False, bend: float = 0.0) -> Trains:
    """The scenes of trains, drawn once and kept in memory."""
    count = TRAIN_SCENES if split == "train" else VALIDATION_SCENES
    trains = Trains(count, split, turned=turned, bend=bend)
    trains.pool()
    return trains


def switch(text: str) -> bool:
    """An option that is 0 or 1. Raises ValueError for another text."""
    if text not in ("0", "1"):
        raise ValueError(f"a switch is 0 or 1, got {text!r}")
    return text == "1"


def _photographs(_folder: str, split: str) -> Photographs:
    if split != "val":
        raise ValueError(f"the photographs are for evaluation alone, split val, got {split!r}")
    return Photographs()


KINDS = {
    "scenes": Kind(_scenes),
    "trains": Kind(_trains, options={"turned": switch, "bend": float}),
    "photographs": Kind(_photographs),
    "voc": Kind(VOC, Files("Pascal VOC", "VOCdevkit/VOC2012", voc.look)),
    "cityscapes": Kind(Cityscapes, Files("Cityscapes", "leftImg8bit and gtFine", cityscapes.look)),
    "folder": Kind(
        Folder,
        Files("folder of pictures and masks", "images and masks", folder.look),
        {"validate": float, "seed": int},
    ),
}


def data_names() -> str:
    """What a data set may be called, for messages, such as "scenes, voc:DIR or folder:DIR"."""
    *names, last = map(_called, KINDS)
    return f"{', '.join(names)} or {last}"


def _called(kind: str) -> str:
    return f"{kind}:DIR" if KINDS[kind].files else kind


def kind_and_folder(name: str) -> tuple[str, str]:
    """The kind and the folder, "" where it has none, of a data set's name.

    Raises ValueError for a kind that has no row, and a folder that is missing or too much.
    """
    kind, _, folder = _split(name)[0].partition(":")
    if kind not in KINDS or (KINDS[kind].files is None) == bool(folder):
        raise ValueError(f"data must be {data_names()}, got {name!r}")
    return kind, folder


def with_options(name: str, **options: float | None) -> str:
    """The name of a data set with options, as "folder:DIR?validate=0.3"; None leaves one as it is.

    Raises ValueError for a name that is none, and an option that this kind of data does not take.
    """
    plain, every = _split(name)
    every |= {key: str(value) for key, value in options.items() if value is not None}
    _check_options(name, every)
    text = "&".join(f"{key}={value}" for key, value in every.items())
    return f"{plain}?{text}" if text else plain


def open_data(name: str, split: str, **options: float | None):
    """The data set of that name. split: which pictures, such as "train" or "val".

    options: of that kind, as `validate` of `Folder` or `bend` of `Trains`, which go before those
    of the name; None is left out.
    Raises ValueError for another name, for an option that this kind of data does not take, and as
    the data set itself where its files are not there.
    """
    kind, folder = kind_and_folder(name)
    given = {key: value for key, value in options.items() if value is not None}
    _check_options(name, given)
    return KINDS[kind].open(folder, split, **options_of(name) | given)


def options_of(name: str) -> dict[str, object]:
    """The options in a data set's name. Raises ValueError for one that it does not take."""
    kind, _ = kind_and_folder(name)
    found = _split(name)[1]
    _check_options(name, found)
    return {key: _value(name, KINDS[kind].options[key], text) for key, text in found.items()}


_OPTIONS = re.compile(r"\?(\w+=[^/\\&?=]+(?:&\w+=[^/\\&?=]+)*)$")


def _split(name: str) -> tuple[str, dict[str, str]]:
    """A name without its options, and these as texts."""
    found = _OPTIONS.search(str(name))
    if not found:
        return str(name), {}
    return str(name)[: found.start()], dict(part.split("=") for part in found[1].split("&"))


def _value(name: str, kind: Callable[[str], object], text: str) -> object:
    try:
        return kind(text)
    except ValueError:
        wanted = "switch, 0 or 1" if kind is switch else kind.__name__
        raise ValueError(f"{name!r} has the option {text!r}, which is no {wanted}") from None


def _check_options(name: str, options: Mapping) -> None:
    kind, _ = kind_and_folder(name)
    for option in options:
        if option not in KINDS[kind].options:
            takers = [_called(other) for other, row in KINDS.items() if option in row.options]
            hint = f"it is for {' and '.join(takers)}" if takers else "there is no such option"
            raise ValueError(f"{name} takes no option {option}: {hint}")
