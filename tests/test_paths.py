"""Every path that somebody gives: one that no file can have is refused in words, at every door."""

import argparse
import contextlib
import inspect
import os
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from dlseg import backbones, data, inference, training
from dlseg.__main__ import BOOK, LIBRARY, main
from dlseg.aside import new_file, new_folder, only_one
from dlseg.data import DataError
from dlseg.paths import check_path, path_argument, printable
from dlseg.training import CheckpointError
from tests.doors.exceptions import FACES
from tests.fuzz.harness import judge
from tests.fuzz.readers import good_checkpoint, good_entries

STRANGE = {
    "zero byte": ("a\0b", "a character that no file's name can have"),
    "half a character": ("\ud800", "a character that no file's name can have"),
    "5000 letters": ("x" * 5000, "File name too long"),
    "long name": (f"here/{'y' * 300}", "File name too long"),
    "circle": ("circle", "Too many levels of symbolic links"),
    "empty": ("", "is empty"),
}
NO_PATH = {"a number": (3, "must be a text or a Path, got int"), "None": (None, "got NoneType")}
IMAGE, LABELS = np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), np.uint8)
ARCHIVE = data.VOC2012


def bands(path):
    data.write_bands(path, 2, 3, [IMAGE])


def trained(folder):
    training.train(nn.Conv2d(3, 3, 1), DATA, training.Recipe(iterations=1), folder=folder)


class Data:
    """What `train` asks of a data set before it looks at a picture."""

    num_classes, ignore_index = 3, 255

    def __len__(self):
        return 1


DATA = Data()
# Public function: a call with one path, and the errors that it names for such.
READ = {
    "data.VOC": (data.VOC, DataError),
    "data.VOC's list": (lambda path: data.VOC("voc", path), DataError),
    "data.Cityscapes": (data.Cityscapes, DataError),
    "data.check_folder": (data.check_folder, DataError),
    "data.open_data": (lambda path: data.open_data(f"voc:{path}", "train"), ValueError),
    "data.read_image": (data.read_image, DataError),
    "data.read_label": (lambda path: data.read_label(path, 3), DataError),
    "data.read_palette": (data.read_palette, DataError),
    "data.read_floats": (data.read_floats, DataError),
    "data.extract": (lambda path: data.extract(path, "top", "new"), ValueError),
    "data.extract to": (lambda path: data.extract("file", "top", path), ValueError),
    "data.obtain": (lambda path: data.obtain(ARCHIVE, path), ValueError),
    "training.load_checkpoint": (training.load_checkpoint, CheckpointError),
    "training.load_network": (training.load_network, CheckpointError),
    "training.load_weights": (
        lambda path: training.load_weights(nn.Conv2d(3, 3, 1), path),
        CheckpointError,
    ),
    "training.save_checkpoint": (
        lambda path: training.save_checkpoint(path, good_entries()),
        CheckpointError,
    ),
    "training.TensorBoard": (training.TensorBoard, ValueError),
    "training.train": (trained, ValueError),
    "inference.onnx_differences": (
        lambda path: inference.onnx_differences(nn.Conv2d(3, 3, 1), path),
        ValueError,
    ),
}
# These write, or take a Path alone.
WRITTEN = {
    "data.frame_numbers": (lambda path: data.frame_numbers(Path(path)), DataError),
    "data.read_pictures": (lambda path: next(data.read_pictures(Path(path))), DataError),
    "data.write_label": (lambda path: data.write_label(path, LABELS), OSError),
    "data.write_image": (lambda path: data.write_image(path, IMAGE), OSError),
    "data.write_bands": (bands, OSError),
    "backbones.load_published": (
        lambda path: backbones.load_published("vgg16", path or "file"),
        OSError,
    ),
    "backbones.fetch": (
        lambda path: backbones.fetch(backbones.PUBLISHED["vgg16"], path or "file"),
        OSError,
    ),
    "inference.export_onnx": (
        lambda path: inference.export_onnx(nn.Conv2d(3, 3, 1), path, (4, 4)),
        OSError,
    ),
    "aside.new_file": (lambda path: new_file(path).__enter__(), OSError),
    "aside.new_folder": (lambda path: new_folder(path).__enter__(), OSError),
    "aside.only_one": (lambda path: only_one(path or "file", "testing").__enter__(), OSError),
}
PARTS = ("data.VOC's list", "data.open_data", "training.train")  # of which a path is made
PURE = {"data.Fault", "data.label_of", "data.printable"}  # look for nothing
PATH = object()  # of an argument list


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink("circle", "circle")
    Path("file").write_bytes(b"x")
    Path("voc/JPEGImages").mkdir(parents=True)
    return tmp_path


