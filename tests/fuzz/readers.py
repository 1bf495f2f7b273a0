"""What is fuzzed of the readers: files, damaged or of strange contents, and who reads them."""

import copy
import io
import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image

from dlseg import data
from dlseg.book import read_book
from dlseg.checks import CommandError
from dlseg.data import DataError
from dlseg.data.own.polygons import draw_shapes
from dlseg.fetch import Checksum, fetch_file
from dlseg.models import build_model, describe
from dlseg.models.lite import read_convolutions
from dlseg.training import CheckpointError, Recipe, load_checkpoint, load_network, load_state
from dlseg.training.checkpoint import VERSION
from tests.fuzz.contents import archive, changed, damaged, mask, picture, text_of
from tests.fuzz.generators import word
from tests.fuzz.harness import Target
from tests.models.tflite_files import CONV, DEPTHWISE, RELU, write

ODD = (None, True, 0, -1, 10**30, 1.5, math.nan, math.inf, "", "x", "../x", "\0", b"x", [], {}, [1])
ODD += ((), [None], {"x": 1}, {1: 2}, torch.zeros(()), torch.full((2, 2), math.nan))
ODD += (torch.zeros(3, dtype=torch.complex64), torch.zeros(0), {"weight": torch.zeros(1)})


def reader(
    name: str,
    make: Callable[[Random], bytes],
    read: Callable[[Path], object],
    *errors: type[Exception],
    of: object = None,
    **options,
) -> Target:
    """A function that reads one file of these bytes."""

    def call(content: bytes, folder: Path) -> None:
        (folder / "file").write_bytes(content)
        read(folder / "file")

    return Target(name, make, call, errors, of or read, **options)


def place(name: str) -> Callable[[dict, Path], None]:
    """Write a dict of file names and contents below the folder `name`."""

    def write(files: dict, folder: Path) -> None:
        for file, content in files.items():
            target = folder / name / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    return write


# Data sets.

NAMES = ["2007_000032", "2007_000039", "2007_000063"]


def voc_files(rng: Random) -> dict[str, bytes]:
    """A small folder of Pascal VOC, some of it damaged or missing."""
    files = {f"JPEGImages/{name}.jpg": picture(rng) for name in NAMES}
    files |= {f"SegmentationClass/{name}.png": mask(rng) for name in NAMES}
    for split in ("train", "val"):
        files[f"ImageSets/Segmentation/{split}.txt"] = text_of(rng, NAMES)
    return {name: content for name, content in files.items() if rng.random() < 0.97}


def city_files(rng: Random) -> dict[str, bytes]:
    """A small folder of Cityscapes, some of it damaged or missing."""
    stem = "aachen/aachen_000000_000019"
    files = {f"leftImg8bit/train/{stem}_leftImg8bit.png": picture(rng)}
    files[f"gtFine/train/{stem}_gtFine_labelIds.png"] = mask(rng)
    files[f"gtFine/val/{stem}_gtFine_labelTrainIds.png"] = mask(rng)
    return {name: content for name, content in files.items() if rng.random() < 0.95}


OWN = ("masks/{}.png", "labels/{}_mask.PNG", "images/{}_L.tif", "SegmentationClass/{}.png")
LISTS = ("classes.txt", "labelmap.txt", "dataset.toml", "ImageSets/Segmentation/default.txt")
LINES = ["sky 0 0 0", "car:255,0,0::", "road", "void", "seed = 1", "ignore_index = 2", "1", *NAMES]


def own_files(rng: Random) -> dict[str, bytes]:
    """A small folder of somebody's own in one of many orders, some of it strange."""
    image = rng.choice(("images/{}.jpg", "Photos/{}.png", "img/train/{}.PNG", "JPEGImages/{}.x"))
    target, strange = rng.choice(OWN), rng.choice((0, 0.1, 0.5))
    levels = rng.choice(((0, 1, 2), (0, 255), (0, 1, 2, 255), (0, 3, 40)))
    files = {}
    for name in (*NAMES, "a b", "é.1"):
        odd = rng.random() < strange
        files[image.format(name)] = picture(rng) if odd else small(rng, range(256), 3)
        odd = rng.random() < strange
        files[target.format(name)] = mask(rng) if odd else small(rng, levels, rng.choice((0, 0, 3)))
    for name in rng.sample(LISTS, rng.choice((0, 0, 1, 2))):
        files[name] = text_of(rng, rng.sample(LINES, 3))
    return {name: content for name, content in files.items() if rng.random() < 0.97}


def shapes(rng: Random) -> bytes:
    """A file of labelme, some entries of which are strange, or some bytes."""
    kinds = {"polygon": 3, "rectangle": 2, "circle": 2, "point": 1}
    entries = {"imageHeight": 6, "imageWidth": 8, "imageData": None, "shapes": []}
    for kind in rng.choices(list(kinds), (3, 3, 3, 1), k=rng.randint(0, 3)):
        points = [[rng.uniform(-2, 9), rng.uniform(-2, 9)] for _ in range(kinds[kind])]
        label = rng.choice(("sky", "car", "__ignore__"))
        entries["shapes"].append({"label": label, "shape_type": kind, "points": points})
    for _ in range(rng.choice((0, 1, 2))):
        entries = changed(rng, entries, ODD)
    return damaged(rng, json.dumps(entries, default=str).encode(), (0, 0, 0, 1))


