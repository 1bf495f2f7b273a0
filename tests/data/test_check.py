"""Checking a whole folder: each fault that is put in is found, and nothing else."""

import io
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from dlseg.data import check, cityscapes, voc
from dlseg.data.check import check_folder
from dlseg.data.faults import DataError
from dlseg.data.palette import voc_palette
from tests.data.folders import (
    STREETS,
    VOC_LISTS,
    random_labels,
    write_aug,
    write_cityscapes,
    write_voc,
)


@pytest.fixture
def folder(tmp_path):
    return write_voc(tmp_path)


@pytest.fixture
def streets(tmp_path):
    return write_cityscapes(tmp_path)


def serious(root) -> dict[str, str]:
    """Problem of each faulty path, relative to root; a path with two faults fails the test."""
    faults = [fault for fault in check_folder(root) if fault.serious]
    result = {str(fault.path.relative_to(root)): fault.problem for fault in faults}
    assert len(result) == len(faults) and all(fault.remedy for fault in faults)
    return result


def test_good_folders(folder, streets):
    assert folder.parents[1] == streets  # both lie in one folder, and both are checked
    remarks = check_folder(streets)
    assert not any(fault.serious for fault in remarks)
    problems = [fault.problem for fault in remarks]
    assert problems == [
        "2 images, and 1464 were published",
        "1 images, and 1449 were published",
        "3 images, and 2913 were published",
        "2 images, and 2975 were published",
        "1 images, and 500 were published",
    ]


def test_published_counts():
    assert voc.COUNTS["train"] + voc.COUNTS["val"] == voc.COUNTS["trainval"] == 2913
    assert voc.COUNTS["trainaug"] + voc.COUNTS["val"] == voc.COUNTS["trainval_aug"] == 12031
    assert voc.COUNTS["trainaug"] == 1464 + 9118
    assert cityscapes.COUNTS == {"train": 2975, "val": 500, "test": 1525}


def test_no_remark_on_published_counts(folder, streets, monkeypatch):
    for split, names in VOC_LISTS.items():
        monkeypatch.setitem(voc.COUNTS, split, len(names))
    for split, names in STREETS.items():
        monkeypatch.setitem(cityscapes.COUNTS, split, len(names))
    assert check_folder(streets) == []


def test_all_faults_of_voc_at_once(folder):
    lists, masks = folder / "ImageSets" / "Segmentation", folder / "SegmentationClass"
    images = folder / "JPEGImages"
    (lists / "trainval.txt").unlink()
    (lists / "val.txt").write_text("2007_000033\n2007_000039\n2007_000404\n")
    (images / "2007_000032.jpg").write_bytes((images / "2007_000032.jpg").read_bytes()[:200])
    Image.fromarray(voc_palette()[random_labels(0, 20)]).save(masks / "2007_000032.png")
    Image.fromarray(random_labels(0, 21)).save(masks / "2007_000033.png")
    Image.fromarray(random_labels(0, 20).T.copy()).save(masks / "2007_000039.png")
    result = serious(folder)
    expected = {
        "ImageSets/Segmentation/trainval.txt": "there is no such list",
        "ImageSets/Segmentation/train.txt": "1 of its names are in val.txt too, the first 2007_0",
        "JPEGImages/2007_000032.jpg": "is ",
        "JPEGImages/2007_000404.jpg": "there is no such file",
        "SegmentationClass/2007_000404.png": "there is no such file",
        "SegmentationClass/2007_000032.png": "the mask is no image of class indices",
        "SegmentationClass/2007_000033.png": "holds the labels 21 in 2 of 54 pixels",
        "SegmentationClass/2007_000039.png": "the mask has 9 x 6 pixels",
    }
    assert result.keys() == expected.keys()
    assert all(result[path].startswith(message) for path, message in expected.items())


def test_each_file_is_told_once(folder):
    """Although train and trainval both list it."""
    (folder / "JPEGImages" / "2007_000032.jpg").unlink()
    assert list(serious(folder)) == ["JPEGImages/2007_000032.jpg"]


