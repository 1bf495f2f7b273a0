"""What came of the swaps: a table of both worlds, and accuracy against distance."""

from collections.abc import Sequence
from pathlib import Path

from dlseg.book import CYCLE, INK, MARKERS, Picture, from_figure, new_figure
from support.distances import NAMES
from support.results import Results, load
from support.trains_shown import middle


def swap_table(folder: Path | None = None) -> str:
    """Per way: what it costs, and what it reached on trains and on streets, median and range.

    folder: of the two files of results, by default where the experiment keeps them.
    """
    trains, streets = load("swap", folder), load("swap_streets", folder)
    heads = ("", "10^6 multiply-adds", "ms", "kB kept", "trains: right", "mean IoU", "streets: IoU")
    rows = [heads]
    for arm in trains.arms:
        rows.append((arm, *_costs(trains, arm), *_reached(trains, streets, arm)))
    widths = [max(len(row[place]) for row in rows) for place in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _costs(trains: Results, arm: str) -> tuple[str, ...]:
    """Multiply-adds, milliseconds and bytes of one scene of trains."""
    measures = (("multiply_adds", 1e6, ".1f"), ("seconds_per_image", 1e-3, ".1f"))
    measures += (("kept_bytes", 1e3, ".0f"),)
    return tuple(
        f"{trains.median_and_range(arm, name).median / unit:{digits}}"
        for name, unit, digits in measures
    )


def _reached(trains: Results, streets: Results, arm: str) -> tuple[str, ...]:
    found = [trains.median_and_range(arm, name) for name in ("train_all", "mean_iou")]
    return tuple(map(str, (*found, streets.median_and_range(arm, "mean_iou"))))


def distance_picture(arms: Sequence[str] | None = None, folder: Path | None = None) -> Picture:
    """The share of the pixels of trains that is right, against the distance to their engine.

    arms: all if None. Lines: medians; bands: ranges; dashed: what the arithmetic allows.
    """
    runs, told = load("swap", folder), []
    figure, axes = new_figure(width=7.2, height=4.2)
    x = [middle(name) for name in NAMES]
    for number, arm in enumerate(arms or runs.arms):
        curve, colour = runs.curve(arm, "train_accuracy"), (*CYCLE, INK)[number]
        look = {"color": colour, "marker": (*MARKERS, "x")[number], "linestyle": "-"}
        axes.plot(x, [one.median for one in curve.values()], label=arm, **look)
        low, high = ([getattr(one, end) for one in curve.values()] for end in ("low", "high"))
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        ahead = list(runs.content["predicted"][arm]["train_accuracy"].values())
        axes.plot(x, ahead, "--", color=colour, marker="", linewidth=1)
        told.append(f"{arm}: {', '.join(f'{one.median:.2f}' for one in curve.values())}")
    axes.set(xlabel="distance from the engine, pixels", ylabel="share that is right")
    axes.set(ylim=(0.4, 1.04))
    axes.legend(fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncol=4)
    return from_figure(figure, f"Share that is right, by distance. {'; '.join(told)}.")