def small(rng: Random, levels: Sequence[int], channels: int) -> bytes:
    """The PNG of (4, 6) pixels of these levels, equal in all channels, or in each as it comes."""
    values = np.array([rng.choice(levels) for _ in range(24)], np.uint8).reshape(4, 6)
    if channels:
        values = np.stack([values, values, values[::-1] if rng.random() < 0.5 else values], -1)
    file = io.BytesIO()
    Image.fromarray(values).save(file, format="PNG")
    return file.getvalue()


def mend_all(files: dict, folder: Path) -> None:
    """Look at a folder of somebody's own, and write what can be mended: it opens."""
    place("data")(files, folder)
    data.mend(data.survey(folder / "data", "folder"), folder / "out")
    for split in ("train", "val"):
        dataset = data.Folder(folder / "out", split)
        for index in range(len(dataset)):
            dataset[index]


def read_all(kind: Callable) -> Callable[[dict, Path], None]:
    """Write a folder of data, and read every sample that there is."""

    def call(files: dict, folder: Path) -> None:
        place("data")(files, folder)
        dataset = kind(folder / "data", "train")
        for index in range(len(dataset)):
            dataset[index]

    return call


def check_all(files: dict, folder: Path) -> None:
    """Look at a whole folder of data."""
    place("data")(files, folder)
    data.check_folder(folder / "data")


def unpack(content: bytes, folder: Path) -> None:
    """Unpack an archive into a folder of its own."""
    (folder / "archive").write_bytes(content)
    inside = folder / "inside"
    data.extract(folder / "archive", "top", inside)
    outside = [path for path in folder.iterdir() if path.name not in ("archive", "inside")]
    assert not outside and [path.name for path in inside.iterdir()] == ["top"]


DATA = [
    reader("read_image", picture, data.read_image, DataError, share=3),
    reader(
        "read_image of deep files",
        picture,
        lambda path: data.read_image(path, white=1.0),
        DataError,
        of=data.read_image,
    ),
    reader("read_palette", mask, data.read_palette, DataError),
    reader(
        "read_label",
        mask,
        lambda path: data.read_label(path, 4),
        DataError,
        of=data.read_label,
        share=3,
    ),
    Target("VOC", voc_files, read_all(data.VOC), (DataError,), data.VOC, share=0.7),
    Target("Cityscapes", city_files, read_all(data.Cityscapes), (DataError,), data.Cityscapes),
    reader(
        "draw_shapes",
        shapes,
        lambda path: draw_shapes(path, ("sky", "car")),
        DataError,
        of=draw_shapes,
    ),
    Target("Folder", own_files, read_all(data.Folder), (DataError,), data.Folder, share=0.7),
    Target("mend", own_files, mend_all, (DataError,), data.mend, share=0.5),
    Target("check_folder", voc_files, check_all, (DataError,), data.check_folder, share=0.5),
    Target(
        "open_data",
        lambda rng: (
            f"{rng.choice(('voc', 'cityscapes', 'folder', 'x', ''))}:{word(rng)}",
            word(rng),
        ),
        lambda names, _: data.open_data(*names),
        (ValueError,),
        data.open_data,
    ),
    Target("extract", archive, unpack, (ValueError, OSError), data.extract, share=2),
]


# Checkpoints.


