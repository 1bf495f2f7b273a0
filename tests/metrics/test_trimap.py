"""Bands around boundaries against measured distances, and the curve against its definition."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import distance_transform_edt

from dlseg.metrics import ConfusionMatrix, TrimapCurve, band, boundary
from tests.metrics import oracles

SIDES = st.tuples(st.integers(1, 9), st.integers(1, 9))
MASKS = SIDES.flatmap(lambda size: arrays(bool, size))
WIDTHS = (1, 2, 3, 5)


def scene(seed, batch=2, size=24, classes=3):
    """Blocks of classes with void between some of them, and a prediction that errs."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, (batch, size // 8, size // 8)).repeat(8, 1).repeat(8, 2)
    labels[:, 7:17:8] = 255
    wrong = rng.random(labels.shape) < 0.3
    predictions = np.where(wrong, rng.integers(0, classes, labels.shape), labels)
    return labels, np.where(predictions == 255, 0, predictions)


@given(MASKS, st.integers(1, 12))
def test_band_holds_the_pixels_at_most_that_far(mask, width):
    assert band(mask, width).tolist() == oracles.near(mask.tolist(), width)


@pytest.mark.parametrize("share", [0.002, 0.1])
def test_scipy_measures_the_same_distances(share):
    mask = np.random.default_rng(1).random((3, 50, 70)) < share
    for index in range(3):
        assert mask[index].any()
        distance = distance_transform_edt(~mask[index])
        for width in (1, 4, 9, 25, 100):
            np.testing.assert_array_equal(band(mask, width)[index], distance <= width)


@given(MASKS, st.integers(1, 8))
def test_bands_are_nested_and_hold_the_mask(mask, width):
    narrow, wide = band(mask, width), band(mask, width + 1)
    assert not (torch.from_numpy(mask) & ~narrow).any()
    assert not (narrow & ~wide).any()


def test_band_is_a_disc_not_a_square():
    mask = torch.zeros(7, 7, dtype=torch.bool)
    mask[3, 3] = True
    result = band(mask, 2)
    assert result[3, 5] and result[1, 3]
    assert result[4, 4] and not result[5, 5]  # 1.4 and 2.8 pixels away
    assert int(result.sum()) == 13


def test_a_batch_of_maps_of_any_sides_is_each_of_them():
    for size in ((4, 3, 9), (4, 9, 3)):
        masks = np.random.default_rng(0).random(size) < 0.1
        assert band(masks, 5).tolist() == [oracles.near(mask.tolist(), 5) for mask in masks]


@pytest.mark.parametrize("size", [(0, 3), (3, 0), (2, 0, 0), (1, 1)])
def test_a_map_without_neighbours_has_no_boundary(size):
    edge = boundary(np.zeros(size, int), source="labels")
    assert edge.shape == size and not edge.any()
    assert band(edge, 1).shape == size
    curve = TrimapCurve([1], 3, source="labels")
    curve.update(np.zeros(size, int), np.zeros(size, int))
    assert math.isnan(curve.mean_iou()[1])


def test_no_mask_no_band():
    assert not band(np.zeros((2, 5, 5), bool), 3).any()


def test_void_boundary_is_the_void_mask():
    labels = np.array([[0, 255, 1], [0, 0, 255]])
    assert boundary(labels).tolist() == [[False, True, False], [False, False, True]]
    assert boundary(labels, ignore_index=1).tolist() == [[False, False, True], [False] * 3]


def test_label_boundary_takes_both_sides_and_leaves_void_out():
    labels = np.array([[0, 0, 1, 1], [0, 0, 1, 255], [0, 0, 0, 2]])
    assert boundary(labels, source="labels").tolist() == [
        [False, True, True, False],
        [False, True, True, False],
        [False, False, True, True],
    ]


@given(SIDES.flatmap(lambda size: arrays(np.uint8, size, elements=st.sampled_from([0, 1, 2, 255]))))
def test_label_boundary_asks_the_four_neighbours(labels):
    height, width = labels.shape
    around = np.full((height + 2, width + 2), 255)  # outside is void
    around[1:-1, 1:-1] = labels
    steps = ((0, 1), (2, 1), (1, 0), (1, 2))
    near = np.stack([around[y : y + height, x : x + width] for y, x in steps])
    expected = ((near != labels) & (near != 255) & (labels != 255)).any(0)
    np.testing.assert_array_equal(boundary(labels, source="labels"), expected)


