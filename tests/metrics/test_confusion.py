"""The confusion matrix and its metrics against their definitions and scikit-learn."""

import math
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from dlseg.metrics import BoundaryF, ConfusionMatrix, ImageScores
from tests.metrics import oracles
from tests.processes import PATIENCE

CLASSES = 4
SCALARS = ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou", "mean_dice")


def pairs(void=True):
    """Labels and predictions of one image of up to 6x6 pixels."""
    shape = st.tuples(st.integers(0, 6), st.integers(0, 6))
    label = st.sampled_from([*range(CLASSES), *([255] if void else [])])
    return shape.flatmap(
        lambda size: st.tuples(
            arrays(np.uint8, size, elements=label),
            arrays(np.uint8, size, elements=st.integers(0, CLASSES - 1)),
        )
    )


def filled(*images):
    matrix = ConfusionMatrix(CLASSES)
    for labels, predictions in images:
        matrix.update(labels, predictions)
    return matrix


def same(first, second):
    return first == pytest.approx(second, rel=1e-12, abs=0, nan_ok=True)


@given(pairs())
def test_counts_and_metrics_are_those_of_the_definition(image):
    matrix = filled(image)
    assert matrix.matrix.tolist() == oracles.counted(*image, CLASSES)
    expected = oracles.metrics(*image, CLASSES)
    for name in SCALARS:
        assert same(getattr(matrix, name)(), expected[name]), name
    assert same(matrix.iou().tolist(), expected["iou"])
    assert same(matrix.dice().tolist(), expected["dice"])
    assert same((2 * matrix.iou() / (1 + matrix.iou())).tolist(), expected["dice"])


@given(pairs(), st.sets(st.integers(0, CLASSES - 1), max_size=CLASSES - 1))
def test_ignored_classes_enter_no_mean_and_their_pixels_count(image, ignored):
    matrix = ConfusionMatrix(CLASSES, ignored_classes=ignored)
    matrix.update(*image)
    assert torch.equal(matrix.matrix, filled(image).matrix)
    expected = oracles.metrics(*image, CLASSES, ignored=ignored)
    computed = matrix.compute()
    assert set(computed) == {*SCALARS, "iou", "dice"}
    for name in SCALARS:
        assert same(computed[name], expected[name]) and same(
            getattr(matrix, name)(), expected[name]
        )
    for name in ("iou", "dice"):
        assert same(computed[name].tolist(), expected[name])
    matrix.reset()
    assert not matrix.matrix.any() and matrix.ignored_classes == tuple(sorted(ignored))


def test_scikit_learn_counts_the_same():
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 2, 5, 20, 255], (3, 40, 50))
    predictions = rng.integers(0, 21, labels.shape)
    matrix = ConfusionMatrix(21)
    matrix.update(labels, predictions)
    kept = labels != 255
    peer = confusion_matrix(labels[kept], predictions[kept], labels=range(21))
    np.testing.assert_array_equal(matrix.matrix, peer)
    assert matrix.matrix.dtype == torch.int64
    scores = jaccard_score(labels[kept], predictions[kept], labels=range(21), average=None)
    np.testing.assert_allclose(matrix.iou(), scores, rtol=1e-12)
    scores = f1_score(labels[kept], predictions[kept], labels=range(21), average=None)
    np.testing.assert_allclose(matrix.dice(), scores, rtol=1e-12)


def test_worked_example():
    """Two classes, a third that is nowhere, one void pixel; every number by hand."""
    matrix = ConfusionMatrix(3)
    matrix.update(np.array([[0, 0, 0], [1, 1, 255]]), np.array([[0, 0, 1], [1, 0, 2]]))
    assert matrix.matrix.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert matrix.pixel_accuracy() == 3 / 5
    assert same(matrix.mean_accuracy(), (2 / 3 + 1 / 2) / 2)
    assert same(matrix.iou().tolist(), [2 / 4, 1 / 3, math.nan])
    assert same(matrix.mean_iou(), (2 / 4 + 1 / 3) / 2)
    assert same(matrix.frequency_weighted_iou(), (3 * 2 / 4 + 2 * 1 / 3) / 5)


def test_a_class_only_predicted_has_iou_zero():
    matrix = filled((np.array([0, 0]), np.array([0, 3])))
    assert same(matrix.iou().tolist(), [1 / 2, math.nan, math.nan, 0])
    assert matrix.mean_iou() == 1 / 4
    assert matrix.mean_accuracy() == 1 / 2  # no pixel of class 3 to be right about


@given(pairs(), pairs())
def test_merging_is_counting_all_at_once(first, second):
    together = filled(first, second)
    assert torch.equal(filled(first).merge(filled(second)).matrix, together.matrix)
    assert torch.equal(filled(second).merge(filled(first)).matrix, together.matrix)


