"""What a trained network looks at: distances of the gradient, counted plainly."""

import numpy as np
import pytest

from support import released
from support.receptive_fields import pictures


@pytest.mark.parametrize("name", released.LOOKING)
def test_half_of_the_gradient_lies_within(name):
    for what in ("unit", "score"):
        weight, near = released.kept_looks(name, what) ** 2, pictures.half_within(name, what)
        down, across, _ = released.LOOKING[name]
        rows, columns = np.indices(weight.shape)
        far = 2 * np.hypot(
            rows - down * (weight.shape[0] - 1), columns - across * (weight.shape[1] - 1)
        )
        assert weight[far < near].sum() <= weight.sum() / 2 <= weight[far <= near].sum()


def test_of_a_made_gradient(monkeypatch):
    """One pixel at the unit, two equal ones 10 and 20 away of the kept picture, 20 and 40 of it."""
    kept = np.zeros((101, 101))
    monkeypatch.setitem(released.LOOKING, "made", (0.5, 0.5, "cat"))
    monkeypatch.setattr(released, "kept_looks", lambda *_: kept)
    kept[50, 50], kept[50, 60], kept[70, 50] = 0.5, 1, 1
    assert pictures.half_within("made", "unit") == 20
    kept[50, 60] = 0.1
    assert pictures.half_within("made", "unit") == 40


def test_the_picture_is_light_where_the_gradient_is():
    picture = pictures.looks_picture("cat", "unit")
    assert f"within {pictures.half_within('cat', 'unit'):.0f} pixels" in picture.alt
    assert "what moves a unit" in picture.data.decode()
    assert "the score of cat" in pictures.looks_picture("cat", "score").data.decode()
