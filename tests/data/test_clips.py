"""Moving things: where they are in each frame, and that every frame is a frame of the same clip."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest

from dlseg.data import Clip, draw_scene
from dlseg.data.scenes.datasets import FASTEST, _place
from dlseg.data.scenes.drawing import RING, WIRE


def centres(label, classes):
    return {c: np.argwhere(label == c).mean(0) for c in classes if (label == c).any()}


def test_first_frame_has_the_things_of_its_scene_where_they_are():
    clip = Clip(3, size=128, seed=4)
    image, label = clip[0]
    scene = draw_scene(*clip.key)
    moved = ~np.isin(scene.label, (0, RING, WIRE, 255))
    assert moved.sum() > 500
    np.testing.assert_array_equal(label[moved], scene.label[moved])
    np.testing.assert_array_equal(image[moved], scene.image[moved])
    assert not label[~moved].any()  # no ring, no wire, nothing void
    near = [np.roll(scene.label, (y, x), (0, 1)) for y in range(-2, 3) for x in range(-2, 3)]
    clean = (np.array(near) == 0).all(0)  # away from the soft rims
    difference = image[clean].astype(int) - scene.image[clean]
    assert abs(difference.mean()) < 0.5 and difference.std() > 5  # the same but for the noise


def test_everything_moves_and_nothing_is_lost():
    clip = Clip(60, seed=1)
    labels = [clip[i][1] for i in range(60)]
    present = set(np.unique(labels[0]))
    seen = [set(np.unique(label)) for label in labels]
    assert len(present) > 3 and all(one <= present for one in seen)
    counts = np.array([np.bincount(label.ravel(), minlength=10) for label in labels])
    assert (counts[:, 1:].sum(1) > 0.5 * counts[0, 1:].sum()).all()  # some hide others, none leaves
    for before, after in pairwise(labels):
        assert (before != after).any()


def test_a_thing_goes_straight_ahead():
    clip = Clip(6, size=256, seed=2)
    mover = clip._movers[-1]  # on top of all others
    label = [np.zeros((256, 256), np.uint8) for _ in range(6)]
    for i in range(6):
        mover.paint(clip[i][0], label[i], i)
    places = np.array([np.argwhere(one)[0] for one in label])
    expected = places[0] + np.outer(range(6), mover.speed)
    assert np.abs(places - expected).max() <= 1
    assert max(map(abs, mover.speed)) <= FASTEST


def test_ways_turn_round_at_both_ends():
    result = [_place(first, 4, 10).start for first in range(-8, 15)]
    assert result == [4, 5, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1, 0, 1, 2]
    assert _place(3.0, 10, 10) == slice(0, 10)


def test_frames_are_a_function_of_their_number():
    clip = Clip(5)
    again = Clip(5)[3]
    assert all(np.array_equal(*pair) for pair in zip(clip[3], again, strict=True))
    assert not np.array_equal(clip[3][0], clip[2][0])
    assert not np.array_equal(clip[0][1], Clip(5, seed=1)[0][1])
    assert len(clip) == 5 and np.array_equal(clip[-1][1], clip[4][1])
    with pytest.raises(IndexError):
        clip[5]


def test_the_same_pixels_on_every_machine():
    image, label = Clip(9)[8]
    assert (image.dtype, label.dtype) == (np.uint8, np.uint8)
    digest = hashlib.sha256(image.tobytes() + label.tobytes()).hexdigest()
    assert digest[:16] == "f197fa60a7cd4a3c"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"count": 0}, "count"), ({"count": 1, "size": 12}, "size"), ({"count": 1, "seed": -1}, "se")],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"{message}\\w* must be an integer >="):
        Clip(**arguments)
