"""The drawings of the dense CRF say what the code computes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from support.dense_crf import lattices
from support.dense_crf import pictures as crf
from support.photographs import LABELS, colour_photograph, photograph, traced_labels


@pytest.mark.parametrize("d", [1, 2, 5])
def test_drawn_corners_surround_their_pixel(d):
    f = torch.from_numpy(np.random.default_rng(0).uniform(0, 4, (200, d))).float()
    keys, places = lattices.corner_places(f)
    known = {}
    for key, place in zip(keys.ravel().tolist(), places.reshape(-1, d), strict=True):
        assert np.allclose(known.setdefault(key, place), place, atol=1e-4)
    assert len(known) < keys.size  # corners are shared, so the assertion above says something
    reach = np.linalg.norm(places - f.numpy()[:, None], axis=-1)
    assert reach.max() <= 2 * np.linalg.norm(lattices.axes(d), axis=1).max()


def test_axes_of_the_plane_are_three_equal_steps_that_return():
    steps = lattices.axes(2)
    assert steps.shape == (3, 2)
    assert np.allclose(steps.sum(axis=0), 0)
    assert np.allclose(np.linalg.norm(steps, axis=1), np.linalg.norm(steps[0]))


@pytest.mark.parametrize("sigma", [2, 3])
def test_drawn_slice_is_a_gaussian(sigma):
    _, values, pixels = lattices.impulse(sigma, "slice")
    row, column = np.divmod(np.arange(lattices.PIXELS**2), lattices.PIXELS)
    away = (row - lattices.SOURCE[0]) ** 2 + (column - lattices.SOURCE[1]) ** 2
    assert np.abs(pixels - np.exp(-away / (2 * sigma**2))).max() < 0.15
    assert min(values.values()) >= 0


def test_splat_hands_on_all_of_the_value():
    _, values, _ = lattices.impulse(3, "splat")
    assert sum(values.values()) == pytest.approx(1)
    assert sum(value > 0 for value in values.values()) == 3


def test_message_picture_says_the_update():
    kernel = np.array([[0, 0.5], [0.5, 0]])
    alt = crf.message_picture([10, 200], [0.4, 0.9], kernel, [0.4, 0.9], 2.0, 1, 1).alt
    unary = -torch.tensor([[0.4, 0.6], [0.9, 0.1]]).log()
    after = F.softmax(-unary + 2 * torch.tensor(kernel).float() @ (-unary).exp(), dim=1)[0, 0]
    assert f"so Q(A) goes from 0.40 to {after:.2f}" in alt


def test_changes_and_mean_iou():
    truth = np.array([[0, 0, 1, 1]])
    before, after = np.array([[0, 1, 0, 1]]), np.array([[1, 0, 0, 1]])
    shown = crf.changes(before, after, truth)
    wanted = [crf.BROKEN, crf.REPAIRED, crf.STILL]
    assert ["#" + bytes(pixel).hex() for pixel in shown[0]] == [*wanted, "#ffffff"]
    assert crf.mean_iou(before, truth) == pytest.approx(1 / 3)
    alt = crf.mask_picture(np.zeros((1, 4), np.uint8), before, after, truth, "four").alt
    assert "repaired: 1 pixels, broken: 1, wrong all the time: 1, wrong: 2 before, 2 after" in alt


def test_photograph_in_colour_is_the_grey_one():
    weights = np.array([0.299, 0.587, 0.114])
    assert np.abs(colour_photograph(64) @ weights / 255 - photograph(64)).max() < 0.01


@pytest.mark.parametrize("size", [64, 160])
def test_traced_labels_scale_with_the_picture(size):
    labels, large = traced_labels(size), traced_labels(320)
    assert labels.shape == (size, size) and set(np.unique(labels)) == set(range(len(LABELS)))
    step = 320 // size
    assert (labels == large[step // 2 :: step, step // 2 :: step]).mean() > 0.99
    assert labels.mean() == pytest.approx(large.mean(), abs=0.01)


def test_size_of_the_traced_labels_is_checked():
    with pytest.raises(ValueError, match="between 1 and 320 pixels, got 0"):
        traced_labels(0)