@given(pairs(), st.permutations(range(CLASSES)))
def test_other_numbers_for_the_classes_change_no_mean(image, order):
    labels, predictions = image
    number = np.full(256, 255, dtype=np.uint8)
    number[:CLASSES] = order
    one, two = filled(image), filled((number[labels], number[predictions]))
    assert torch.equal(two.matrix[order][:, order], one.matrix)
    assert same(two.iou()[order].tolist(), one.iou().tolist())
    for name in SCALARS:
        assert same(getattr(two, name)(), getattr(one, name)())


@given(pairs(), st.randoms(use_true_random=False))
def test_the_order_of_the_pixels_does_not_matter(image, random):
    labels, predictions = (values.flatten() for values in image)
    order = random.sample(range(labels.size), labels.size)
    assert torch.equal(filled((labels[order], predictions[order])).matrix, filled(image).matrix)


@given(pairs())
def test_void_is_ignored_whatever_is_predicted_there(image):
    labels, predictions = image
    other = np.where(labels == 255, 77, predictions)
    assert torch.equal(filled((labels, other)).matrix, filled(image).matrix)


@given(pairs(void=False))
def test_perfect_prediction(image):
    labels, _ = image
    matrix = filled((labels, labels))
    there = set(labels.flatten().tolist())
    expected = [1 if index in there else math.nan for index in range(CLASSES)]
    assert same(matrix.iou().tolist(), expected)
    for name in SCALARS:
        assert same(getattr(matrix, name)(), 1 if there else math.nan)


def test_nothing_counted_is_nan():
    for matrix in (ConfusionMatrix(3), filled((np.full((2, 2), 255), np.zeros((2, 2), int)))):
        assert all(math.isnan(getattr(matrix, name)()) for name in SCALARS)
        assert matrix.iou().isnan().all()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_tensors_of_every_integer_type(dtype):
    """150 classes: products of small integers must not wrap around."""
    labels = torch.tensor([0, 120, 120, 127], dtype=dtype)
    predictions = torch.tensor([0, 120, 3, 127], dtype=dtype)
    matrix = ConfusionMatrix(150)
    matrix.update(labels, predictions)
    assert matrix.matrix.nonzero().tolist() == [[0, 0], [120, 3], [120, 120], [127, 127]]
    assert labels.tolist() == [0, 120, 120, 127]  # not written to


def test_read_only_array_and_array_of_another_order():
    """Pillow gives arrays that cannot be written; a mirrored one runs backwards."""
    labels, predictions = np.array([[0, 1]], dtype=np.uint8), np.array([[1, 1]], dtype=np.uint8)
    labels.flags.writeable = False
    matrix = filled((labels[:, ::-1], predictions[:, ::-1]))
    assert matrix.matrix[:2, :2].tolist() == [[0, 1], [0, 1]]


def test_another_ignored_label_even_one_of_the_classes():
    """ADE20K counts 0 as void."""
    matrix = ConfusionMatrix(3, ignore_index=0)
    matrix.update(np.array([0, 1, 2]), np.array([1, 0, 2]))
    assert matrix.matrix.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1]]
    assert same(matrix.iou().tolist(), [math.nan, 0, 1])
    assert matrix.mean_iou() == 1 / 2


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 4, 255], [0, 0, 0], "labels must be 0 to 3, or 255 .*, got 4:"),
        ([0, -1], [0, 0], "labels must be .* got -1:"),
        ([0, 2**32], [0, 0], "labels must be .* got 2147483647:"),  # not 0, as cut to 32 bits
        ([0, 1], [0, 1 - 2**33], "predictions must be .* got -2147483648:"),
        ([40, 80, 120, 1], [0, 0, 0, 0], "labels must be .* got 40, 80, 120:"),
        ([0, 255], [5, 9], "predictions must be .* got 5:"),
        ([0, 0], [-2, 255], "predictions must be .* got -2, 255:"),
        (list(range(4, 30)), [0] * 26, "got 4, 5, 6, 7, 8 and more:"),
        ([0, 1], [0, 1, 2], r"one shape, got \(2,\) and \(3,\)"),
        ([[0, 1]], [0, 1], r"one shape, got \(1, 2\) and \(2,\)"),
        ([0.0, 1.0], [0, 1], "labels must be integers, .* got float64"),
    ],
)
def test_bad_values_are_named_and_not_counted(labels, predictions, message):
    matrix = ConfusionMatrix(CLASSES)
    with pytest.raises(ValueError, match=message):
        matrix.update(np.array(labels), np.array(predictions))
    assert not matrix.matrix.any()


