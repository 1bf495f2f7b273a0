"""Results of the longer experiments: read, summed up over seeds, and drawn.

Each file in assets/results/experiments holds one experiment: its arms, and for every arm and seed
what was measured. `make experiments` writes it. Arms with the same seed saw the same scenes in the
same order, so that they are compared in pairs; `support.verdicts` judges what is claimed of them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlseg.book import CYCLE, INK, MARKERS, find_root

RADIUS = 4.5  # of a drawn point
LIVE = "assets/results/live_runs.json"

# An arm, or two of them for the first minus the second.
Arm = str | Sequence[str]


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest value over the seeds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Paired:
    """Differences of two arms, seed by seed.

    differences: the first minus the second, one for each seed that both have. margin: how much may
    be lost where the claim is that something is kept; 0 where it is that something is gained.
    """

    differences: tuple[float, ...]
    margin: float = 0.0

    @property
    def spread(self) -> Spread:
        """Median and range of the differences."""
        return spread(self.differences)

    @property
    def agree(self) -> int:
        """How many seeds have a difference above minus the margin."""
        return sum(one > -self.margin for one in self.differences)


@dataclass(frozen=True)
class Results:
    """One experiment, as its file holds it; see `load`."""

    content: dict

    @property
    def arms(self) -> list[str]:
        """Names of the arms, in the order of the experiment."""
        return list(self.content["arms"])

    def by_seed(self, arm: Arm, measure: str) -> dict[int, float]:
        """What was measured on `arm`, by seed, rising; or the difference of two arms.

        measure: a key of a run, with "/" before one of its parts: "mean_iou", "iou/ring",
        "trimap_iou/2", "letter_accuracy/50-65". A share without any pixel is NaN.
        Raises ValueError for an arm or a measure that is not there.
        """
        if not isinstance(arm, str):
            first, second = (self.by_seed(one, measure) for one in arm)
            return {seed: first[seed] - second[seed] for seed in first if seed in second}
        if arm not in self.arms:
            raise ValueError(f"there is no arm {arm!r}; there are {', '.join(self.arms)}")
        runs = [run for run in self.content["runs"] if run["arm"] == arm]
        return {run["seed"]: _value(run, measure) for run in sorted(runs, key=lambda r: r["seed"])}

    def median_and_range(self, arm: Arm, measure: str) -> Spread:
        """Over the seeds; arguments as for `by_seed`."""
        return spread(self.by_seed(arm, measure).values())

    def curve(self, arm: Arm, measure: str) -> dict[str, Spread]:
        """The same for each part of a measure that has parts, such as "trimap_iou"."""
        parts = self.content["runs"][0][measure]
        return {part: self.median_and_range(arm, f"{measure}/{part}") for part in parts}

    def compare(self, first: Arm, second: Arm, measure: str, margin: float = 0.0) -> Paired:
        """`first` minus `second`, seed by seed; either may be a difference itself."""
        one, other = self.by_seed(first, measure), self.by_seed(second, measure)
        return Paired(tuple(one[seed] - other[seed] for seed in one if seed in other), margin)


def load(name: str, folder: Path | None = None) -> Results:
    """The experiment `name`, from assets/results/experiments or another folder.

    Raises ValueError for a name that has no file, with those that have one.
    """
    folder = folder or find_root() / "assets/results/experiments"
    path = folder / f"{name}.json"
    if not path.exists():
        there = ", ".join(sorted(other.stem for other in folder.glob("*.json"))) or "none"
        raise ValueError(
            f"there are no results of {name!r} in {folder}, but of: {there}; "
            f"python assets/experiments/run.py {name} makes them"
        )
    return Results(json.loads(path.read_text(encoding="utf-8")))


def live_runs(chapter: str) -> dict[str, Spread]:
    """What `chapter` trains on its page, with five seeds: a measure by its name.

    assets/live_runs.py made it, by the chapter's own cells.
    """
    content = json.loads((find_root() / LIVE).read_text(encoding="utf-8"))
    return {name: spread(values) for name, values in content[chapter].items()}


def spread(values) -> Spread:
    """Median, smallest and largest of some numbers; NaN if there are none."""
    numbers = np.array(list(values), float)
    if not len(numbers):
        return Spread(np.nan, np.nan, np.nan)
    return Spread(float(np.median(numbers)), float(numbers.min()), float(numbers.max()))


def points_per_seed(
    axes,
    results: Results,
    measure: str,
    arms: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    title: str = "",
) -> str:
    """Draw one point per seed and a bar at their median, one row per arm from above.

    arms: all of them if None; labels: what to call them. Returns: the medians and ranges in words,
    for the alt text.
    """
    arms = list(arms or results.arms)
    labels = list(labels or arms)
    for row, arm in enumerate(arms):
        values = list(results.by_seed(arm, measure).values())
        style = {"color": CYCLE[row % len(CYCLE)], "marker": MARKERS[row % len(MARKERS)]}
        axes.plot(
            values, [row] * len(values), linestyle="none", markersize=RADIUS, alpha=0.7, **style
        )
        middle = spread(values).median
        axes.plot([middle, middle], [row - 0.3, row + 0.3], color=INK, marker="", linestyle="-")
    axes.set(yticks=range(len(arms)), title=title, ylim=(len(arms) - 0.5, -0.5))
    axes.set_yticklabels(labels)
    pairs = zip(labels, arms, strict=True)
    return "; ".join(f"{label}: {results.median_and_range(arm, measure)}" for label, arm in pairs)


def curves(
    axes, results: Results, measure: str, arms: Sequence[str] | None = None, places=None
) -> None:
    """Draw medians of a measure with parts as lines, and ranges as bands, one line per arm.

    places: where each part lies on the axis; 0, 1, 2, ... with the parts' names if None.
    """
    for number, arm in enumerate(arms or results.arms):
        curve = results.curve(arm, measure)
        x = list(range(len(curve))) if places is None else list(places)
        colour = CYCLE[number % len(CYCLE)]
        axes.plot(x, [one.median for one in curve.values()], color=colour, label=arm)
        low, high = ([getattr(one, end) for one in curve.values()] for end in ("low", "high"))
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        if places is None:
            axes.set_xticks(x, list(curve))
    axes.legend()


def _value(run: dict, measure: str) -> float:
    value = run
    for key in measure.split("/"):
        if not isinstance(value, dict) or key not in value:
            known = ", ".join(value) if isinstance(value, dict) else "no parts"
            raise ValueError(f"{measure!r} was not measured: at {key!r} there are {known}")
        value = value[key]
    return np.nan if value is None else float(value)
