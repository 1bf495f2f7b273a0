"""The checks that several packages share say what was given and what is wanted."""

import numpy as np
import pytest

from dlseg.checks import check_choice, check_integer, check_rgb, check_share


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_integer("size", 47, 48), "^size must be an integer >= 48, got 47$"),
        (lambda: check_integer("size", 1025, 48, 1024), "^size must be an integer <= 1024, got"),
        (lambda: check_integer("size", 96.0, 48), "^size must be an integer >= 48, got 96.0$"),
        (lambda: check_integer("size", True, 0), "^size must be an integer >= 0, got True$"),
        (lambda: check_choice("mode", "c", ("a", "b")), "^mode must be one of a, b, got 'c'$"),
        (lambda: check_choice("depth", 51, {50: 3, 101: 4}), "^depth must be one of 50, 101, got"),
        (lambda: check_share("probability", 1.5), r"^probability must be in \[0, 1\], got 1.5$"),
        (lambda: check_share("probability", float("nan")), "got nan$"),
        (lambda: check_rgb("image", np.zeros((4, 5, 3))), r"uint8 \(H, W, 3\), got float64"),
        (lambda: check_rgb("image", np.zeros((4, 5), np.uint8)), r"got uint8 \(4, 5\)$"),
        (lambda: check_rgb("image", np.zeros((3, 4, 5), np.uint8)), r"got uint8 \(3, 4, 5\)$"),
    ],
)
def test_what_is_wrong_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_right_passes():
    number = check_integer("size", np.int64(48), 48, 48)
    assert number == 48 and type(number) is int
    check_choice("depth", 50, {50: 3, 101: 4})
    check_share("probability", 0)
    check_share("probability", 1)
    check_rgb("image", np.zeros((4, 5, 3), np.uint8))
