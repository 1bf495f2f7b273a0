"""Accuracy by size and by distance to a cue, against loops over things and pixels."""

import numpy as np
import pytest

from dlseg.data import Scenes
from dlseg.data.drawing import DOTS, LAMP_A, LAMP_B, PLATE_A, PLATE_B, STRIPES
from dlseg.data.scores import cue_distance, found_by_radius, letter_accuracy

SCENES = [Scenes(12, "test").scene(i) for i in range(12)]
OTHER = {PLATE_A: PLATE_B, PLATE_B: PLATE_A, LAMP_A: LAMP_B, LAMP_B: LAMP_A}


def guesses(seed=0):
    """The truth, with a third of the letters and a quarter of the textures swapped."""
    rng, found = np.random.default_rng(seed), []
    for scene in SCENES:
        guess, luck = scene.label.copy(), rng.random(scene.label.shape)
        for label, other in OTHER.items():
            guess[(scene.label == label) & (luck < 1 / 3)] = other
        guess[np.isin(scene.label, (STRIPES, DOTS)) & (luck < 1 / 4)] = 0
        found.append(guess)
    return found


def by_hand(value_of, counts, predictions, edges):
    right, there = [0] * (len(edges) - 1), [0] * (len(edges) - 1)
    for scene, predicted in zip(SCENES, predictions, strict=True):
        for row, column in np.argwhere(scene.owner > 0):
            thing, label = scene.things[scene.owner[row, column] - 1], scene.label[row, column]
            value = value_of(thing, row, column)
            if value is None or not counts(label, predicted[row, column]):
                continue
            for place in range(len(edges) - 1):
                if edges[place] <= value < edges[place + 1]:
                    there[place] += 1
                    right[place] += predicted[row, column] == label
    return [r / t if t else np.nan for r, t in zip(right, there, strict=True)]


def distance_of(thing, row, column):
    if thing.label in (PLATE_A, PLATE_B):
        return np.hypot(column + 0.5 - thing.x, row + 0.5 - thing.y)
    return thing.lamp_distance or None


def test_letter_accuracy_against_a_loop():
    edges, predictions = [0, 5, 13, 22, 50, 90], guesses()
    found = letter_accuracy(SCENES, predictions, edges)

    def is_letter(label: int, predicted: int) -> bool:
        return label in OTHER and predicted in (label, OTHER[label])

    wanted = by_hand(distance_of, is_letter, predictions, edges)
    assert found == pytest.approx(wanted, nan_ok=True)
    assert np.nanmin(found) > 0.5 and np.nanmax(found) < 0.8


def test_found_by_radius_against_a_loop():
    edges, predictions = [3, 6, 12, 31, 40], guesses(1)
    found = found_by_radius(SCENES, predictions, edges)

    def is_filled(label: int, _: int) -> bool:
        return label in (STRIPES, DOTS)

    wanted = by_hand(lambda thing, *_: thing.radius, is_filled, predictions, edges)
    assert found == pytest.approx(wanted, nan_ok=True)
    assert np.isnan(found[-1])


def test_the_truth_is_right_everywhere():
    truth = [scene.label for scene in SCENES]
    assert set(letter_accuracy(SCENES, truth, [0, 10, 20, 40])) == {1.0}
    assert set(found_by_radius(SCENES, truth, [3, 30])) == {1.0}


def test_cues_are_those_of_plates_and_unlit_lamps():
    for scene in SCENES:
        distance = cue_distance(scene)
        lamps = np.isin(scene.label, (LAMP_A, LAMP_B))
        assert np.isnan(distance[~np.isin(scene.label, list(OTHER))]).all()
        assert np.isnan(distance[lamps & (scene.lamp_distance == 0)]).all()
        assert (distance[scene.lamp_distance > 0] > 8).all()
