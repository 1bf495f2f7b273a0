"""The search for the appearance kernel."""

import itertools
import math

import pytest
import torch
from sklearn.metrics import jaccard_score

from dlseg.crf import V1_RANGES, V2_RANGES, Ranges, iou_score, search_kernels, smoothness
from dlseg.crf import search as search_module
from tests.crf.toys import coarse_logits, photograph


def bowl(weight, sxy, srgb):
    """A score with its top at the given values, one per width of a step of v1's grid."""

    def score(kernels):
        _, look = kernels
        far = (look.weight - weight, (look.sxy - sxy) / 10, look.srgb - srgb)
        return 1 - sum(distance**2 for distance in far)

    return score


def test_ranges_of_the_papers():
    assert list(V1_RANGES.weight) == [5, 6, 7, 8, 9, 10]
    assert list(V1_RANGES.sxy) == [50, 60, 70, 80, 90, 100]
    assert list(V1_RANGES.srgb) == [3, 4, 5, 6, 7, 8, 9, 10]
    assert list(V2_RANGES.weight) == list(V2_RANGES.srgb) == [3, 4, 5, 6]
    assert list(V2_RANGES.sxy) == [30, 40, 50, 60, 70, 80, 90, 100]


def test_one_round_is_the_grid_and_each_further_round_halves_the_steps():
    result = search_kernels(bowl(7.3, 71, 5.8), rounds=1)
    assert len(result.tries) == 6 * 6 * 8
    assert (result.best.weight, result.best.sxy, result.best.srgb) == (7, 70, 6)
    finer = search_kernels(bowl(7.3, 71, 5.8), rounds=4)
    best = finer.best
    assert abs(best.weight - 7.3) <= 1 / 16
    assert abs(best.sxy - 71) <= 10 / 16
    assert abs(best.srgb - 5.8) <= 1 / 16
    assert best.score == max(one.score for one in finer.tries) > result.best.score
    assert {one.round for one in finer.tries} == {1, 2, 3, 4}
    points = [(one.weight, one.sxy, one.srgb) for one in finer.tries]
    assert len(set(points)) == len(points)  # none is tried twice
    smooth, look = finer.kernels
    assert smooth == smoothness(3, 3)
    assert (look.weight, look.sxy, look.srgb) == (best.weight, best.sxy, best.srgb)


def test_it_may_leave_the_grid_but_not_reach_zero():
    result = search_kernels(bowl(-5, 120, 0.1), Ranges([1, 2], [100, 110], [1, 2]), rounds=3)
    assert result.best.sxy > 110
    assert 0 < result.best.weight < 1
    assert 0 < result.best.srgb < 1


def test_a_single_value_stays_fixed_and_the_smoothness_kernel_is_given():
    result = search_kernels(bowl(5, 50, 5), Ranges([4], [40, 60], [3]), 2, smooth=smoothness(1, 2))
    assert {(one.weight, one.srgb) for one in result.tries} == {(4, 3)}
    assert [one.sxy for one in result.tries] == [40, 60, 30, 50]
    assert result.kernels[0] == smoothness(1, 2)


def test_the_table_shows_the_best_first():
    lines = search_kernels(bowl(5, 50, 4), rounds=1).table(3).splitlines()
    assert len(lines) == 4
    assert lines[0].split() == ["round", "weight", "sxy", "srgb", "score"]
    assert lines[1].split() == ["1", "5", "50", "4", "1.0000"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight": []}, "weight must be numbers rising from above 0"),
        ({"sxy": [50, 40]}, "sxy must be numbers rising"),
        ({"srgb": [0, 1]}, r"rising from above 0, got \[0, 1\]"),
    ],
)
def test_ranges_that_cannot_be(values, message):
    with pytest.raises(ValueError, match=message):
        Ranges(**{"weight": [1], "sxy": [1], "srgb": [1], **values})


def test_rounds_and_scores_that_cannot_be():
    with pytest.raises(ValueError, match="rounds must be an integer >= 1, got 0"):
        search_kernels(bowl(1, 1, 1), rounds=0)
    with pytest.raises(ValueError, match="the score is NaN at weight 5, sxy 50, srgb 3"):
        search_kernels(lambda kernels: math.nan)
    with pytest.raises(ValueError, match="at least one"):
        iou_score([])


def samples():
    """Two views of a photograph, coarse scores, and labels by brightness, some unknown."""
    both = []
    for image in (photograph((40, 36)), photograph((40, 36)).flip(3)):
        labels = (image.float().mean(1)[0] / 256 * 3).long()
        labels[:3] = 255
        both.append((coarse_logits(image, 4)[0], image[0], labels))
    return both


def test_iou_score_is_scikit_learns():
    score = iou_score(samples(), iterations=0)  # the network's own labels
    truth, guess = [], []
    for logits, _, labels in samples():
        known = labels != 255
        truth.append(labels[known])
        guess.append(logits.argmax(0)[known])
    truth, guess = torch.cat(truth), torch.cat(guess)
    assert score([smoothness()]) == pytest.approx(jaccard_score(truth, guess, average="macro"))
    assert 3 in guess or 3 not in truth


def test_a_class_that_nothing_shows_is_left_out():
    logits = torch.tensor([2.0, 1.0, 0.0]).reshape(3, 1, 1).expand(3, 2, 2)
    labels = torch.tensor([[0, 0], [0, 1]])
    image = torch.zeros(3, 2, 2, dtype=torch.uint8)
    score = iou_score([(logits, image, labels)], iterations=0)
    assert score([smoothness()]) == pytest.approx((3 / 4 + 0) / 2)


def test_it_finds_kernels_that_help():
    score = iou_score(samples(), iterations=3)
    result = search_kernels(score, Ranges([1, 10], [5, 50], [5, 13]), rounds=1)
    plain = iou_score(samples(), iterations=0)(result.kernels)
    assert result.best.score == pytest.approx(score(result.kernels))
    assert result.best.score > plain


def test_the_bar_is_named_after_its_round(monkeypatch):
    asked = []

    def bar(points, desc, disable):
        asked.append((desc, len(points), disable))
        return points

    monkeypatch.setattr(search_module, "tqdm", bar)
    search_kernels(bowl(5, 50, 5), Ranges([4], [40, 60], [3]), 2)
    assert asked == [("CRF search, round 1", 2, None), ("CRF search, round 2", 2, None)]
    assert all(low < high for low, high in itertools.pairwise([0, *V1_RANGES.sxy]))
