"""A bad folder, what the doctor says of it, and that its remedies are carried out and help."""

import shutil

import numpy as np
import pytest
from PIL import Image

from dlseg.commands.main import main
from dlseg.data import DataError, Folder, mend, survey, voc_palette
from tests.data.folders import random_image, random_labels

CLASSES = ("sky", "road", "car")
COLOURS = np.array([[10, 20, 200], [128, 64, 128], [0, 0, 142]], np.uint8)


def everything(root):
    found = survey(root)
    return found.faults + found.together


def save(path, array, orientation=1, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x112] = orientation
    Image.fromarray(array).save(path, exif=exif, **options)


def write_bad(root):
    """Masks of all kinds and faults of all kinds; the labels that are right, by name."""
    truth = {f"{seed}": random_labels(seed, 2) for seed in range(12)}
    for name, labels in truth.items():
        part = "train" if int(name) < 8 else "val"
        save(root / f"images/{part}/{name}.png", random_image(int(name)))
        save(root / f"masks/{part}/{name}.png", labels)
    masks = root / "masks/train"
    save(masks / "0.png", COLOURS[truth["0"]])
    save(masks / "1.png", truth["1"].astype(np.uint16))
    image = Image.fromarray(2 - truth["2"])
    image.putpalette(COLOURS[::-1].tobytes())
    image.save(masks / "2.png")
    save(masks / "3.png", np.rot90(truth["3"]), 6)
    # The picture has an orientation, and its mask was drawn over it as the file has it.
    upright = random_image(4)
    save(root / "images/train/4.png", np.rot90(upright), 6)
    save(masks / "4.png", np.ascontiguousarray(np.rot90(truth["4"])))
    (root / "classes.txt").write_text(
        "".join("{} {} {} {}\n".format(n, *c) for n, c in zip(CLASSES, COLOURS, strict=True))
    )
    return truth


def spoil(root):
    """What cannot be mended, file by file, and the words for it."""
    save(root / "masks/train/5.png", random_labels(5, 9))
    save(root / "masks/train/6.png", random_image(6))
    save(root / "masks/train/7.png", random_labels(7, 2)[:5])
    (root / "masks/val/8.png").write_bytes(b"?")
    save(root / "masks/val/9.png", np.full((6, 9), 255, np.uint8))
    shutil.copy(root / "images/val/10.png", root / "images/train/twin.png")
    save(root / "masks/train/twin.png", random_labels(10, 2))
    save(root / "images/train/alone.png", random_image(20))
    save(root / "masks/val/without.png", random_labels(0, 2))
    return {
        "5.png": "labels outside the classes: 3, 4, 5, 6, 7, ...; masks: 1, pixels: 36",
        "6.png": "colours that no class has: ",
        "7.png": "the mask has 5 x 9 pixels (height x width), its image 6 x 9",
        "8.png": "is neither JPEG, PNG, TIFF, GIF, WebP nor BMP",
        "4.png": "the mask has 9 x 6 pixels (height x width), its image 6 x 9 as its orientation",
        "twin.png": "in two splits under other names: 1, the first as 10.png of val",
        "val": "masks without a picture, not used: 1, the first without.png",
    }


def test_all_faults_are_told(tmp_path):
    write_bad(tmp_path)
    expected = spoil(tmp_path)
    faults = everything(tmp_path)
    serious = {fault.path.name: fault.problem for fault in faults if fault.serious}
    assert serious.keys() == expected.keys() and all(fault.remedy for fault in faults)
    for name, problem in expected.items():
        assert serious[name].startswith(problem)
    remarks = [fault.problem for fault in faults if not fault.serious]
    assert remarks == [
        "pictures without a mask, not used: 1, the first alone.png",
        "void all over, which teaches nothing: 1, the first 9.png",
    ]


