"""Masks written as shares of squares, against loops over the squares."""

import numpy as np

from dlseg.data import traced
from support.what_is_semantic_segmentation.pictures import shares_written


def test_at_stride_1_a_mask_stays():
    mask = traced("camera", rim=0)
    assert np.array_equal(shares_written(mask, 1)[mask != 255], mask[mask != 255])


def test_the_middle_of_a_square_has_its_commonest_class():
    """Where all the squares around agree with it, the stretch between them cannot differ."""
    mask = np.zeros((48, 48), np.uint8)
    mask[:, 24:] = 7
    mask[20:28, 20:28] = 255  # void takes no part
    drawn = shares_written(mask, 8)
    assert (drawn[:, :20] == 0).all() and (drawn[:, 28:] == 7).all()
    assert set(np.unique(drawn)) == {0, 7}


def test_thin_things_vanish():
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 31] = 5
    mask[:16] = 5
    drawn = shares_written(mask, 16)
    assert (drawn[:4] == 5).all() and not drawn[40:].any()


def test_sides_that_are_no_multiples():
    mask = traced("horse", rim=0)
    assert mask.shape[0] % 16 and shares_written(mask, 16).shape == mask.shape
