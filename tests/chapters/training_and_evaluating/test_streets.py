"""What chapter 13 says of streets holds on every seed, and nothing but numbers is kept of them."""

import numpy as np
import pytest

from support.results import load
from support.training_and_evaluating import crops, streets


@pytest.fixture(scope="module")
def runs():
    return load("streets")


def test_every_idea_but_pooling_helps_in_both_worlds():
    for idea in streets.IDEAS:
        drawn, street = streets.gains(idea)
        assert min(drawn.differences) > 0, idea
        assert (min(street.differences) > 0) == (idea.words != "image pooling"), idea
        assert street.spread.median > 0, idea


def test_the_decoder_is_ahead_by_far():
    gains = {idea.words: streets.gains(idea)[1].differences for idea in streets.IDEAS}
    decoder = gains.pop("the decoder of v3+")
    assert min(decoder) > max(map(max, gains.values()))
    assert np.median(decoder) > 2.5 * max(map(np.median, gains.values()))


@pytest.mark.parametrize(
    ("better", "worse", "measure"),
    [
        ("decoder", "decoder + CRF", "iou/pole"),
        ("decoder", "decoder + CRF", "iou/sign"),
        ("decoder + CRF", "decoder", "iou/building"),
        ("decoder + CRF", "decoder", "iou/car"),
        ("decoder, other drives", "rates 2, 4, 6, pooling, other drives", "mean_iou"),
        ("whole", "whole, random weights", "mean_iou"),
    ],
)
def test_what_the_prose_says(runs, better, worse, measure):
    assert min(runs.compare(better, worse, measure).differences) > 0


@pytest.mark.parametrize("arm", ["decoder", "rates 2, 4, 6, pooling", "1x1"])
def test_random_weights_buy_small_things(runs, arm):
    """Right on most of them, and wrong on much else."""
    medians = [
        runs.median_and_range(one, measure).median
        for one in ("whole, random weights", arm)
        for measure in ("found_by_side/0-8", "iou/pedestrian")
    ]
    assert medians[0] > medians[2] and medians[1] < 0.6 * medians[3]


def test_other_drives_cost_more_than_rates_bring(runs):
    for arm in ("1x1, pooling", streets.V3, streets.V3PLUS):
        lost = runs.compare(f"{arm}, own drive", f"{arm}, other drives", "mean_iou")
        assert min(lost.differences) > 0.1
    rates, without = f"{streets.V3}, other drives", "1x1, pooling, other drives"
    gained = runs.compare(rates, without, "mean_iou").differences
    assert min(gained) < 0


def test_at_rate_6_each_unit_has_four_or_six_taps_on_the_map():
    on = {
        sum(0 <= row + y < 12 for y in (-6, 0, 6)) * sum(0 <= column + x < 15 for x in (-6, 0, 6))
        for row in range(12)
        for column in range(15)
    }
    assert on == {4, 6} and crops.all_taps((12, 15), 6) == 0


def test_numbers_alone_are_kept(runs):
    for run in runs.content["runs"]:
        assert len(run["iou"]) == 11
        assert np.mean(list(run["iou"].values())) == pytest.approx(run["mean_iou"], abs=1e-4)
