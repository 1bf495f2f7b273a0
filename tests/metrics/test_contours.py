"""The F-score of boundaries against every pair of pixels, drawn cases, and another's dilation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.morphology import dilation, disk
from skimage.segmentation import find_boundaries

from dlseg.metrics import BoundaryF, boundary
from tests.metrics import oracles

SIDES = st.tuples(st.integers(1, 7), st.integers(1, 7))
PAIRS = SIDES.flatmap(
    lambda size: st.tuples(
        arrays(np.uint8, size, elements=st.sampled_from([0, 1, 2, 255])),
        arrays(np.uint8, size, elements=st.integers(0, 2)),
    )
)


def scored(labels, predictions, tolerance, classes=3, **options):
    scores = BoundaryF(classes, tolerance=tolerance, **options)
    scores.update(labels, predictions)
    return scores.compute()


def same(first, second):
    return first == pytest.approx(second, rel=1e-12, abs=1e-15, nan_ok=True)


@given(PAIRS, st.sampled_from([1, 1.5, 2, 2.9, 5, 100]))
def test_every_pair_of_boundary_pixels_is_measured(image, tolerance):
    found = scored(*image, tolerance)
    expected = oracles.boundary_f(*image, 3, tolerance)
    assert same(found["boundary_f"].tolist(), expected)
    assert same(found["mean_boundary_f"], oracles.mean(expected))


def blobs(seed, size=(60, 80)):
    """Labels of three classes in smooth regions, and the same, moved and frayed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    waves = sum(np.sin(y / a + p) + np.cos(x / b + p) for a, b, p in rng.uniform(4, 12, (3, 3)))
    labels = np.digitize(waves, [-1, 1]).astype(np.uint8)
    predictions = np.where(rng.random(size) < 0.02, 1, np.roll(labels, (2, 3), (0, 1)))
    return labels, predictions.astype(np.uint8)


@pytest.mark.parametrize("pixels", [1, 2, 4, 7])
def test_dilation_by_a_disc_finds_the_same(pixels):
    """As the toolkit of Perazzi et al. counts: what lies under the other's dilated boundary."""
    labels, predictions = blobs(0)
    expected = []
    for index in range(3):
        true, found = (
            find_boundaries(m == index, connectivity=1, mode="inner") for m in (labels, predictions)
        )
        recall = true[dilation(found, disk(pixels))].sum() / true.sum()
        precision = found[dilation(true, disk(pixels))].sum() / found.sum()
        expected.append(2 * precision * recall / (precision + recall))
    computed = scored(labels, predictions, pixels)
    np.testing.assert_allclose(computed["boundary_f"], expected, rtol=1e-12)
    assert 0.1 < computed["mean_boundary_f"] < 0.99


def test_the_boundary_of_a_class_is_that_of_its_mask():
    """Where nothing is void: scikit-image's inner boundary, four neighbours."""
    labels, _ = blobs(1)
    ours = boundary(labels, source="labels").numpy()
    for index in range(3):
        theirs = find_boundaries(labels == index, connectivity=1, mode="inner")
        np.testing.assert_array_equal(ours & (labels == index), theirs)


def test_a_moved_edge_counts_up_to_the_tolerance():
    """A half-plane whose edge is three pixels off: its pixels lie at 3 from the true ones."""
    labels = np.zeros((20, 20), int)
    labels[:, 10:] = 1
    moved = np.roll(labels, 3, 1)
    moved[:, :3] = 0
    assert scored(labels, moved, 2.99, 2)["mean_boundary_f"] == 0
    assert scored(labels, moved, 3, 2)["mean_boundary_f"] == 1
    assert scored(labels, labels, 1, 2)["mean_boundary_f"] == 1


def test_a_wider_tolerance_is_no_stricter():
    labels, predictions = blobs(2)
    scores = [scored(labels, predictions, t)["mean_boundary_f"] for t in (1, 2, 3, 5, 8, 20)]
    assert scores == sorted(scores) and scores[0] < scores[-1]


def test_below_1_it_is_a_share_of_the_diagonal():
    """60x80 pixels have a diagonal of 100."""
    labels, predictions = blobs(3)
    share, pixels = scored(labels, predictions, 0.03), scored(labels, predictions, 3)
    assert torch.equal(share["boundary_f"], pixels["boundary_f"])
    default = BoundaryF(3)
    default.update(labels, predictions)
    assert (
        default.compute()["mean_boundary_f"]
        == scored(labels, predictions, 0.0075)["mean_boundary_f"]
    )


def test_a_class_that_one_map_lacks_has_0_and_one_that_both_lack_has_none():
    labels = np.array([[0, 0, 1, 1]] * 3)
    found = scored(labels, np.array([[0, 0, 2, 2]] * 3), 1, 4)
    assert same(found["boundary_f"].tolist(), [1, 0, 0, math.nan])
    assert found["mean_boundary_f"] == pytest.approx(1 / 3)
    kept = scored(labels, np.array([[0, 0, 2, 2]] * 3), 1, 4, ignored_classes=[1, 2])
    assert kept["mean_boundary_f"] == 1 and same(kept["boundary_f"].tolist(), [1, 0, 0, math.nan])
    whole = scored(np.zeros((3, 3), int), np.zeros((3, 3), int), 1)
    assert math.isnan(whole["mean_boundary_f"]) and whole["boundary_f"].isnan().all()


def test_void_makes_no_boundary_and_hides_predictions():
    labels = np.array([[0, 0, 255, 1, 1, 1]] * 2)
    predictions = np.array([[0, 0, 2, 1, 1, 1]] * 2)
    assert math.isnan(scored(labels, predictions, 1)["mean_boundary_f"])
    other = scored(np.where(labels == 255, 7, labels), predictions, 1, ignore_index=7)
    assert math.isnan(other["mean_boundary_f"])
    assert scored(labels, np.array([[0, 0, 2, 1, 1, 0]] * 2), 1)["mean_boundary_f"] == 0


@pytest.mark.parametrize("tolerance", [0, -1, math.nan, math.inf, "2", True, None])
def test_bad_tolerances(tolerance):
    with pytest.raises(ValueError, match="tolerance must be"):
        BoundaryF(3, tolerance=tolerance)
