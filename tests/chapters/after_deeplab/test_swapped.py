"""What chapter 17 says of the seven ways to gather context holds in the files of results."""

from fractions import Fraction
from itertools import product

import pytest

from dlseg.data import Trains
from support.after_deeplab.swap import CONTEXTS
from support.distances import test_scenes as scenes_to_test
from support.results import load
from support.verdicts import REPRODUCES, judged

FAR = [f"train_accuracy/{start}-{start + 7}" for start in range(64, 112, 8)]


@pytest.fixture(scope="module", params=["swap", "swap_streets"])
def both(request):
    return load(request.param)


@pytest.fixture(scope="module")
def trains():
    return load("swap")


def median(runs, arm: str, measure: str) -> float:
    return runs.median_and_range(arm, measure).median


def test_all_ways_have_all_seeds_and_equal_work(both):
    seeds = {arm: sorted(both.by_seed(arm, "mean_iou")) for arm in CONTEXTS}
    assert set(map(len, seeds.values())) == {10 if "predicted" in both.content else 5}
    work = [median(both, arm, "multiply_adds") for arm in CONTEXTS]
    assert max(work) < 1.02 * min(work)


def test_all_seven_claims_reproduce():
    found = judged("swap", "17")
    assert len(found) == 7 and {one.verdict for one in found} == {REPRODUCES}


def test_streets_belong_to_shallow_maps():
    runs, mlp = load("swap_streets"), "SegFormer's MLP"
    for arm in set(CONTEXTS) - {mlp}:
        assert min(runs.compare(mlp, arm, "mean_iou").differences) > 0.04
    gains = {arm: runs.compare(arm, "1x1", "mean_iou").differences for arm in CONTEXTS}
    assert min(gains["regions (OCR)"]) < 0 < max(gains["regions (OCR)"])
    for arm in ("LargeFOV", "ASPP", "pyramid pooling", "large kernel"):
        assert min(gains[arm]) > 0


def test_costs_at_equal_work(trains):
    times = {arm: median(trains, arm, "seconds_per_image") for arm in CONTEXTS}
    assert times["large kernel"] > 4.5 * times["ASPP"]
    assert max(times.values()) == times["large kernel"] > 6.5 * min(times.values())
    kept = {arm: median(trains, arm, "kept_bytes") for arm in CONTEXTS}
    assert max(kept, key=kept.get) == "regions (OCR)" and kept["regions (OCR)"] > 2 * kept["ASPP"]


@pytest.mark.parametrize("arm", ["1x1", "LargeFOV", "ASPP", "SegFormer's MLP"])
def test_curves_fall_with_their_dashes(trains, arm):
    ahead = trains.content["predicted"][arm]["train_accuracy"]
    for distance, reached in trains.curve(arm, "train_accuracy").items():
        assert reached.median == pytest.approx(ahead[distance], abs=0.05)


@pytest.mark.parametrize("arm", ["pyramid pooling", "regions (OCR)"])
def test_means_know_little_more_than_how_many(trains, arm):
    counted = how_much_counting_is_worth()
    assert counted == Fraction(5, 8)
    for measure in FAR:
        assert counted < median(trains, arm, measure) < counted + Fraction(1, 10)


def how_much_counting_is_worth() -> Fraction:
    """The share that is right for whoever knows the number of As, of all that may be drawn."""
    draws = [(*coins, sum(coins) % 2) for coins in product((0, 1), repeat=3)]
    return Fraction(sum(max(draw.count(0), draw.count(1)) for draw in draws), 4 * len(draws))


def test_an_even_number_of_trains_is_a():
    first = Trains.classes.index("train A")
    for scene in scenes_to_test(40):
        labels = [
            scene.label[(scene.train == number) & (scene.label != 255)] for number in (1, 2, 3, 4)
        ]
        assert sum((part == first).any() for part in labels) % 2 == 0
