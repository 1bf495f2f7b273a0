"""Every layout as it comes: the same pictures and labels, and its own split where it has one."""

import numpy as np
import pytest
from PIL import Image

from dlseg.data import DataError, Folder, check_folder, open_data
from dlseg.data.own.layout import find_layout
from dlseg.data.own.names import key_of
from tests.data.own.layouts import (
    CLASSES,
    LAYOUTS,
    NAMES,
    TRAIN,
    VAL,
    labels,
    picture,
    splits_below,
    two_folders,
    voc_with_lists,
    write,
)


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.__name__)
def layout(request, tmp_path):
    request.param(tmp_path)
    return tmp_path, *LAYOUTS[request.param]


def plain(name: str) -> str:
    """The name of a picture that a sample's is made of."""
    return next(own for own in NAMES if name.rpartition("/")[2].startswith(key_of(own)))


def test_pictures_and_labels(layout):
    root, own_split, own_classes = layout
    parts = {split: open_data(f"folder:{root}", split) for split in ("train", "val")}
    found = {split: [plain(name) for name in part.names] for split, part in parts.items()}
    assert sorted(found["train"] + found["val"]) == sorted(NAMES)
    if own_split:
        assert sorted(found["train"]) == sorted(TRAIN) and sorted(found["val"]) == sorted(VAL)
    for split, dataset in parts.items():
        assert dataset.classes == (CLASSES if own_classes else ("class 0", "class 1", "class 2"))
        for index, name in enumerate(found[split]):
            image, mask = dataset[index]
            expected = labels(name)
            expected[expected == 255] = dataset.ignore_index
            assert np.array_equal(mask, expected)
            if dataset.pairs[index].image.suffix != ".jpg":
                continue
            with Image.open(dataset.pairs[index].image) as peer:
                assert np.array_equal(image, np.array(peer))
    assert np.abs(parts["val"][0][0].astype(int) - picture(found["val"][0])).mean() < 60


def test_the_doctor_finds_it_without_being_told_the_kind(layout):
    faults = [fault for fault in check_folder(layout[0]) if fault.serious]
    lists = [fault for fault in faults if "list" in fault.problem]
    assert faults == lists and (not lists or (layout[0] / "ImageSets").exists())


def test_folders_that_the_caller_names(tmp_path):
    write(tmp_path, lambda n: f"a/{n}.png", lambda n: f"b/{n}.png")
    with pytest.raises(DataError, match="no folder of pictures and masks here; put the pictures"):
        Folder(tmp_path)
    dataset = Folder(tmp_path, images="a", masks="b")
    assert np.array_equal(dataset[0][0], picture(plain(dataset.names[0])))
    with pytest.raises(DataError, match="c: there is no such folder; name one of: a, b"):
        Folder(tmp_path, images="a", masks="c")
    with pytest.raises(ValueError, match="images and masks go together, got images='a', masks=N"):
        Folder(tmp_path, images="a")


def test_lists_may_name_more_than_there_is(tmp_path):
    voc_with_lists(tmp_path)
    path = tmp_path / "ImageSets/Segmentation/train.txt"
    path.write_text("c\nc.jpg\n/JPEGImages/d.jpg /SegmentationClass/d.png\nnone\n")
    dataset = Folder(tmp_path)
    assert dataset.names == ["c", "d"]
    assert dataset.layout.unlisted == {path: ["none"]}
    assert Folder(tmp_path, "trainval").names == Folder(tmp_path, "trainval").names
    with pytest.raises(DataError, match="no split 'test' here; choose one of: train, trainval, va"):
        Folder(tmp_path, "test")


def test_test_stays_apart_where_val_is_held_out(tmp_path):
    splits_below(tmp_path)
    for part in ("images", "masks"):
        (tmp_path / part / "val").rename(tmp_path / part / "test")
    parts = {split: Folder(tmp_path, split).names for split in ("train", "val", "test")}
    assert sorted(parts["train"] + parts["val"]) == sorted(TRAIN) and parts["val"]
    assert sorted(map(plain, parts["test"])) == sorted(VAL)


def test_a_mask_of_another_stem_is_paired_with_none(tmp_path):
    """Two pictures that one mask might belong to leave it alone."""
    two_folders(tmp_path)
    for name in ("x_image", "x-photo"):
        Image.new("RGB", (9, 6)).save(tmp_path / f"images/{name}.png")
    Image.new("L", (9, 6)).save(tmp_path / "masks/x.png")
    layout = Folder(tmp_path).layout
    assert layout.total == len(NAMES)
    assert [path.stem for _, path in layout.lone_images] == ["x-photo", "x_image"]
    assert [path.stem for _, path in layout.lone_masks] == ["x"]


@pytest.mark.parametrize(
    ("images", "masks", "message"),
    [
        ({"a"}, {"b"}, "1 pictures and 1 masks, of which no two belong together: they are called"),
        ({"a"}, {"a"}, "1 pictures have masks to train on, and a split takes two; add pictures"),
    ],
)
def test_too_little(tmp_path, images, masks, message):
    for folder, names in (("images", images), ("masks", masks)):
        for name in names:
            (tmp_path / folder).mkdir()
            Image.new("L", (3, 2)).save(tmp_path / folder / f"{name}.png")
    with pytest.raises(DataError, match=message):
        Folder(tmp_path)


def test_a_circle_of_links(tmp_path):
    two_folders(tmp_path)
    (tmp_path / "images/again").symlink_to(tmp_path / "images")
    assert len(Folder(tmp_path)) + len(Folder(tmp_path, "val")) == len(NAMES)


@pytest.mark.parametrize("name", ["x_mask.png", "x.json"])
def test_a_disk_is_not_searched_because_of_a_file_in_it(name, tmp_path):
    """What is told by files alone, and not by a folder's name, looks into no folder below."""
    for path in ("x.png", "y.png", name, "deep/down/z.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"?")
    layout = find_layout(tmp_path)
    assert layout.total == 1 and [path.name for _, path in layout.lone_images] == ["y.png"]
    (tmp_path / name).unlink()
    assert find_layout(tmp_path) is None
