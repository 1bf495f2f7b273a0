"""A mask written by the shares of its classes in squares, and drawn again."""

import numpy as np
import pytest

from dlseg.data import traced
from support.what_is_semantic_segmentation.pictures import shares_written

VOID = 255


def blobs(height: int, width: int, seed: int) -> np.ndarray:
    """Labels 0, 3 and 15 in rectangles."""
    rng, labels = np.random.default_rng(seed), np.zeros((height, width), np.uint8)
    for label in (3, 15, 0, 3, 15):
        top, left = rng.integers(0, height - 8), rng.integers(0, width - 8)
        labels[top : top + rng.integers(5, 20), left : left + rng.integers(5, 20)] = label
    return labels


def by_loops(labels: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """The label of each pixel, and by how much its share is the largest."""
    height, width = labels.shape
    classes = sorted(set(labels.ravel().tolist()) - {VOID})
    units = np.zeros((height // stride, width // stride, len(classes)))
    for row, column, k in np.ndindex(units.shape):
        square = labels[row * stride : (row + 1) * stride, column * stride : (column + 1) * stride]
        units[row, column, k] = (square == classes[k]).mean()
    found, margin = np.empty_like(labels), np.empty(labels.shape)
    for row, column in np.ndindex(labels.shape):
        shares = np.zeros(len(classes))
        for down, high in weights(row, stride, len(units)):
            for across, wide in weights(column, stride, len(units[0])):
                shares += high * wide * units[down, across]
        found[row, column] = classes[shares.argmax()]
        margin[row, column] = np.ptp(np.sort(shares)[-2:])
    return found, margin


def weights(pixel: int, stride: int, count: int) -> list[tuple[int, float]]:
    """The two units whose centres lie around a pixel's, and the weight of each."""
    place = min(max((pixel + 0.5) / stride - 0.5, 0), count - 1)
    before = min(int(place), count - 2)
    return [(before, 1 - (place - before)), (before + 1, place - before)]


@pytest.mark.parametrize("seed", range(3))
def test_at_stride_1_nothing_is_lost(seed):
    labels = blobs(37, 29, seed)
    assert np.array_equal(shares_written(labels, 1), labels)


@pytest.mark.parametrize("void", [False, True], ids=["no void", "void"])
@pytest.mark.parametrize("stride", [4, 8])
def test_by_plain_loops(stride, void):
    labels = blobs(48, 40, 0)
    if void:
        labels[10:14] = VOID
    wanted, margin = by_loops(labels, stride)
    sure = margin > 1e-5  # two shares may be equal
    assert sure.mean() > 0.9 and len(np.unique(wanted)) == 3
    assert np.array_equal(shares_written(labels, stride)[sure], wanted[sure])


def test_void_takes_no_part():
    labels = np.full((32, 32), 15, np.uint8)
    labels[:, 14:18] = VOID
    assert (shares_written(labels, 8) == 15).all()
    labels[:, 18:] = 3
    found = shares_written(labels, 8)
    assert (found[:, :14] == 15).all() and (found[:, 18:] == 3).all() and VOID not in found


def test_a_mask_loses_more_with_every_stride():
    mask = traced("horse", rim=0)
    found = [shares_written(mask, stride) for stride in (1, 4, 8, 16, 32)]
    assert {y.shape for y in found} == {mask.shape} and {y.dtype for y in found} == {mask.dtype}
    wrong = [(y != mask).mean() for y in found]
    assert wrong == sorted(wrong) and wrong[0] == 0 < wrong[1]
