"""The one rule by which the claims of assets/claims.toml are judged, all of a chapter together."""

import tomllib
from dataclasses import dataclass
from functools import cache
from math import comb

from dlseg.book import find_root
from support.results import Arm, Paired, load

FILE = "assets/claims.toml"
SEEDS, LEVEL, MOST = 10, 0.05, 20
REPRODUCES, DOES_NOT = "reproduces", "does not show"
TOO_FEW = "no verdict"
RULE = f"""\
A claim is tried with {SEEDS} seeds. Were its two arms equally good, each seed would be a coin; its
chance is that of coins to agree as often as the seeds did. (That something is kept means: a seed
loses no more than the margin.) All claims of a chapter, {MOST} at most, are one family. Holm's
correction raises their chances, so that even one false "{REPRODUCES}" among them has a chance of
{LEVEL} at most. A claim "{REPRODUCES}" where its corrected chance is {LEVEL} or less; otherwise it
"{DOES_NOT}" at this scale. With fewer seeds only effect and range are shown."""


@dataclass(frozen=True)
class Claim:
    """The first arm has more of `measure` than the second, or loses no more than `margin`.

    experiment: the name of its file of results. An arm may be a pair of arms, which means the first
    minus the second.
    """

    experiment: str
    claim: str
    first: Arm
    second: Arm
    measure: str = "mean_iou"
    margin: float = 0.0

    def __str__(self) -> str:
        return f"{self.claim} (within {self.margin})" if self.margin else self.claim


@dataclass(frozen=True)
class Judged:
    """A claim, the differences of its arms, and two chances: alone, and within its family."""

    claim: Claim
    paired: Paired
    chance: float
    corrected: float

    @property
    def verdict(self) -> str:
        """What `RULE` says."""
        if len(self.paired.differences) < SEEDS:
            return TOO_FEW
        return REPRODUCES if self.corrected <= LEVEL else DOES_NOT

    def __str__(self) -> str:
        seeds = f"{self.paired.spread}, {self.paired.agree} of {len(self.paired.differences)} seeds"
        if self.verdict == TOO_FEW:
            return seeds
        return f"{seeds}, chance {self.corrected:.3f}: {self.verdict}"


def chance(agree: int, seeds: int) -> float:
    """The chance of a fair coin, thrown `seeds` times, to show heads `agree` times or more."""
    return sum(comb(seeds, count) for count in range(agree, seeds + 1)) / 2**seeds


def holm(chances: list[float]) -> list[float]:
    """Holm's correction (1979): the smallest of m chances times m, the next times m - 1, ...

    Each is at least as large as the one before it, and 1 at most; in the order of the arguments.
    """
    order = sorted(range(len(chances)), key=chances.__getitem__)
    corrected, before = [0.0] * len(chances), 0.0
    for place, which in enumerate(order):
        before = max(before, min(1.0, (len(chances) - place) * chances[which]))
        corrected[which] = before
    return corrected


@cache
def families() -> dict[str, list[Claim]]:
    """The claims of each chapter, "08": those of assets/claims.toml."""
    tables = tomllib.loads((find_root() / FILE).read_text(encoding="utf-8"))
    return {
        chapter: [_claim(name, entry) for name, entries in of.items() for entry in entries]
        for chapter, of in tables.items()
    }


def _claim(experiment: str, entry: dict) -> Claim:
    pairs = {side: tuple(entry[side]) for side in ("first", "second") if type(entry[side]) is list}
    return Claim(experiment, **entry | pairs)


def judge(chapter: str) -> list[Judged]:
    """All claims of a chapter, "08"; those with enough seeds are judged together."""
    claims = families()[chapter]
    paired = [
        load(one.experiment).compare(one.first, one.second, one.measure, one.margin)
        for one in claims
    ]
    chances = [chance(one.agree, len(one.differences)) for one in paired]
    family = [place for place, one in enumerate(paired) if len(one.differences) >= SEEDS]
    corrected = dict(zip(family, holm([chances[place] for place in family]), strict=True))
    return [
        Judged(claim, paired[place], chances[place], corrected.get(place, 1.0))
        for place, claim in enumerate(claims)
    ]


def judged(experiment: str, chapter: str | None = None) -> list[Judged]:
    """The claims of one experiment, each within the family of its chapter; of all, or of one."""
    chapters = [
        name
        for name, claims in families().items()
        if chapter in (None, name) and any(one.experiment == experiment for one in claims)
    ]
    all_of = [one for name in chapters for one in judge(name)]
    return [one for one in all_of if one.claim.experiment == experiment]


def show_claims(experiment: str, chapter: str | None = None) -> None:
    """Print them: what is claimed, of which measure, what came of it."""
    for one in judged(experiment, chapter):
        print(f"* {one.claim} [{one.claim.measure}]\n    {one}")