@pytest.mark.parametrize("source", ["void", "labels"])
def test_curve_is_the_metric_inside_each_band(source):
    labels, predictions = scene(0)
    curve = TrimapCurve(WIDTHS, 3, source=source)
    curve.update(labels, predictions)
    for width in WIDTHS:
        outside = ~band(boundary(labels, source=source), width).numpy()
        expected = oracles.metrics(np.where(outside, 255, labels), predictions, 3)
        assert curve.mean_iou()[width] == pytest.approx(expected["mean_iou"], rel=1e-12)
        assert curve.pixel_accuracy()[width] == pytest.approx(expected["pixel_accuracy"], rel=1e-12)
    counts = [int(matrix.matrix.sum()) for matrix in curve.matrices().values()]
    assert counts == sorted(set(counts))  # each band holds more than the one inside


def test_wide_enough_a_band_is_the_whole_image():
    labels, predictions = scene(1)
    curve, whole = TrimapCurve([100], 3), ConfusionMatrix(3)
    curve.update(labels, predictions)
    whole.update(labels, predictions)
    assert torch.equal(curve.matrices()[100].matrix, whole.matrix)


def test_batch_is_its_images_and_merging_is_counting_all_at_once():
    labels, predictions = scene(2)
    together, first, second = (TrimapCurve(WIDTHS, 3) for _ in range(3))
    together.update(labels, predictions)
    first.update(labels[0], predictions[0])
    second.update(torch.from_numpy(labels[1]), torch.from_numpy(predictions[1]))
    merged = first.merge(second).reduce()  # one process: nothing is added
    for one, two in zip(merged.rings, together.rings, strict=True):
        assert torch.equal(one.matrix, two.matrix)


def test_compute_and_reset_with_ignored_classes():
    labels, predictions = scene(4)
    curve, plain = TrimapCurve([3, 1], 3, ignored_classes=[0]), TrimapCurve([1, 3], 3)
    for each in (curve, plain):
        each.update(labels, predictions)
    computed = curve.compute()
    assert computed["mean_iou"].tolist() == list(curve.mean_iou().values())
    assert computed["pixel_accuracy"].tolist() == list(plain.pixel_accuracy().values())
    for value, matrix in zip(computed["mean_iou"], plain.matrices().values(), strict=True):
        assert float(value) == pytest.approx(float(matrix.iou()[1:].nanmean()), rel=1e-12)
    with pytest.raises(ValueError, match="ignored"):
        curve.merge(TrimapCurve([1, 3], 3))
    curve.reset()
    assert curve.compute()["mean_iou"].isnan().all() and not curve.rings[1].matrix.any()


def test_order_of_the_widths_does_not_matter():
    labels, predictions = scene(3)
    one, two = TrimapCurve([1, 2, 5], 3), TrimapCurve([5, 1, 2], 3)
    for curve in (one, two):
        curve.update(labels, predictions)
    assert list(two.mean_iou()) == [1, 2, 5]
    assert one.mean_iou() == two.mean_iou()


def test_no_void_no_pixel_counts():
    curve = TrimapCurve([3], 2)
    curve.update(np.array([[0, 1]]), np.array([[0, 1]]))
    assert math.isnan(curve.mean_iou()[3]) and math.isnan(curve.pixel_accuracy()[3])


@pytest.mark.parametrize("widths", [[], [0], [2, -1], [1.5], [2, 2]])
def test_bad_widths(widths):
    with pytest.raises(
        ValueError,
        match=r"widths must be one or more, none twice|width, in pixels, must be an integer >= 1",
    ):
        TrimapCurve(widths, 3)


def test_bad_width_of_a_band_and_bad_source():
    with pytest.raises(ValueError, match="width, in pixels, must be an integer >= 1, got 0"):
        band(np.zeros((2, 2), bool), 0)
    for mask in (np.zeros((2, 2), np.uint8), np.zeros(2, bool), [[True]]):
        with pytest.raises(ValueError, match="mask must be bool"):
            band(mask, 1)
    with pytest.raises(ValueError, match=r"^ignore_index must be an integer"):
        boundary(np.zeros((2, 2), int), ignore_index=0.0)
    with pytest.raises(ValueError, match="source must be one of void, labels, got 'edges'"):
        boundary(np.zeros((2, 2), int), source="edges")
    with pytest.raises(ValueError, match="got 'edges'"):
        TrimapCurve([1], 3, source="edges")


def test_bad_values_near_the_boundary_are_named():
    curve = TrimapCurve([1], 3)
    with pytest.raises(ValueError, match=r"predictions must be 0 to 2, .* got 9"):
        curve.update(np.array([[255, 0]]), np.array([[0, 9]]))
    with pytest.raises(ValueError, match="one shape"):
        curve.update(np.zeros((2, 2), int), np.zeros((2, 3), int))
    with pytest.raises(ValueError, match="widths differ"):
        curve.merge(TrimapCurve([2], 3))
    with pytest.raises(ValueError, match="sources differ: void and labels"):
        curve.merge(TrimapCurve([1], 3, source="labels"))
