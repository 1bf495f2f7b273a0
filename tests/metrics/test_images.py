"""Scores of each image against their definition; names of images; images of two processes."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dlseg.metrics import BoundaryF, ConfusionMatrix, ImageScores, per_image
from tests.metrics import oracles


def batch(seed=0, count=5, classes=4, size=(6, 7)):
    """Images in which some classes are missing, one of them all void."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, rng.integers(1, classes, (count, 1, 1)), (count, *size))
    predictions = np.where(rng.random(labels.shape) < 0.6, labels, rng.integers(0, 3, labels.shape))
    labels[rng.random(labels.shape) < 0.1] = 255
    labels[2] = 255
    return labels.astype(np.uint8), predictions.astype(np.uint8)


def same(first, second):
    return first == pytest.approx(second, rel=1e-12, abs=0, nan_ok=True)


@pytest.mark.parametrize("ignored", [(), (0,), (0, 3)])
def test_means_are_those_of_the_definition(ignored):
    labels, predictions = batch()
    scores = ImageScores(4, ignored_classes=ignored)
    scores.update(labels, predictions)
    computed, expected = scores.compute(), oracles.images(labels, predictions, 4, ignored)
    assert computed.keys() == expected.keys()
    for name, value in expected.items():
        found = computed[name]
        assert same(found.tolist() if isinstance(found, torch.Tensor) else found, value), name
    assert math.isnan(expected["iou"][3]) and not math.isnan(expected["mean_iou"])
    whole = ConfusionMatrix(4, ignored_classes=ignored)
    whole.update(labels, predictions)
    assert torch.equal(scores.matrix.matrix, whole.matrix)
    assert whole.mean_iou() != pytest.approx(expected["mean_iou"], rel=0.01)  # another number


@pytest.mark.parametrize("make", [ImageScores, BoundaryF])
def test_one_by_one_in_batches_and_merged_is_the_same(make):
    labels, predictions = batch()
    together, single, left, right = (make(4) for _ in range(4))
    together.update(labels, predictions)
    for pair in zip(labels, predictions, strict=True):
        single.update(*pair)
    left.update(labels[:2], predictions[:2], [0, 1])
    right.update(torch.from_numpy(labels[2:]), torch.from_numpy(predictions[2:]), range(2, 5))
    for other in (single, left.merge(right)):
        assert other.indices == together.indices == [0, 1, 2, 3, 4]
        assert same(np.array(other.rows), np.array(together.rows))
        for name, value in together.compute().items():
            assert same(np.asarray(other.compute()[name]), np.asarray(value)), name
    together.reset()
    assert not together.rows and not together.indices
    assert all(np.isnan(np.asarray(value)).all() for value in together.compute().values())


def test_the_worst_image_comes_first_and_one_without_score_last():
    labels, predictions = batch()
    scores = ImageScores(4)
    scores.update(labels, predictions, [10, 8, 6, 4, 2])
    expected = {
        index: oracles.metrics(*pair, 4)["mean_iou"]
        for index, *pair in zip([10, 8, 6, 4, 2], labels, predictions, strict=True)
    }
    found = per_image(scores)
    assert found[-1][0] == 6 and math.isnan(found[-1][1])
    assert [value for _, value in found[:-1]] == sorted(v for v in expected.values() if v == v)
    assert all(same(expected[index], value) for index, value in found)
    dice = per_image(scores, name="mean_dice")
    assert [index for index, _ in dice] != [] and dice[0][1] > found[0][1]


def test_an_image_is_called_by_its_file_where_the_data_set_has_pairs():
    class Folder(list):
        """Three pictures in a folder."""

    folder, scores = Folder("xyz"), ImageScores(2)
    folder.pairs = [SimpleNamespace(image=Path("a") / f"{name}.jpg") for name in folder]
    scores.update(np.zeros((2, 1, 2), int), np.array([[[0, 0]], [[0, 1]]]), [2, 0])
    assert per_image(scores, folder) == [("x.jpg", 0.25), ("z.jpg", 1.0)]
    assert per_image(scores, [0, 0, 0]) == [(0, 0.25), (2, 1.0)]
    with pytest.raises(ValueError, match="has 2 images, the scores one of index 2: give"):
        per_image(scores, [0, 0])
    with pytest.raises(ValueError, match="name must be one of mean_iou, mean_dice, got 'iou'"):
        per_image(scores, name="iou")


@pytest.mark.parametrize("make", [ImageScores, BoundaryF])
@pytest.mark.parametrize(
    ("labels", "predictions", "indices", "message"),
    [
        (np.zeros((2, 2, 2), int), np.full((2, 2, 2), 4), None, "predictions must be .* got 4"),
        (np.full((2, 2, 2), 7), np.zeros((2, 2, 2), int), None, "labels must be .* got 7"),
        (np.zeros(4, int), np.zeros(4, int), None, r"\(H, W\) or \(B, H, W\), got \(4,\)"),
        (np.zeros((2, 2), int), np.zeros((2, 3), int), None, "one shape"),
        (np.zeros((2, 2)), np.zeros((2, 2), int), None, "labels must be integers"),
        (np.zeros((2, 2), int), np.zeros((2, 2), int), [1, 2], "got 2 for 1"),
        (np.zeros((2, 2), int), np.zeros((2, 2), int), [0.5], "an index must be an integer"),
    ],
)
def test_bad_values_are_named_and_not_counted(make, labels, predictions, indices, message):
    scores = make(4)
    with pytest.raises(ValueError, match=message):
        scores.update(labels, predictions, indices)
    assert not scores.rows and not scores.indices and not scores._sums.any()


def test_what_cannot_be_merged():
    with pytest.raises(ValueError, match="got 3 and 4 classes"):
        ImageScores(3).merge(ImageScores(4))
    with pytest.raises(ValueError, match="got 3 and 4 classes"):
        BoundaryF(3).merge(BoundaryF(4))
    with pytest.raises(ValueError, match=r"tolerances differ: 2.0 and 3.0"):
        BoundaryF(3, tolerance=2).merge(BoundaryF(3, tolerance=3))