def test_bad_values_beside_an_ignored_class():
    matrix = ConfusionMatrix(3, ignore_index=0)
    with pytest.raises(ValueError, match=r"labels must be 0 to 2, or 0 where .*, got 3:"):
        matrix.update(np.array([0, 3]), np.array([7, 1]))
    assert not matrix.matrix.any()


def test_scores_in_place_of_classes():
    with pytest.raises(ValueError, match=r"predictions must be .*float32.*: take the argmax"):
        ConfusionMatrix(3).update(torch.zeros(1, 4, 4, dtype=torch.int64), torch.rand(1, 3, 4, 4))


def test_bad_numbers_of_classes():
    with pytest.raises(ValueError, match="num_classes must be an integer >= 1, got 0"):
        ConfusionMatrix(0)
    with pytest.raises(ValueError, match=r"^ignore_index must be an integer"):
        ConfusionMatrix(2, ignore_index=1.0)
    with pytest.raises(ValueError, match="got 2 and 3 classes"):
        ConfusionMatrix(2).merge(ConfusionMatrix(3))
    with pytest.raises(ValueError, match=r"ignored \(\) and \(1,\)"):
        ConfusionMatrix(3).merge(ConfusionMatrix(3, ignored_classes=[1]))


@pytest.mark.parametrize(
    ("ignored", "message"),
    [
        ([3], "a class of ignored_classes must be an integer <= 2, got 3"),
        ([-1], "a class of ignored_classes must be an integer >= 0, got -1"),
        ([255], "integer <= 2"),
        ([0, 0], r"some of the 3 classes, none twice, got \(0, 0\)"),
        ([0, 1, 2], "some of the 3 classes"),
        (0, "must be a list of classes, got 0"),
        ("0", "must be a list of classes"),
    ],
)
def test_bad_ignored_classes(ignored, message):
    for make in (ConfusionMatrix, ImageScores, BoundaryF):
        with pytest.raises(ValueError, match=message):
            make(3, ignored_classes=ignored)


def test_reduce_without_processes_changes_nothing():
    matrix = filled((np.array([0, 1]), np.array([0, 0])))
    assert matrix.reduce().matrix[:2, :2].tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize(("backend", "device"), [("nccl", "cuda"), ("gloo", "cpu")])
def test_counts_are_added_where_the_backend_can(monkeypatch, backend, device):
    """NCCL cannot be had without a GPU: only what the matrix is told is looked at."""
    matrix, asked = ConfusionMatrix(2), []
    matrix.matrix = SimpleNamespace(to=lambda where: asked.append(where) or torch.eye(2))
    own = {"is_initialized": lambda: True, "get_backend": lambda: backend}
    own["all_reduce"] = lambda total: total.mul_(3)
    for name, function in own.items():
        monkeypatch.setattr(torch.distributed, name, function)
    assert torch.equal(matrix.reduce().matrix, 3 * torch.eye(2)) and asked == [device]


PROCESS = """
import sys
import torch
from torch import distributed
from dlseg.metrics import BoundaryF, ConfusionMatrix, ImageScores, TrimapCurve
rank, store = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
matrix, curve = ConfusionMatrix(2), TrimapCurve([1, 2], 2)
for values in (matrix, curve):
    values.update(torch.tensor([[255, rank, 1]]), torch.tensor([[0, 0, 1]]))
print(matrix.reduce().matrix.tolist(), [m.matrix.tolist() for m in curve.reduce().rings])
labels = torch.tensor([[[0, 1]], [[0, 0]], [[1, 1]]])[rank::2]
for scores in (ImageScores(2), BoundaryF(2)):
    scores.update(labels, 0 * labels, range(rank, 3, 2))
    scores.reduce()
    means = scores.compute()[scores.class_names[0]].tolist()
    print(scores.indices, scores.by_image(scores.names[0]), means)
distributed.destroy_process_group()
"""


def test_reduce_adds_the_counts_of_two_processes(tmp_path):
    command = [sys.executable, "-c", PROCESS]
    running = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "store")], stdout=subprocess.PIPE)
        for rank in range(2)
    ]
    said = [process.communicate(timeout=PATIENCE)[0].decode().splitlines() for process in running]
    # Each has a pixel of class 1 that is right, and one of its own class that is called 0.
    counts = "[[1, 0], [1, 2]] [[[1, 0], [1, 0]], [[0, 0], [0, 2]]]"
    # One has two images, the other one; a class that is nowhere in an image counts there for none.
    images = "[0, 1, 2] [(0, 0.25), (1, 1.0), (2, 0.0)] [0.5, 0.0]"
    edges = "[0, 1, 2] [(0, 0.0), (1, nan), (2, nan)] [0.0, 0.0]"
    expected = [counts, images, edges]
    assert [lines[-3:] for lines in said] == [expected] * 2  # PyTorch 2.8 says more before
