"""`dlseg doctor --data DIR`: the report and the exit codes."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dlseg.commands.main import main
from tests.chapters.tools import ROOT
from tests.data.folders import write_aug, write_cityscapes, write_own, write_voc
from tests.processes import PATIENCE


def test_good_folder(tmp_path, capsys):
    write_voc(tmp_path)
    write_cityscapes(tmp_path)
    assert main(["doctor", "--data", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"ok      no fault in {tmp_path}"
    assert lines[0].startswith("-       ") and "FAULT" not in "".join(lines)
    assert lines[0].endswith("train.txt: 2 images, and 1464 were published")
    assert lines[1] == "        fix: nothing to do if this is a part, or data of your own"


def test_all_faults_are_listed(tmp_path, capsys):
    folder = write_voc(tmp_path)
    write_aug(folder)
    (folder / "ImageSets" / "Segmentation" / "val.txt").unlink()
    images = sorted((folder / "JPEGImages").iterdir())
    for image in images:
        image.unlink()
    assert main(["doctor", "--data", str(folder)]) == 1
    out = capsys.readouterr().out
    assert out.count("FAULT   ") == 5 and out.endswith(f"FAULTS  5 in {folder}\n")
    assert f"FAULT   {folder}/ImageSets/Segmentation/val.txt: there is no such list\n" in out
    for image in images:
        assert f"FAULT   {image}: there is no such file\n        fix: put it there" in out


def test_a_name_that_cannot_be_printed(tmp_path, capsys):
    folder = write_voc(tmp_path)
    names = [os.fsdecode(b"a\xff"), "b"]
    text = "\n".join(names).encode("utf-8", "surrogateescape")
    (folder / "ImageSets" / "Segmentation" / "val.txt").write_bytes(text)
    assert main(["doctor", "--data", str(folder)]) == 1
    assert "the list is no text in UTF-8" in capsys.readouterr().out
    (folder / "JPEGImages" / "b.jpg").write_bytes(b"")
    Image.new("L", (2, 2)).save(folder / "SegmentationClass" / "b.png")
    (folder / "ImageSets" / "Segmentation" / "val.txt").write_text("b\n")
    away = folder.with_name(os.fsdecode(b"v\xff\n"))
    folder.rename(away)
    assert main(["doctor", "--data", str(away)]) == 1
    assert "v\\udcff\\n/JPEGImages/b.jpg: is empty" in capsys.readouterr().out


def test_no_data_here(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "dlseg", "doctor", "--data", str(tmp_path / "absent")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2 and done.stdout == ""
    message = f"dlseg: {tmp_path}/absent: there is neither Pascal VOC nor Cityscapes nor folder of "
    assert done.stderr.startswith(message) and len(done.stderr.splitlines()) == 1


def test_what_was_learnt_of_a_folder(tmp_path, capsys):
    write_own(tmp_path)
    assert main(["doctor", "--data", f"folder:{tmp_path}"]) == 0
    named = capsys.readouterr().out
    assert main(["doctor", "--data", str(tmp_path)]) == 0
    assert capsys.readouterr().out == named
    assert named.splitlines()[:4] == [
        "found   folders: images and masks",
        "found   pictures with masks: train 3, val 2 (its own split: train and val)",
        "found   classes: 3 of classes.txt (sky, road, car); 255 counts nowhere",
        "found   masks: 5 indices of 8 bits",
    ]
    assert named.endswith(f"ok      no fault in {tmp_path}\n")


def test_options_of_a_name(tmp_path, capsys):
    write_own(tmp_path, splits=False)
    assert main(["doctor", "--data", f"folder:{tmp_path}?validate=0.01&seed=3"]) == 0
    words = "train 4, val 1 (0.01 held out for val by seed 3 and name)"
    assert words in capsys.readouterr().out
    assert main(["doctor", "--data", f"folder:{tmp_path}?validate=2"]) == 2
    assert "validate must be a number, at least 0 and at most 1" in capsys.readouterr().err


def test_shares_of_the_classes(tmp_path, capsys):
    write_own(tmp_path)
    counts = [np.zeros(256, int), np.zeros(256, int)]
    for seed, share in enumerate((0.5, 0.1, 0.0, 0.3, 0.25)):
        path = tmp_path / "masks" / ("train" if seed < 3 else "val") / f"{seed}.png"
        labels = np.where(np.random.default_rng(seed).random((6, 9)) < share, 2, 0)
        labels[0, :2], labels[1] = 1, 255
        counts[seed >= 3] += np.bincount(labels.ravel(), minlength=256)
        Image.fromarray(labels.astype(np.uint8)).save(path)
    assert main(["doctor", "--data", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[4] == "share of the labelled pixels    train      val"
    shares = [one[:3] / one[:3].sum() for one in counts]
    for label, name in enumerate(("sky", "road", "car")):
        number, word, *numbers = lines[5 + label].split()[:4]
        assert (number, word) == (str(label), name)
        assert numbers == [f"{share[label]:.2%}" for share in shares]
        assert lines[5 + label].count("#") == round(24 * shares[0][label] / shares[0].max())
    assert lines[8].split() == ["255", "void,", "of", "all", "pixels", "16.67%", "16.67%"]


def test_many_faults_of_one_kind_are_three_and_a_number(tmp_path, capsys):
    write_own(tmp_path)
    for path in (tmp_path / "masks").rglob("*.png"):
        path.write_bytes(b"")
    assert main(["doctor", "--data", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert out.count("is empty") == 3 and "FAULT   and 2 files more like these\n" in out
    assert "fix: copy the file again\n" in out and "FAULTS  5 in" in out and "share" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "scenes:x"], "scenes has no files to look at; give a folder"),
        (["--data", "photographs:x"], "photographs has no files to look at; give a folder"),
        (["--data", "folder:absent"], "absent: there is no folder of pictures and masks here; giv"),
        (["--data", "voc:own", "--fix", "out"], "--fix mends a folder of pictures and masks: name"),
        (["--fix", "out"], "--fix mends data: name them by --data"),
    ],
)
def test_what_cannot_be_looked_at(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_own(tmp_path / "own")
    assert main(["doctor", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_what_was_mended_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_own(tmp_path / "own")
    (tmp_path / "own/masks/train/0.png").write_bytes(b"")
    Image.fromarray(np.full((6, 9), 2, np.uint16)).save("own/masks/train/1.png")
    assert main(["doctor", "--data", "own", "--fix", "new"]) == 1
    told = capsys.readouterr().out.split("FAULTS  1 in own\n")[1]
    assert told.splitlines() == [
        "wrote   new: train 2, val 2 pictures with masks",
        "        masks, indices of 16 bits made 8: 1",
        "left    pictures with masks that could not be mended: 1",
        "FAULT   own/masks/train/0.png: is empty",
        "        fix: copy the file again",
    ]
    assert main(["doctor", "--data", "new"]) == 0
    assert main(["doctor", "--data", "own", "--fix", "new"]) == 1
    assert "nothing was written: new: is there already; name a fol" in capsys.readouterr().out
