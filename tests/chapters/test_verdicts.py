"""The rule of verdicts: its two formulas by other ways, its claims, and its page."""

import itertools
import sys

import numpy as np
import pytest

from dlseg.book import find_root
from support import results, verdicts
from support.verdicts import Claim, Judged, chance, holm

sys.path.insert(0, str(find_root() / "assets/experiments"))
import definitions
import streets


@pytest.mark.parametrize("seeds", [1, 5, 10])
def test_chance_by_throwing_all_coins(seeds):
    heads = np.array([sum(coins) for coins in itertools.product((0, 1), repeat=seeds)])
    for agree in range(seeds + 1):
        assert chance(agree, seeds) == (heads >= agree).mean()


@pytest.mark.parametrize("seed", range(20))
def test_holm_by_closed_testing(seed):
    """A claim holds where every set of claims that has it would be rejected by Bonferroni."""
    chances = np.random.default_rng(seed).choice([0.001, 0.004, 0.01, 0.011, 0.05, 0.4, 1], 5)
    corrected = holm(chances.tolist())
    for claim in range(5):
        others = [one for one in range(5) if one != claim]
        sets = [(claim, *some) for n in range(5) for some in itertools.combinations(others, n)]
        worst = max(min(1, len(one) * chances[list(one)].min()) for one in sets)
        assert corrected[claim] == pytest.approx(worst, abs=1e-12)


def test_luck_alone_seldom_reproduces_anything():
    """Of families of coins the share in which any claim "reproduces" is at most the level."""
    rng = np.random.default_rng(0)
    for claims in (1, 8, verdicts.MOST):
        heads = rng.binomial(10, 0.5, (4000, claims))
        wrong = [min(holm([chance(int(one), 10) for one in family])) for family in heads]
        assert np.mean(np.array(wrong) <= verdicts.LEVEL) <= verdicts.LEVEL


@pytest.mark.parametrize(
    ("agree", "seeds", "family", "verdict"),
    [
        (10, 10, 20, verdicts.REPRODUCES),  # 20 / 1024
        (9, 10, 4, verdicts.REPRODUCES),  # 4 times 11 / 1024
        (9, 10, 5, verdicts.DOES_NOT),
        (0, 10, 1, verdicts.DOES_NOT),
        (9, 9, 1, verdicts.TOO_FEW),
    ],
)
def test_verdict(agree, seeds, family, verdict):
    differences = (0.1,) * agree + (-0.1,) * (seeds - agree)
    one = chance(agree, seeds)
    judged = Judged(Claim("toy", "a > b", "a", "b"), results.Paired(differences), one, one * family)
    assert judged.verdict == verdict
    assert f"{agree} of {seeds} seeds" in str(judged)


def test_a_margin_forgives_a_small_loss():
    kept = results.Paired((-0.01,) * 10, 0.02)
    assert (kept.agree, results.Paired(kept.differences).agree) == (10, 0)
    assert results.Paired((0.0, float("nan"))).agree == 0


SEEDS = {one.name: one.seeds for one in definitions.EXPERIMENTS}
SEEDS |= dict.fromkeys(("streets", "swap_streets"), len(streets.SEEDS))
CLAIMS = [(chapter, claim) for chapter, some in verdicts.families().items() for claim in some]


@pytest.mark.parametrize(("chapter", "claim"), CLAIMS, ids=str)
def test_a_claim_is_of_arms_that_are_there(chapter, claim):
    """And have all the seeds that its experiment has."""
    runs = results.load(claim.experiment)
    paired = runs.compare(claim.first, claim.second, claim.measure, claim.margin)
    assert len(paired.differences) == SEEDS.get(claim.experiment, verdicts.SEEDS)
    assert not np.isnan(paired.differences).any()


def test_families():
    families = verdicts.families()
    assert list(families) == sorted(families) and len(set(CLAIMS)) == len(CLAIMS)
    for chapter, claims in families.items():
        assert len(claims) <= verdicts.MOST
        assert [one.claim for one in verdicts.judge(chapter)] == claims
    judged = {one.experiment for _, one in CLAIMS}
    assert {one.name for one in definitions.EXPERIMENTS} <= judged


def test_show_claims(capsys):
    verdicts.show_claims("v2-schedule")
    (one,) = verdicts.judged("v2-schedule")
    assert capsys.readouterr().out == f"* poly raises mean IoU [mean_iou]\n    {one}\n"
    assert verdicts.judged("trains", "09") == [
        one for one in verdicts.judge("09") if one.claim.experiment == "trains"
    ]
