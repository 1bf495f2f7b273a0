"""What the trained network's unit looks at: the distance that is printed, and the drawing."""

import re

import numpy as np
import pytest

from dlseg.data import photograph
from support import released
from support.receptive_fields.pictures import half_within, looks_picture

PLACE = (0.5, 0.25)  # in a made field, down and across; a unit stands there


@pytest.fixture
def field(monkeypatch):
    """Put a made field, whose square is the gradient, in the place of the kept ones."""

    def put(root: np.ndarray) -> None:
        monkeypatch.setattr(released, "kept_looks", lambda _name, _what: root)
        monkeypatch.setitem(released.LOOKING, "cat", (*PLACE, "cat"))

    return put


def radius(root: np.ndarray) -> float:
    """The smallest circle around the unit with half of the gradient, tried one by one."""
    height, width = root.shape
    middle = PLACE[0] * (height - 1), PLACE[1] * (width - 1)
    inside = {}
    for (row, column), value in np.ndenumerate(root):
        far = ((row - middle[0]) ** 2 + (column - middle[1]) ** 2) ** 0.5
        inside[far] = inside.get(far, 0) + value**2
    total = 0.0
    for far in sorted(inside):
        total += inside[far]
        if total >= sum(inside.values()) / 2:
            return 2 * far  # every second pixel is kept
    raise AssertionError("no circle has half of it")


@pytest.mark.parametrize("shape", [(17, 33), (33, 33), (17, 65)])
def test_half_of_the_gradient_by_trying_circles(field, shape):
    for seed in range(5):
        root = np.random.default_rng(seed).integers(0, 9, shape).astype(float)
        field(root)
        assert half_within("cat", "unit") == pytest.approx(radius(root))


def test_all_in_one_pixel_is_as_far_as_that_pixel(field):
    root = np.zeros((17, 33))
    root[8, 20] = 1
    field(root)
    assert half_within("cat", "score") == 2 * (20 - 8)


@pytest.mark.parametrize("name", released.LOOKING)
def test_distances_of_kept_fields_are_those_from_the_unit(name):
    """Which `released.looks` took: the nearest to its place, of those 16 pixels apart."""
    place, sides = released.LOOKING[name][:2], photograph(name).shape[:2]
    units = [round(p * (n - 1) / 16) for p, n in zip(place, sides, strict=True)]
    rows, columns = (np.arange(0, n, 2) - 16 * u for n, u in zip(sides, units, strict=True))
    far = np.hypot(rows[:, None], columns)
    for what in ("unit", "score"):
        weight, near = released.kept_looks(name, what) ** 2, half_within(name, what)
        assert weight[far < near].sum() <= weight.sum() / 2 <= weight[far <= near].sum()


@pytest.mark.parametrize("what", ["unit", "score"])
@pytest.mark.parametrize("name", released.LOOKING)
def test_the_drawing_says_the_distance_that_is_printed(name, what):
    picture = looks_picture(name, what)
    assert f"within {half_within(name, what):.0f} pixels" in picture.alt
    kind = {"unit": "a unit", "score": f"the score of {released.LOOKING[name][2]}"}[what]
    titles = re.findall(r"<text[^>]*>([^<]*)</text>", picture.data.decode())
    assert titles == [name, f"what moves {kind}"]


def test_the_photograph_is_lit_where_the_field_is(field, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "support.receptive_fields.pictures.side_by_side",
        lambda items, *_, **__: shown.extend(items),
    )
    high, wide = photograph("cat").shape[:2]
    root = np.zeros((high // 2 + 1, wide // 2 + 1))
    root[: len(root) // 2] = 1
    field(root)
    looks_picture("cat", "unit")
    image, lit = (item.image.astype(float) for item in shown)
    third = high // 3
    assert np.array_equal(lit[:third], image[:third])
    assert np.abs(lit[-third:] - 0.15 * image[-third:]).max() < 1