def test_what_was_mended_opens_clean(tmp_path):
    truth = write_bad(tmp_path / "bad")
    spoil(tmp_path / "bad")
    mended = mend(survey(tmp_path / "bad", "folder"), tmp_path / "good")
    assert everything(tmp_path / "good") == []
    left = {fault.path.name for fault in mended.left}
    assert left == {"5.png", "6.png", "7.png", "8.png", "9.png", "twin.png"}
    seen = {}
    for split in ("train", "val"):
        dataset = Folder(tmp_path / "good", split)
        assert dataset.classes == CLASSES
        assert np.array_equal(dataset.palette[:3], COLOURS)
        assert dataset.coding.white is None and dataset.ignore_index == 255
        for name, (image, labels) in zip(dataset.names, dataset, strict=True):
            seen[name] = split
            assert np.array_equal(labels, truth[name])
            assert np.array_equal(image, random_image(int(name)))
            with Image.open(dataset.pairs[dataset.names.index(name)].label) as mask:
                assert mask.mode == "P" and np.array_equal(np.array(mask), labels)
    assert seen == {**dict.fromkeys("01234", "train"), **dict.fromkeys(("10", "11"), "val")}
    assert mended.counts == {"train": 5, "val": 2}
    assert mended.changes == {
        "colours made indices": 1,
        "indices of 16 bits made 8": 1,
        "colours of a palette made indices": 1,
        "turned upright": 1,
        "turned as their pictures are": 1,
    }


def test_0_and_255(tmp_path):
    """The commonest of all faults of masks: with classes of one's own it opens, and is mended."""
    for seed in range(4):
        save(tmp_path / f"bad/JPEGImages/{seed}.png", random_image(seed))
        save(tmp_path / f"bad/SegmentationClass/{seed}.png", random_labels(seed, 1) * 255)
        lists = tmp_path / "bad/ImageSets/Segmentation"
        lists.mkdir(parents=True, exist_ok=True)
        with (lists / ("val.txt" if seed == 3 else "train.txt")).open("a") as file:
            file.write(f"{seed}\n")
    (fault,) = [fault for fault in everything(tmp_path / "bad") if "alone" in fault.problem]
    assert fault.serious and fault.problem == (
        "label 0 alone is ever counted: one class, and nothing to learn; 255, which counts "
        "nowhere, holds 50.0% of the pixels"
    )
    assert "dlseg doctor --data folder:DIR --fix OUT" in fault.remedy
    code = main(["doctor", "--data", f"folder:{tmp_path}/bad", "--fix", f"{tmp_path}/good"])
    assert code == 0 and everything(tmp_path / "good") == []
    dataset = Folder(tmp_path / "good")
    assert dataset.classes == ("background", "foreground") and dataset.names == ["0", "1", "2"]
    for seed, (_, labels) in enumerate(dataset):
        assert np.array_equal(labels, random_labels(seed, 1))
    assert np.array_equal(dataset.palette, voc_palette())


def test_another_void_becomes_255(tmp_path):
    truth = write_bad(tmp_path / "bad")
    mended = mend(survey(tmp_path / "bad", "folder"), tmp_path / "good")
    assert not mended.left
    (tmp_path / "bad/dataset.toml").write_text("ignore_index = 1\n")
    mend(survey(tmp_path / "bad", "folder"), tmp_path / "better")
    dataset = Folder(tmp_path / "better")
    for name, (_, labels) in zip(dataset.names, dataset, strict=True):
        assert np.array_equal(labels, np.where(truth[name] == 1, 255, truth[name]))


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("bad/out", "lies in the data; name a folder outside"),
        ("there", "is there already; name a folder"),
    ],
)
def test_nothing_of_the_users_is_written_over(out, message, tmp_path):
    write_bad(tmp_path / "bad")
    (tmp_path / "there").mkdir()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(DataError, match=message):
        mend(survey(tmp_path / "bad", "folder"), tmp_path / out)
    mend(survey(tmp_path / "bad", "folder"), tmp_path / "new")
    after = {path: path.stat().st_mtime_ns for path in before}
    assert after == before


def test_nothing_is_left(tmp_path):
    write_bad(tmp_path / "bad")
    for index in range(8, 12):
        (tmp_path / f"bad/masks/val/{index}.png").write_bytes(b"?")
    with pytest.raises(DataError, match="nothing is left to train on, or none for val"):
        mend(survey(tmp_path / "bad", "folder"), tmp_path / "good")
    assert not (tmp_path / "good").exists()