@cache
def good_entries() -> dict:
    """The entries of a checkpoint of the smallest network there is."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        description = describe("fcn-resnet18", 3, 32, 0.0625)
        weights = build_model(description).state_dict()
    extra = {"classes": ["sky", "sea", "sun"], "palette": data.PALETTE.tolist()}
    extra |= {"data": "voc:data", "split": "train"}
    entries = {"version": VERSION, "model": description, "weights": weights, "extra": extra}
    entries |= {"recipe": dict(vars(Recipe())), "iteration": 3, "losses": [1.0, 2.0, 3.0]}
    entries |= {"optimiser": {"state": {}, "param_groups": []}, "scaler": {}}
    return entries | {"metrics": {3: {"mean IoU": 0.5}}}


@cache
def good_checkpoint() -> bytes:
    """Its file."""
    return saved(good_entries())


def saved(entries: object) -> bytes:
    """The file of a checkpoint with these entries."""
    file = io.BytesIO()
    torch.save(entries, file)
    return file.getvalue()


def checkpoint(rng: Random) -> bytes:
    """The file of a checkpoint: some bytes are damaged, some entries strange."""
    if rng.random() < 0.4:
        return damaged(rng, good_checkpoint())
    entries = good_entries()
    for _ in range(rng.choice((1, 1, 2))):
        entries = changed(rng, entries, ODD)
    return saved(entries if rng.random() < 0.95 else rng.choice(ODD))


CALL = {
    "call": "dlseg.models.FCN",
    "arguments": {"backbone": "resnet18", "num_classes": 3, "output_stride": 32, "width": 0.0625},
    "num_classes": 3,
}


def called(rng: Random) -> bytes:
    """The file of a checkpoint whose network is described by a call, strange here and there."""
    entries = good_entries() | {"model": copy.deepcopy(CALL)}
    return saved(changed(rng, entries, (*ODD, "os.system", "dlseg.models.DeepLabV3", "timm:x")))


def state_dict(rng: Random) -> bytes:
    """The file of a state dict, damaged, or with something strange beside its tensors."""
    content = dict(good_entries()["weights"])
    if rng.random() < 0.5:
        content = {rng.choice(("state_dict", "model", "net", "odd")): content, "epoch": 1}
    file = saved(changed(rng, content, ODD))
    return damaged(rng, file) if rng.random() < 0.3 else file


def lite(rng: Random) -> bytes:
    """A TFLite file of some convolutions, damaged."""
    numbers, operators = np.random.default_rng(rng.randrange(1000)), []
    for _ in range(rng.randint(0, 3)):
        kind = rng.choice((np.uint8, np.int8, np.float32))
        weight = numbers.integers(0, 100, (2, 1, rng.randint(1, 3), 3)).astype(kind)
        operators.append((rng.choice((CONV, DEPTHWISE, RELU)), weight, np.zeros(2, np.int32)))
    return damaged(rng, write(operators, 0.5, 3), (1, 1, 2, 4, 9))


NETWORK_ERRORS = (CheckpointError, ValueError)
CHECKPOINTS = [
    reader("read_convolutions", lite, read_convolutions, ValueError, share=0.5),
    reader("load_checkpoint", checkpoint, load_checkpoint, CheckpointError, share=0.5),
    reader("load_network", checkpoint, load_network, *NETWORK_ERRORS, share=0.4, draws=True),
    reader("load_network of a call", called, load_network, *NETWORK_ERRORS, share=0.3, draws=True),
    reader("load_state", state_dict, load_state, CheckpointError, share=0.3),
]


# The manifest.

BOOK = """[book]
title = "A book"
authors = ["A", "B"]
description = "About"
src = "chapters"
language = "en"
[output.sphinx]
theme = "furo"
[preprocessor.nbval.chapters.01-a]
seconds = 30
needs = ["00-b"]
question = "Why?"
[preprocessor.nbval]
timeout = 60""".splitlines()
SUMMARY = """# Summary
[Contents](00-b.ipynb)
# Part
- [First](01-a.ipynb)
- [Planned]()
---
[After](after.md)""".splitlines()


def book_files(rng: Random) -> dict[str, bytes]:
    """A book's manifest and chapters."""
    files = {name: b"{}" for name in ("chapters/00-b.ipynb", "chapters/01-a.ipynb")}
    files |= {"book.toml": text_of(rng, BOOK), "chapters/after.md": b""}
    return files | {"chapters/SUMMARY.md": text_of(rng, SUMMARY)}


def browse(files: dict, folder: Path) -> None:
    """Read a book, its table, and a chapter of a name."""
    place("book")(files, folder)
    book = read_book(folder / "book")
    for chapter in book.chapters:
        chapter.name, chapter.slug, chapter.seconds + 1, ", ".join(chapter.needs)
    book.find("01")


def fetch_there(content: bytes, folder: Path) -> None:
    """Ask for a file that is there already, right or damaged."""
    (folder / "file").write_bytes(content)
    fetch_file("https://localhost/file", folder / "file", Checksum("md5", "0" * 8), "a file")


OTHERS = [
    Target("read_book", book_files, browse, (CommandError,), share=2),
    Target(
        "fetch_file", lambda rng: rng.randbytes(9), fetch_there, (OSError,), fetch_file, share=0.2
    ),
]


def array_file(rng: Random) -> bytes:
    """A .npy file of probabilities (3, 4, 6), or of something else, or damaged."""
    shape = (3, 4, 6) if rng.random() < 0.6 else tuple(rng.randint(0, 6) for _ in range(3))
    values = np.random.Generator(np.random.PCG64(rng.getrandbits(64))).dirichlet([1.0] * 3, (4, 6))
    values = np.moveaxis(values, -1, 0) if rng.random() < 0.7 else values
    array = np.resize(values, shape).astype(rng.choice(("f4", "f4", "f8", "f2", "u1", "c8", "?")))
    if rng.random() < 0.2 and array.dtype.kind == "f" and array.size:
        array.ravel()[0] = rng.choice((math.nan, math.inf, -1))
    file = io.BytesIO()
    if rng.random() < 0.1:
        np.savez(file, array)
    else:
        np.save(file, array)
    return damaged(rng, file.getvalue())


READERS = [*DATA, *CHECKPOINTS, *OTHERS]
