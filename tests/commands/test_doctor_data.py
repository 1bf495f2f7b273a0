"""`dlseg doctor --data DIR`: the report and the exit codes."""

import os
import subprocess
import sys

from PIL import Image

from dlseg.commands.main import main
from tests.chapters.tools import ROOT
from tests.data.folders import write_aug, write_cityscapes, write_voc
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
