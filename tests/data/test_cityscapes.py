"""Cityscapes in its own layout, on a folder of three images; ids and train ids."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from dlseg.data.cityscapes import CLASSES, Cityscapes, label_of, to_ids, to_train_ids
from dlseg.data.files import DataError
from dlseg.data.palette import CITYSCAPES_PALETTE
from tests.data.folders import random_image, random_labels, write_cityscapes
from tests.peers import load_torchvision


@pytest.fixture
def folder(tmp_path):
    return write_cityscapes(tmp_path)


def test_samples(folder):
    dataset = Cityscapes(folder, "train")
    assert len(dataset) == 2 and len(Cityscapes(folder, "val")) == 1
    for seed, (image, label) in enumerate(dataset):
        assert np.array_equal(image, random_image(seed))
        assert label.dtype == np.uint8 and set(np.unique(label)) == {*range(19), 255}
        assert np.array_equal(label, to_train_ids(random_labels(seed, 33)))
    assert dataset.num_classes == len(dataset.classes) == 19 and dataset.ignore_index == 255
    assert Cityscapes(folder).split == "train"


def test_names():
    image = Path("root/leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png")
    mask = Path("root/gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png")
    assert label_of(image) == mask


def test_table_is_that_of_torchvision():
    theirs = [entry for entry in load_torchvision().datasets.Cityscapes.classes if entry.id >= 0]
    expected = np.array([entry.train_id for entry in theirs])
    assert np.array_equal(to_train_ids(np.array([entry.id for entry in theirs])), expected)
    evaluated = [entry for entry in theirs if not entry.ignore_in_eval]
    assert tuple(entry.name for entry in evaluated) == CLASSES
    assert CITYSCAPES_PALETTE[:19].tolist() == [list(entry.color) for entry in evaluated]


# The table as Cordts et al. (2016) publish it: name, id, colour, in the order of the train ids.
PUBLISHED = """road 7 128 64 128, sidewalk 8 244 35 232, building 11 70 70 70, wall 12 102 102 156,
fence 13 190 153 153, pole 17 153 153 153, light 19 250 170 30, sign 20 220 220 0,
vegetation 21 107 142 35, terrain 22 152 251 152, sky 23 70 130 180, person 24 220 20 60,
rider 25 255 0 0, car 26 0 0 142, truck 27 0 0 70, bus 28 0 60 100, train 31 0 80 100,
motorcycle 32 0 0 230, bicycle 33 119 11 32"""


def test_table_is_the_published_one():
    """Needs no peer."""
    rows = [row.split() for row in PUBLISHED.split(",")]
    assert [name.split()[-1] for name in CLASSES] == [row[0] for row in rows]
    assert to_ids(np.arange(19)).tolist() == [int(row[1]) for row in rows]
    assert CITYSCAPES_PALETTE[:19].tolist() == [[int(c) for c in row[2:]] for row in rows]


def test_equals_torchvision(folder):
    peer = load_torchvision().datasets.Cityscapes(
        folder, split="train", mode="fine", target_type="semantic"
    )
    ours = Cityscapes(folder, "train")
    assert sorted(map(str, peer.images)) == [str(pair.image) for pair in ours.pairs]
    assert sorted(target[0] for target in peer.targets) == [str(p.label) for p in ours.pairs]


def test_ids_there_and_back():
    train_ids = np.array([[*range(19), 255]], dtype=np.uint8)
    ids = to_ids(train_ids)
    assert ids.dtype == np.uint8 and ids.shape == (1, 20)
    assert ids[0, [0, 2, 13, 18, 19]].tolist() == [7, 11, 26, 33, 0]
    assert np.array_equal(to_train_ids(ids), train_ids)
    assert np.array_equal(to_ids(train_ids.astype(np.int64)), ids)


@pytest.mark.parametrize("wrong", [34, 255, -1])
def test_ids_out_of_range(wrong):
    with pytest.raises(ValueError, match=r"ids must be 0 to 33, got .* ids of another list"):
        to_train_ids(np.array([7, wrong]))


@pytest.mark.parametrize("wrong", [19, 254, -1])
def test_train_ids_out_of_range(wrong):
    with pytest.raises(ValueError, match=r"train ids must be 0 to 18, or 255 .* of another list"):
        to_ids(np.array([255, 3, wrong]))


def test_train_ids_given_as_ids(folder):
    """A labelTrainIds file under the name of labelIds."""
    dataset = Cityscapes(folder, "val")
    Image.fromarray(to_train_ids(random_labels(0, 33))).save(dataset.pairs[0].label)
    with pytest.raises(DataError, match=r"_labelIds.png: holds the labels 255 in .* 0 to 33:"):
        dataset[0]


def test_mask_of_another_size(folder):
    dataset = Cityscapes(folder, "val")
    Image.fromarray(random_labels(0, 33)[:3]).save(dataset.pairs[0].label)
    with pytest.raises(DataError, match=r"has 3 x 9 pixels .* its image 6 x 9"):
        dataset[0]


def test_missing_split(folder):
    with pytest.raises(ValueError, match="split must be one of train, val, test, got 'trainval'"):
        Cityscapes(folder, "trainval")
    with pytest.raises(DataError, match="leftImg8bit/test: there are no images of Cityscapes here"):
        Cityscapes(folder, "test")


def test_worker_processes(folder):
    dataset = Cityscapes(folder, "train")
    loader = DataLoader(dataset, batch_size=None, num_workers=1)
    for (image, label), (ours, our_label) in zip(list(loader), dataset, strict=True):
        assert np.array_equal(image, ours) and np.array_equal(label, our_label)
    assert pickle.loads(pickle.dumps(dataset)).pairs == dataset.pairs


def test_palettes_are_not_shared(folder):
    Cityscapes(folder).palette[0] = 0
    assert Cityscapes(folder).palette[0].tolist() == [128, 64, 128]
