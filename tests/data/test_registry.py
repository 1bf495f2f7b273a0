"""Every row of the registry keeps what `dlseg.data` promises of a data set."""

import numpy as np
import pytest

from dlseg.data import KINDS, DataError, check_folder, data_names, open_data, registry
from tests.data.folders import write_cityscapes, write_own, write_voc

# A small folder of each kind of files.
WRITE = {"voc": write_voc, "cityscapes": write_cityscapes, "folder": write_own}


@pytest.fixture(params=KINDS)
def name(request, tmp_path, monkeypatch):
    """What the command line calls a small data set of each kind."""
    monkeypatch.setattr(registry, "TRAIN_SCENES", 3)
    monkeypatch.setattr(registry, "VALIDATION_SCENES", 2)
    if KINDS[request.param].files is None:
        return request.param
    return f"{request.param}:{WRITE[request.param](tmp_path)}"


def splits(name):
    return ("val",) if name == "photographs" else ("train", "val")  # none to train on


def test_its_classes_and_colours(name):
    dataset = open_data(name, splits(name)[0])
    assert dataset.num_classes == len(dataset.classes) == len(set(dataset.classes)) >= 2
    assert all(isinstance(text, str) and text for text in dataset.classes)
    assert dataset.palette.shape == (256, 3) and dataset.palette.dtype == np.uint8
    assert len({tuple(colour) for colour in dataset.palette[: dataset.num_classes]}) > 1
    assert dataset.ignore_index == 255 >= dataset.num_classes


def test_its_samples(name):
    for split in splits(name):
        dataset = open_data(name, split)
        assert len(dataset) > 0
        for index in range(len(dataset)):
            image, labels = dataset[index]
            assert image.dtype == labels.dtype == np.uint8
            assert image.shape == (*labels.shape, 3)
            assert set(np.unique(labels)) <= {*range(dataset.num_classes), dataset.ignore_index}
        assert dataset[0][0] is not dataset[0][0]  # arrays of the caller's own
    with pytest.raises(IndexError):
        dataset[len(dataset)]


def test_an_unknown_split(name):
    with pytest.raises(ValueError, match="none"):
        open_data(name, "none")


@pytest.mark.parametrize("kind", [kind for kind, row in KINDS.items() if row.files])
def test_a_folder_without_it(kind, tmp_path):
    with pytest.raises(DataError, match=f"{KINDS[kind].files.title} here") as caught:
        open_data(f"{kind}:{tmp_path}", "train")
    assert str(tmp_path) in str(caught.value)
    assert KINDS[kind].files.look(tmp_path) == ([], [])
    with pytest.raises(DataError, match=KINDS[kind].files.title) as caught:
        check_folder(tmp_path)
    assert KINDS[kind].files.layout in str(caught.value)


def test_a_folder_with_it_is_looked_at(name, tmp_path):
    kind, _, folder = name.partition(":")
    if folder:
        faults, datasets = KINDS[kind].files.look(tmp_path)
        assert not any(fault.serious for fault in faults)
        assert {"train", "val"} <= {dataset.split for dataset in datasets}
        assert not [fault for fault in check_folder(tmp_path) if fault.serious]


@pytest.mark.parametrize("name", ["coco", "voc", "voc:", "scenes:here", ""])
def test_names_that_are_none(name):
    names = "scenes, trains, photographs, voc:DIR, cityscapes:DIR or folder:DIR"
    with pytest.raises(ValueError, match=f"data must be {names}, got"):
        open_data(name, "train")


def test_names_for_messages():
    assert all(kind in data_names() for kind in KINDS)