def content(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("what", STRANGE | NO_PATH)
@pytest.mark.parametrize("name", READ)
def test_a_path_that_cannot_be_is_refused_in_words(name, what, folder):
    (path, words), (call, kind) = (STRANGE | NO_PATH)[what], READ[name]
    if name in PARTS and what not in STRANGE:
        return  # a number in a text is one, and None is no folder
    if name in PARTS and what in ("empty", "circle", "long name"):
        words = ""  # the whole is another path
    there = content(folder)
    for given in (path, Path(path)) if path and what in STRANGE else (path,):
        with pytest.raises(kind) as caught:
            call(given)
        assert judge(caught.value, (kind,)) is None, "not our own error, or a long one"
        assert words in str(caught.value) and "PosixPath" not in str(caught.value)
    assert content(folder) == there


@pytest.mark.parametrize("what", sorted(STRANGE.keys() - {"circle"}))  # a link is replaced
@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_that_cannot_be_is_an_error_of_the_system(name, what, folder):
    if name == "inference.export_onnx":
        pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    call, kind = WRITTEN[name]
    with pytest.raises(kind, match=r"\w"):
        call(STRANGE[what][0])
    assert not list(folder.rglob("*.part"))


def test_every_public_function_that_takes_a_path_is_here():
    found = set()
    for face in FACES:
        module = import_module(face)
        for name, thing in vars(module).items():
            if inspect.isroutine(thing) or inspect.isclass(thing):
                with contextlib.suppress(ValueError, TypeError):
                    hints = [
                        str(p.annotation) for p in inspect.signature(thing).parameters.values()
                    ]
                    if any("Path" in hint for hint in hints):
                        found.add(f"{face.removeprefix('dlseg.')}.{name}")
    tried = {re.split("'| ", name)[0] for name in READ | WRITTEN}
    assert found - tried == PURE


# The command line


COMMANDS = {
    "predict IMAGE": ["predict", PATH],
    "predict --checkpoint": ["predict", "file", "--checkpoint", PATH],
    "predict --out": ["predict", "file", "--out", PATH],
    "evaluate checkpoint": ["evaluate", PATH],
    "evaluate --per-image": ["evaluate", "file", "--per-image", PATH],
    "export CHECKPOINT": ["export", PATH, "x.onnx"],
    "export OUT.onnx": ["export", "file", PATH],
    "crf IMAGE": ["crf", PATH, "file", "--out", "new"],
    "crf LABELS_OR_PROBS": ["crf", "file", PATH, "--out", "new"],
    "crf --out": ["crf", "file", "file", "--out", PATH],
    "doctor --data": ["doctor", "--data", PATH],
    "fetch --cache": ["fetch", "--cache", PATH],
    "train --out": ["train", "--out", PATH],
    "site --out": ["site", "--out", PATH],
}


@pytest.mark.parametrize("what", STRANGE)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_names_the_argument(name, what, folder, capsys):
    path, words = STRANGE[what]
    there = content(folder)
    with pytest.raises(SystemExit, match="2"):
        main([path if word is PATH else word for word in COMMANDS[name]])
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {name.partition(' ')[2]}: the path" in line and words in line
    assert len(line) < 1000
    assert content(folder) == there


def test_every_path_of_a_command_is_here():
    typed = set()
    for command, (module, _) in (BOOK | LIBRARY).items():
        parser = argparse.ArgumentParser()
        import_module(module).add(parser, command)
        for action in parser._actions:
            assert action.type is not Path, f"{command} {action.dest}: take path_argument"
            if action.type is path_argument:
                names = [*action.option_strings, action.metavar, action.dest]
                typed.add(f"{command} {next(filter(None, names))}")
    assert typed == set(COMMANDS)


# The home folder


def test_a_text_may_begin_with_the_home_folder(folder, monkeypatch):
    """As a shell has it; a Path is taken as it is."""
    monkeypatch.setenv("HOME", str(folder / "home"))
    assert check_path("x", "~") == path_argument("~") == folder / "home"
    assert check_path("x", Path("~")) == path_argument("./~") == Path("~")
    data.write_label("~/a.png", LABELS)
    assert np.array_equal(data.read_label("~/a.png", 1), LABELS)
    assert content(folder / "home") == {folder / "home/a.png"}
    with pytest.raises(DataError) as caught:
        data.open_data("voc:~", "train")
    assert caught.value.fault.path == folder / "home"


def test_what_is_printed_of_a_path():
    assert printable("a\nb\udcff") == "a\\nb\\udcff"
    assert printable("x" * 1000) == "x" * 1000
    assert printable("x" * 5000) == "x" * 500 + "..." + "x" * 100


def test_a_folder_that_may_not_be_entered(monkeypatch):
    """Where nobody knows whether there is such a file; root may enter all."""

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(
        ValueError, match=r"^data kept/a cannot be looked at: Permission denied; giv"
    ):
        check_path("data", "kept/a")


def test_a_file_in_the_way_of_a_folder(folder, capsys):
    Path("last.pt").write_bytes(good_checkpoint())
    Image.fromarray(IMAGE).save("a.png")
    for out in ("file", "file/below"):
        assert main(["predict", "a.png", "--checkpoint", "last.pt", "--out", out]) == 2
        words = f"dlseg: cannot write to {out}: a file is in the way; name a folder that is none\n"
        assert capsys.readouterr().err == words


def test_a_folder_in_place_of_a_file(folder, capsys):
    assert main(["evaluate", "voc"]) == 2
    assert capsys.readouterr().err == "dlseg: voc is a folder; give the last.pt of a training\n"
    for path in (".", "/"):
        with pytest.raises(IsADirectoryError, match="it is a folder; give a name in it"):
            data.write_label(path, LABELS)
