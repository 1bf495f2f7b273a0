"""The drawings of gridding: what a stack touches, how often, and what the tests say to it."""

from collections.abc import Mapping, Sequence
from math import gcd

import numpy as np

from dlseg.arithmetic import coverage, hdc_distances
from dlseg.book import BLUE, INK, PAPER, RED, SKY, Picture, from_figure, from_svg, new_figure, svg
from support import results
from support.maps import coloured

SIDE = 258  # of the square, in pixels of the drawing
WIDE, HIGH = 780, 96  # of the bars


def stencil(rates: Sequence[int]) -> np.ndarray:
    """The pixels that one unit reads through 3x3 layers: the more paths, the darker; holes white.

    Returns: uint8 (R, R, 3), one pixel per pixel of the field.
    """
    axis = _strength(coverage(rates))
    shade = coloured(1 - np.outer(axis, axis), 0, 1)  # (R, R, 3)
    shade[np.outer(axis, axis) == 0] = 255
    return shade


def _strength(paths: Sequence[int]) -> np.ndarray:
    """0 for a hole, else 0.4 to 1, growing with the logarithm of the number of paths."""
    counts = np.array(paths, dtype=float)
    logs = np.log(np.maximum(counts, 1))
    return np.where(counts > 0, 0.4 + 0.6 * (logs + 1e-9) / (logs.max() + 1e-9), 0)


def coverage_picture(rates: Sequence[int], title: str) -> Picture:
    """What one unit reads through 3x3 layers of these rates, and what three tests say to the stack.

    title: a few words for the stack; it is the only thing that tells equal stacks apart.
    """
    paths = coverage(rates)
    size, touched = len(paths), sum(count > 0 for count in paths)
    lines = _findings(rates, size, touched)
    parts = [
        svg.text(10, 18, title, size=14),
        _square(10, 30, paths),
        *(
            svg.text(300, 50 + 26 * row, line, size=13, colour=RED if wrong else INK)
            for row, (line, wrong) in enumerate(lines)
        ),
        _bars(10, 30 + SIDE + 34, paths),
    ]
    alt = f"{title}: " + "; ".join(line for line, _ in lines) + "."
    return from_svg(svg.document(WIDE + 20, 30 + SIDE + 34 + HIGH + 40, parts), alt)


def _findings(rates: Sequence[int], size: int, touched: int) -> list[tuple[str, bool]]:
    """What is found of a stack, line by line, and whether the line holds a wrong verdict."""
    maps, distances, dense = gcd(*rates) ** 2, hdc_distances(rates), touched == size
    published = ("published test: needs two layers", False)
    if len(rates) > 1:
        published = _verdict("published test, M_2 at most 3", distances[1] <= 3, dense)
    return [
        (f"field {size} x {size} pixels, {touched**2} of {size**2} are read", False),
        (f"holes: {size - touched} in a row of {size}", False),
        ("falls apart into 1 map" if maps == 1 else f"falls apart into {maps} maps", False),
        (f"M = {', '.join(map(str, distances))}", False),
        published,
        _verdict("safe test, M_1 = 1", distances[0] == 1, dense),
        _verdict("safe test, rates sorted first", hdc_distances(sorted(rates))[0] == 1, dense),
    ]


def _verdict(test: str, passes: bool, dense: bool) -> tuple[str, bool]:
    verdict = f"{test}: {'passes' if passes else 'fails'}"
    return (verdict, False) if passes == dense else (f"{verdict}, wrongly", True)


def _square(x: float, y: float, paths: Sequence[int]) -> str:
    """Rows times columns: white stripes on blue let through as much as their column, then row."""
    cell, axis = SIDE / len(paths), _strength(paths)
    stripes = []
    for strength in sorted(set(axis)):
        runs = "".join(
            f"M{place * cell:.1f} 0h{cell + 0.1:.1f}v{SIDE}h-{cell + 0.1:.1f}z"
            for place, value in enumerate(axis)
            if value == strength
        )
        stripes.append(f'<path d="{runs}" fill="{PAPER}" fill-opacity="{1 - strength:.2f}"/>')
    return (
        svg.rect(x, y, SIDE, SIDE, fill=BLUE)
        + f'<g id="s" transform="translate({x:g} {y:g})">{"".join(stripes)}</g>'
        + f'<use href="#s" transform="matrix(0 1 1 0 {x - y:g} {y - x:g})"/>'
        + svg.rect(x, y, SIDE, SIDE, stroke=INK)
    )


def _bars(x: float, y: float, paths: Sequence[int]) -> str:
    """Paths to each pixel of the middle row as bars; holes as crosses under the line."""
    cell, most = min(WIDE / len(paths), 24), max(paths)
    left, foot = x + (WIDE - cell * len(paths)) / 2, y + HIGH
    bars = "".join(
        f"M{left + place * cell:.1f} {foot:g}v{-HIGH * count / most:.1f}h{cell:.1f}"
        f"v{HIGH * count / most:.1f}z"
        for place, count in enumerate(paths)
        if count
    )
    arm = min(cell / 2, 4)
    crosses = "".join(
        f"M{left + (place + 0.5) * cell - arm:.1f} {foot + 10 - arm:.1f}l{2 * arm:g} {2 * arm:g}"
        f"m{-2 * arm:g} 0l{2 * arm:g} {-2 * arm:g}"
        for place, count in enumerate(paths)
        if count == 0
    )
    title = f"paths to each pixel of one row, at most {most}; crosses: holes"
    return (
        svg.text(x, y - 8, title, size=12)
        + f'<path d="{bars}" fill="{SKY}" stroke="{BLUE}" stroke-width="0.5"/>'
        + svg.line(left, foot, left + cell * len(paths), foot)
        + f'<path d="{crosses}" stroke="{RED}" stroke-width="1.5" fill="none"/>'
    )


def bars_picture(live: Mapping[str, float], guess: Mapping[str, float] | None) -> Picture:
    """The share of the pixels of bars that is right, by distance, for each stack of `bars.STACKS`.

    live: of the network of the page, rates 2, 2, 2. guess: the reader's own curve.
    """
    runs, told = results.load("bars"), []
    figure, all_axes = new_figure(1, 4, width=9.6, height=2.9)
    for axes, arm in zip(all_axes, runs.arms, strict=True):
        curve = runs.curve(arm, "accuracy")
        x, middles = [int(place) for place in curve], [one.median for one in curve.values()]
        axes.bar(x, middles, color=SKY, width=0.8)
        axes.vlines(x, [c.low for c in curve.values()], [c.high for c in curve.values()], INK)
        ahead = list(runs.content["predicted"][arm]["accuracy"].values())
        axes.plot(x, ahead, "_", color=RED, markersize=9, markeredgewidth=2, label="arithmetic")
        axes.set(title=arm, ylim=(0.4, 1.03), xlabel="pixels away", xticks=range(0, 10, 3))
        told.append(f"{arm}: {', '.join(f'{one:.2f}' for one in middles)}.")
        if arm == "rates 2, 2, 2":
            axes.plot(x, list(live.values()), "o", color=INK, markersize=4, label="trained here")
            if guess:
                places = [int(place) for place in guess]
                axes.plot(places, list(guess.values()), color=INK, linewidth=4, alpha=0.3)
            axes.legend(fontsize=8.5, loc="lower left")
        if axes is not all_axes[0]:
            axes.set_yticklabels([])
    all_axes[0].set_ylabel("share that is right")
    return from_figure(figure, f"Share of right pixels by distance. {' '.join(told)}")
