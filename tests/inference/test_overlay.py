"""Labels as pictures: laid over the image, and the list of their colours."""

import tracemalloc

import numpy as np
import pytest

from dlseg.data.scenes import PALETTE
from dlseg.inference import legend, overlay, shares


@pytest.mark.parametrize("count", [shares, lambda labels: legend(labels, ["a"] * 9, PALETTE)])
def test_counting_takes_less_than_the_labels_do(count):
    labels = np.full((2000, 2000), 3, np.uint8)
    count(labels[:9])  # what is loaded once
    tracemalloc.start()
    count(labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < labels.nbytes


def test_shares_and_legend():
    labels = np.array([[2, 2, 0], [2, 0, 1], [2, 2, 2]], np.uint8)
    assert shares(labels) == {2: 6 / 9, 0: 2 / 9, 1: 1 / 9}
    picture = legend(labels, ("sky", "sea", "land"), PALETTE)
    # The middle of each square, 26 pixels apart, in the colour of its class.
    assert picture[[17, 43, 69], 17].tolist() == PALETTE[[2, 0, 1]].tolist()
    assert picture.shape[0] == 8 + 26 * 3
    dark = (picture[:, 34:] < 128).any((1, 2))
    assert [bool(dark[8 + 26 * row : 26 + 26 * row].any()) for row in range(3)] == [True] * 3
    assert (picture[:, -4:] == 255).all()  # nothing is cut off


def test_a_name_stands_in_the_middle_beside_its_square():
    picture = legend(np.array([[0, 1]], np.uint8), ("HEH", "HEH"), PALETTE)
    for row in range(2):
        ink = np.flatnonzero((picture[26 * row : 26 * (row + 1), 34:] < 128).any((1, 2)))
        assert abs(ink.mean() - (8 + 18 / 2)) <= 1  # of the row; a square has 18 pixels


def test_overlay_is_halfway():
    image = np.array([[[200, 100, 255]]], np.uint8)
    palette = np.array([[0, 0, 0], [100, 50, 255]], np.uint8)
    assert overlay(image, np.array([[1]], np.uint8), palette).tolist() == [[[150, 75, 255]]]


@pytest.mark.parametrize("labels", [np.zeros((0, 3), np.uint8), np.zeros(3, np.uint8), [[0]]])
def test_what_is_no_map_of_labels(labels):
    for call in (shares, lambda map: legend(map, ("a",), PALETTE)):
        with pytest.raises(ValueError, match=r"^labels must be integers \(H, W\), got"):
            call(labels)


def test_labels_without_a_name_or_a_colour():
    labels = np.array([[0, 2]], np.uint8)
    with pytest.raises(ValueError, match=r"^labels must be 0 to 1, got 2"):
        legend(labels, ("a", "b"), PALETTE)
    with pytest.raises(ValueError, match=r"^labels must be 0 to 1, got 2"):
        legend(labels, ("a", "b", "c"), PALETTE[:2])
    with pytest.raises(ValueError, match=r"^labels must be 0 to 1, got 2"):
        overlay(np.zeros((1, 2, 3), np.uint8), labels, PALETTE[:2])
    with pytest.raises(ValueError, match="image and labels must be of one size"):
        overlay(np.zeros((2, 2, 3), np.uint8), labels, PALETTE)
    for palette in (PALETTE.astype(float), PALETTE[:, :2]):
        with pytest.raises(ValueError, match=r"^palette must be uint8 \(256, 3\)"):
            legend(labels, ("a", "b", "c"), palette)


@pytest.mark.parametrize("strength", [0, 0.25, 0.5, 0.9, 1])
def test_strength_is_how_far_a_pixel_goes(strength):
    rng = np.random.default_rng(0)
    image, labels = (
        rng.integers(0, 256, (9, 11, 3), np.uint8),
        rng.integers(0, 5, (9, 11), np.uint8),
    )
    exact = image + strength * (PALETTE[labels].astype(float) - image)
    mixed = overlay(image, labels, PALETTE, strength)
    assert mixed.dtype == np.uint8 and np.abs(mixed - exact).max() <= 1 + 255 / 512
    if strength in (0, 1):
        assert np.array_equal(mixed, exact)
    shown = overlay(image, labels, PALETTE, strength, {1, 3})
    drawn = np.isin(labels, (1, 3))
    assert np.array_equal(shown[drawn], mixed[drawn])
    assert np.array_equal(shown[~drawn], image[~drawn])
    assert np.array_equal(overlay(image, labels, PALETTE, strength, ()), image)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), True, "half"])
def test_what_is_no_strength(strength):
    image, labels = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8)
    with pytest.raises(ValueError, match=r"^strength must be in \[0, 1\], got"):
        overlay(image, labels, PALETTE, strength)
