"""What `dlseg predict` is given: patterns, lists on standard input, videos, maps."""

import io
import os
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from dlseg.checks import CommandError
from dlseg.commands.inputs import find_files
from dlseg.commands.main import main
from tests.clips import pictures, write_clip
from tests.commands.test_folder import complete, noise


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Pictures in folders in folders, and other things."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "in/b.png", "in/deep/c.JPG", "in/deep/d[1].png", ".hidden/e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise()).save(tmp_path / name)
    (tmp_path / "in/notes.txt").write_text("")
    return tmp_path


def names(*given):
    files, remarks = find_files(list(map(Path, given)))
    return [path.as_posix() for path in files], remarks


EVERY = ["in/b.png", "in/deep/c.JPG", "in/deep/d[1].png"]
PATTERNS = {
    "*.png": (["a.png"], []),
    "in/*": (["in/b.png"], ["in/*: left out 1 .txt, 1 folder"]),
    "**/*.png": (["a.png", "in/b.png", "in/deep/d[1].png"], []),
    "**/*.[jJ]*": (["in/deep/c.JPG"], []),
    "in/**": (EVERY, ["in/**: left out 1 .txt"]),
    "in/deep/d[1].png": (["in/deep/d[1].png"], []),  # a name, where there is such a file
    "in/dee?/c.*": (["in/deep/c.JPG"], []),
    ".hidden/*": ([".hidden/e.png"], []),
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns(pattern, folder):
    wanted, remarks = PATTERNS[pattern]
    found, said = names(pattern)
    assert found == wanted
    assert len(said) == len(remarks) and all(
        one.startswith(start) for one, start in zip(said, remarks, strict=True)
    )


def test_a_pattern_finds_each_file_once(folder):
    (folder / "in/loop").symlink_to(folder / "in", target_is_directory=True)
    assert names("in/**")[0] == EVERY
    assert names("in/b.png", "in/*.png", "in/**")[0] == EVERY


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("*.gif", r"\*.gif fits no file"),
        ("no/**/*.png", "fits no file"),
        ("in/*.txt", r"in/\*.txt holds no .jpg, .* file \(but 1 .txt\)"),
        ("none.png", "none.png: there is no such file"),
    ],
)
def test_patterns_that_find_nothing(pattern, words, folder):
    with pytest.raises(CommandError, match=words):
        names(pattern)


def test_a_folder_leaves_videos_and_a_pattern_takes_them(folder):
    write_clip(folder / "in/clip.mkv", pictures(2))
    found, (remark,) = names("in")
    assert found == ["in/b.png"] and "1 .mkv" in remark and "name a video to have its fr" in remark
    assert names("in/*.m*")[0] == ["in/clip.mkv"]


LISTS = {
    "lines": "a.png\nin/b.png\n",
    "no last end": "a.png\nin/b.png",
    "Windows": "a.png\r\n\r\nin/b.png\r\n",
    "zero bytes": "a.png\0in/b.png\0",
    "twice": "a.png\nin/b.png\na.png\n",
}


def listed(monkeypatch, content):
    stream = SimpleNamespace(buffer=io.BytesIO(os.fsencode(content)))
    monkeypatch.setattr(sys, "stdin", stream)


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_on_standard_input(kind, folder, monkeypatch):
    listed(monkeypatch, LISTS[kind])
    assert names("-")[0] == ["a.png", "in/b.png"]


def test_odd_names_in_a_list(folder, monkeypatch):
    """Line ends and blanks where zero bytes part them, a folder, a name with signs of a pattern."""
    for name in ("x\ny.png", " z .png"):
        Image.fromarray(noise()).save(folder / name)
    listed(monkeypatch, "x\ny.png\0 z .png\0in\0in/deep/d[1].png")
    assert names("-", "a.png")[0] == [
        "x\ny.png",
        " z .png",
        "in/b.png",
        "in/deep/d[1].png",
        "a.png",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "standard input names no file; - reads one path a line from it"),
        ("\n\n", "standard input names no file"),
        ("a.png\nnone.png\n", "none.png: there is no such file"),
        ("x" * 5000, "the path x+.* cannot be looked at: File name too long"),
    ],
)
def test_lists_that_name_nothing(content, words, folder, monkeypatch):
    listed(monkeypatch, content)
    with pytest.raises(CommandError, match=words) as caught:
        names("-")
    assert "\n" not in str(caught.value)


def test_the_whole_way_from_a_list(checkpoint, folder, monkeypatch):
    listed(monkeypatch, "a.png\nin/b.png\n")
    words = ("predict", "-", "--checkpoint", checkpoint, "--out", "out", "--device", "cpu")
    assert main(list(map(str, words))) == 0
    assert complete(folder / "out") == {"a", "b"}


# Maps


def tiff(path, *tags, channels=3, bits=8):
    """A TIFF with these tags beside its own."""
    ifd = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in tags:
        if tag in (270, 42112, 42113):
            ifd[tag], ifd.tagtype[tag] = "0", 2
        else:
            ifd[tag], ifd.tagtype[tag] = (1,) * 4, 3 if tag == 34735 else 12  # shorts, doubles
    pixels = (
        noise() if channels == 3 else noise()[..., 0].astype(np.uint16 if bits > 8 else np.uint8)
    )
    Image.fromarray(pixels).save(path, tiffinfo=ifd)
    return path


@pytest.mark.parametrize("tags", [(33550, 33922), (34264,), (34735,), (42112,), (42113,)])
@pytest.mark.parametrize(("channels", "bits"), [(3, 8), (1, 8), (1, 16)])
def test_a_map_is_refused_with_the_commands_that_cut_it(
    tags, channels, bits, checkpoint, tmp_path, capsys
):
    path = tiff(tmp_path / "my map.tif", *tags, channels=channels, bits=bits)
    words = ("predict", str(path), "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out"))
    assert main(list(words)) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and "is a GeoTIFF, a map with coordinates" in message
    lines = message.partition("predict the folder tiles: ")[2].strip()
    name = shlex.quote(str(path))
    cut = "mkdir -p tiles && gdal_retile.py -of PNG -ps 1024 1024 -targetDir tiles"
    plain = f"gdal_translate -b 1 -b 2 -b 3 -ot Byte -scale {name} rgb.tif && "
    assert lines == (f"{cut} {name}" if bits == 8 else f"{plain}{cut} rgb.tif")


def test_a_plain_tiff_passes_and_a_map_keeps_nothing_back(checkpoint, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    tiff(tmp_path / "in/a.tif")
    tiff(tmp_path / "in/b.tif", 34735)
    tiff(tmp_path / "in/c.tif", 270)  # a description
    words = ("predict", tmp_path / "in", "--checkpoint", checkpoint, "--out", tmp_path / "out")
    assert main(list(map(str, words))) == 2
    assert complete(tmp_path / "out") == {"a", "c"}
    assert "1 of 3 could not be done: " in capsys.readouterr().err