def test_missing_folders_are_told_once(folder, streets):
    shutil.rmtree(folder / "JPEGImages")
    shutil.rmtree(streets / "gtFine" / "val")
    result = serious(streets)
    assert result == {
        "VOCdevkit/VOC2012/JPEGImages": "there is no such folder, and 3 samples need it",
        "gtFine/val": "there is no such folder, and 1 samples need it",
    }


def test_missing_lists(folder):
    shutil.rmtree(folder / "ImageSets")
    lists = "ImageSets/Segmentation"
    assert serious(folder) == {
        f"{lists}/{split}.txt": "there is no such list" for split in ("train", "val", "trainval")
    }


def test_trainaug(folder):
    names = write_aug(folder)
    assert serious(folder) == {}
    path = folder / "ImageSets" / "Segmentation" / "trainaug.txt"
    path.write_text("\n".join([*names, "2007_000033"]))
    shutil.copy(folder / "SegmentationClass" / "2007_000033.png", folder / "SegmentationClassAug")
    leak = "1 of its names are in val.txt too, the first 2007_000033"
    assert serious(folder) == {"ImageSets/Segmentation/trainaug.txt": leak}
    path.unlink()
    missing = {"ImageSets/Segmentation/trainaug.txt": "there is no such list"}
    assert serious(folder) == missing
    # Under its other name it is found, and held against the same count.
    path.with_name("train_aug.txt").write_text("\n".join(names))
    assert serious(folder) == {}
    remarks = [fault.problem for fault in check_folder(folder)]
    assert "3 images, and 10582 were published" in remarks


def test_all_faults_of_cityscapes_at_once(streets):
    city = streets / "gtFine" / "train" / "aachen"
    mask = city / "aachen_000000_000019_gtFine_labelIds.png"
    Image.fromarray(np.full((6, 9), 34, dtype=np.uint8)).save(mask)
    Image.fromarray(random_labels(0, 33)).save(city / "aachen_000001_000019_gtFine_labelIds.png")
    (streets / "leftImg8bit/train/bochum/bochum_000000_000313_leftImg8bit.png").write_bytes(b"?")
    shutil.rmtree(streets / "leftImg8bit" / "val")
    assert serious(streets) == {
        "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png": (
            "holds the labels 34 in 54 of 54 pixels"
        ),
        "gtFine/train/aachen/aachen_000001_000019_gtFine_labelIds.png": "the mask has no image",
        "leftImg8bit/train/bochum/bochum_000000_000313_leftImg8bit.png": (
            "is neither JPEG, PNG, TIFF, GIF, WebP nor BMP"
        ),
        "leftImg8bit/val": "there are no images of Cityscapes here",
    }


def test_test_split_of_cityscapes_is_checked_where_there(streets):
    image = streets / "leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png"
    image.parent.mkdir(parents=True)
    Image.new("RGB", (9, 6)).save(image)
    problem = "there is no such folder, and 1 samples need it"
    assert serious(streets) == {"gtFine/test": problem}


def test_neither_is_here(tmp_path):
    (tmp_path / "pictures").mkdir()
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError, match="neither Pascal VOC nor Cityscapes nor fol"):
            check_folder(root)


def test_progress_on_a_terminal(folder, monkeypatch, capfd):
    check_folder(folder)
    assert capfd.readouterr() == ("", "")
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    check_folder(folder)
    assert "reading: 100%" in terminal.getvalue() and "3/3" in terminal.getvalue()


class OneByOne(ThreadPoolExecutor):
    """One thread; `stopping` is set when no more work is handed to it."""

    stopping = threading.Event()

    def __init__(self):
        super().__init__(max_workers=1)

    def shutdown(self, wait=True, *, cancel_futures=False):
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        self.stopping.set()
        super().shutdown(wait=wait)


def test_interruption_stops_the_reading(folder, monkeypatch):
    class Interrupted(check.tqdm):
        def update(self, n=1):
            raise KeyboardInterrupt

    def slow(pair):
        if read:
            OneByOne.stopping.wait()
        read.append(pair)
        return check.Seen(())

    read = []
    monkeypatch.setattr(check, "_see", slow)
    monkeypatch.setattr(check, "ThreadPoolExecutor", OneByOne)
    monkeypatch.setattr(check, "tqdm", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        check_folder(folder)
    assert len(read) <= 2  # the first, and at most the one that was under way; not the third
