"""Bars: what tells their class, and what a stack of rates can see of it."""

import numpy as np
import pytest
import torch

from dlseg.inspect import gradient_support
from support import bars, results


def test_one_column_tells():
    for index in range(6):
        image, label, distance = bars.draw(index)
        assert set(np.unique(label)) <= {0, 1, 2} and ((distance >= 0) == (label > 0)).all()
        red, _, blue = np.moveaxis(image.astype(int), 2, 0)
        for letter, sign in ((1, 1), (2, -1)):
            tells = (label == letter) & (sign * (red - blue) > 90)
            assert (tells == ((label == letter) & (distance == 0))).all()


def test_the_same_pictures_twice_and_others_in_other_splits():
    train, again, test = bars.Bars(3), bars.Bars(3), bars.Bars(3, "test")
    assert all((train[i][0] == again[i][0]).all() for i in range(3))
    assert not any((train[i][0] == test[i][0]).all() for i in range(3))


@pytest.mark.parametrize("rates", bars.STACKS)
def test_gradient_and_paths_see_the_same(rates):
    mask = gradient_support(bars.stack(rates), bars.SIDE, (32, 32)).mask
    ahead = bars.predicted(rates)
    for place in bars.DISTANCES:
        assert mask[32, 32 + place] == mask[32, 32 - place] == (ahead[str(place)] == 1)


class Oracle(torch.nn.Module):
    def __init__(self, pictures):
        super().__init__()
        self.labels = iter([label for _, label, _ in pictures.drawn])

    def forward(self, x):
        one_hot = torch.nn.functional.one_hot(torch.tensor(next(self.labels)).long(), 3)
        return one_hot.permute(2, 0, 1)[None].float()


def test_an_oracle_is_right_everywhere():
    pictures = bars.Bars(20, "val")
    assert set(bars.measured(Oracle(pictures), pictures).values()) == {1.0}


def test_the_experiment_holds_what_the_chapter_says():
    runs = results.load("bars")
    for rates in bars.STACKS:
        arm = f"rates {', '.join(map(str, rates))}"
        assert {run["seed"] for run in runs.content["runs"] if run["arm"] == arm} == {*range(1, 11)}
        curve = runs.curve(arm, "accuracy")
        for place, ahead in bars.predicted(rates).items():
            if ahead == 0.5:
                assert abs(curve[place].median - 0.5) < 0.05, (arm, place)
            else:
                assert curve[place].low > 0.95, (arm, place)
