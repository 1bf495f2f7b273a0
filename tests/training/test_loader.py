"""The pictures of a run are a pure function of recipe, iteration and place."""

import sys
from collections import Counter

import numpy as np
import pytest
import torch

from dlseg.data import to_tensors
from dlseg.training import TrainingPictures, duplicate_rare
from dlseg.training.loader import end_quietly, training_batches
from tests.training.toys import Blocks, tiny

CPU = torch.device("cpu")


def batches(workers: int = 0, start: int = 0, **changes) -> list:
    pictures = TrainingPictures(Blocks(), tiny(**changes), start=start)
    return list(training_batches(pictures, workers, CPU))


def same(left, right) -> bool:
    pairs = zip(left, right, strict=True)
    return all(torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in pairs)


def test_shapes_and_number():
    all_batches = batches()
    assert len(all_batches) == 10
    images, labels = all_batches[0]
    assert images.shape == (4, 3, 24, 24) and images.dtype == torch.float32
    assert labels.shape == (4, 24, 24) and labels.dtype == torch.int64


def test_batches_are_what_evaluation_sees_too():
    images, labels = batches(crop_size=32, scale=(1, 1), flip=False)[0]
    order = TrainingPictures(Blocks(), tiny())
    for place in range(4):
        image, label = to_tensors(*Blocks()[order.index(place)])
        assert torch.equal(images[place], image) and torch.equal(labels[place], label)


def test_workers_and_a_later_start_change_nothing():
    reference = batches()
    assert same(batches(workers=2), reference)
    assert same(batches(start=7), reference[7:])
    assert not same(batches(seed=1), reference)


def test_two_processes_share_what_one_would_see():
    halves = [TrainingPictures(Blocks(), tiny(), rank, 2) for rank in range(2)]
    halves = [list(training_batches(half, 0, CPU)) for half in halves]
    joined = [
        (torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]])) for a, b in zip(*halves, strict=True)
    ]
    assert same(joined, batches())


def test_every_picture_once_in_an_epoch_and_another_order_in_the_next():
    pictures = TrainingPictures(Blocks(10), tiny())
    order = [pictures.index(position) for position in range(40)]
    assert all(sorted(order[e : e + 10]) == list(range(10)) for e in range(0, 40, 10))
    assert order[:10] != order[10:20]
    assert [pictures.index(p) for p in (39, 0, 25)] == [order[39], order[0], order[25]]


def test_the_same_picture_is_cropped_anew_each_time():
    pictures = TrainingPictures(Blocks(1), tiny(scale=(1, 1), flip=False))
    crops = {pictures[item][0].numpy().tobytes() for item in range(len(pictures))}
    assert len(crops) > 20


def test_augmentation_can_be_switched_off_and_on():
    image, label = Blocks()[0]
    still = TrainingPictures(Blocks(1), tiny(crop_size=32, scale=(1, 1), flip=False))
    assert np.array_equal(still[0][0], image) and np.array_equal(still[0][1], label)
    flipped = TrainingPictures(Blocks(1), tiny(crop_size=32, scale=(1, 1)))
    mirrored = sum(torch.equal(flipped[i][1], still[0][1].flip(1)) for i in range(40))
    assert 8 < mirrored < 32
    coloured = TrainingPictures(Blocks(1), tiny(crop_size=32, scale=(1, 1), flip=False, colour=0.5))
    assert torch.equal(coloured[0][1], still[0][1])
    assert not torch.equal(coloured[0][0], still[0][0])


class Rare(Blocks):
    """Class 2 in the pictures 3 and 5 only."""

    def __getitem__(self, i):
        image, label = super().__getitem__(i)
        return image, label if i in (3, 5) else np.where(label == 2, 0, label).astype(np.uint8)


def test_bootstrapping_duplicates_pictures_of_rare_classes():
    assert duplicate_rare(Rare(), [2]) == [*range(10), 3, 5]
    assert duplicate_rare(Rare(), [2], copies=2) == [*range(10), 3, 5, 3, 5]
    pictures = TrainingPictures(Rare(), tiny(bootstrap_classes=(2,), bootstrap_copies=3))
    seen = Counter(pictures.index(position) for position in range(16))
    assert seen == Counter({i: 4 if i in (3, 5) else 1 for i in range(10)})
    with pytest.raises(ValueError, match="no picture shows a class of bootstrap_classes"):
        duplicate_rare(Rare(), [7])


class Grey(Blocks):
    """Masks of grey values, not of classes."""

    def __getitem__(self, i):
        image, label = super().__getitem__(i)
        return image, np.where(label == 1, 80, label).astype(np.uint8)


@pytest.mark.parametrize("workers", [0, 1])
def test_labels_that_are_no_class(workers):
    pictures = TrainingPictures(Grey(), tiny())
    with pytest.raises(ValueError, match=r"labels of picture 4 must be 0 to 2, .* got 80"):
        list(training_batches(pictures, workers, CPU))


def test_nothing_to_train_on():
    with pytest.raises(ValueError, match="the data set has no pictures"):
        TrainingPictures(Blocks(0), tiny())


def test_a_worker_says_nothing_of_a_parent_that_hung_up(monkeypatch):
    shown = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, *_rest: shown.append(kind))
    end_quietly(0)
    for error in (ConnectionResetError(), BrokenPipeError(), EOFError(), KeyError("a fault")):
        sys.excepthook(type(error), error, None)
    assert shown == [KeyError]
