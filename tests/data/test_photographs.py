"""Photographs that packages ship, and the masks that were traced of them."""

import socket
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("skimage", reason="scikit-image is not installed: pip install -e '.[read]'")

from dlseg.data import MASKED, PHOTOGRAPHS, VOC_CLASSES, Photographs, open_data, photograph, traced
from dlseg.data import photographs as module

SECOND = Path(__file__).with_name("traced_again.txt")
PERSON, CAT, HORSE = (VOC_CLASSES.index(name) for name in ("person", "cat", "horse"))


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    def refuse(*_arguments, **_options):
        raise AssertionError("a test reached out")

    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_photograph_is_there_with_its_credit(name):
    whole, fitted = photograph(name, None), photograph(name)
    assert whole.dtype == fitted.dtype == np.uint8 and whole.shape[2] == fitted.shape[2] == 3
    assert max(fitted.shape) == 513 and {side % 16 for side in fitted.shape[:2]} == {1}
    ratio = np.divide(*fitted.shape[:2]) / np.divide(*whole.shape[:2])
    assert abs(ratio - 1) < 0.03
    assert PHOTOGRAPHS[name].credit.endswith(("CC0", "public domain"))


@pytest.mark.parametrize(
    ("name", "label"),
    [("horse", HORSE), ("camera", PERSON), ("astronaut", PERSON), ("cat", CAT), ("hopper", PERSON)],
)
def test_a_mask_has_one_class_and_void_along_its_rim(name, label):
    labels, sharp = traced(name), traced(name, rim=0)
    assert labels.shape == photograph(name).shape[:2] and labels.dtype == np.uint8
    assert set(np.unique(labels)) == {0, label, 255}
    assert 0.1 < (sharp == label).mean() < 0.8
    changes = np.argwhere(sharp[:, 1:] != sharp[:, :-1])
    assert len(changes) > 200
    for y, x in changes:
        assert (labels[y, max(0, x - 1) : x + 3] == 255).all()  # two pixels on either side
    kept = labels != 255
    assert (labels[kept] == sharp[kept]).all() and kept.mean() > 0.8


def test_the_horses_mask_is_its_silhouette():
    dark = photograph("horse", None).max(2) < 128
    assert ((traced("horse", None, 0) == HORSE) == dark).mean() > 0.9999


def test_the_rocket_is_nothing_of_the_classes():
    assert not traced("rocket").any()


@pytest.mark.parametrize("name", ["camera", "astronaut", "cat", "hopper"])
def test_a_second_tracing_agrees(name, monkeypatch, record_property):
    """By somebody who had not seen the first; in pixels of the photograph, void of either aside."""
    first = traced(name, None, 0)
    monkeypatch.setattr(module, "_OUTLINES", SECOND)
    module._outlines.cache_clear()
    second = traced(name, None, 0)
    module._outlines.cache_clear()
    counts = (first != 255) & (second != 255)
    one, other = (first > 0) & counts, (second > 0) & counts
    iou = (one & other).sum() / (one | other).sum()
    record_property("iou", float(iou))
    assert iou > 0.99 and counts.mean() > 0.85


def test_they_are_a_data_set():
    data = open_data("photographs", "val")
    assert isinstance(data, Photographs) and len(data) == len(MASKED) == 6
    assert (data.num_classes, data.ignore_index) == (21, 255)
    image, labels = data[0]
    assert np.array_equal(image, photograph("horse")) and np.array_equal(labels, traced("horse"))
    assert Photographs(None)[0][0].shape == photograph("horse", None).shape
    with pytest.raises(ValueError, match="for evaluation alone, split val, got 'train'"):
        open_data("photographs", "train")
    with pytest.raises(IndexError):
        data[6]


def test_what_is_wrong_is_named(monkeypatch):
    for call in (photograph, traced):
        with pytest.raises(ValueError, match="name must be one of horse, camera, astronaut"):
            call("dog")
        with pytest.raises(ValueError, match="side"):
            call("cat", 32)
    with pytest.raises(ValueError, match="rim"):
        traced("cat", rim=-1)
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    with pytest.raises(ModuleNotFoundError, match=r"cat comes with skimage.*run: pip install"):
        photograph("cat")
