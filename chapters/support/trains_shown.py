"""Pictures of the scenes of trains: curves against distance, a train and what it sees, maps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from dlseg.arithmetic import Layer
from dlseg.book import (
    BLUE,
    CYCLE,
    FAINT,
    INK,
    ORANGE,
    Picture,
    from_figure,
    from_svg,
    new_figure,
    svg,
)
from dlseg.data import Trains
from support import results
from support.distances import (
    CHANCE,
    NAMES,
    SHOWN,
    SIDE,
    Shares,
    map_path,
    reckoned,
    test_scenes,
)
from support.maps import panels
from support.trains import TRUNK

TRAIN_KEY = [*zip(Trains.classes, Trains.palette.tolist(), strict=False)]
TRAIN_KEY += [("void, 255", Trains.palette[255].tolist())]
ENDS = {int(name.split("-")[0]): name for name in NAMES}  # first pixel of each interval
LEFT, TOP, SCALE, HIGH = 46, 66, 4, 150  # place of the curve in the drawing, sizes of its pixels


def middle(name: str) -> float:
    """The middle of an interval of distances such as "8-15", in pixels."""
    low, high = map(int, name.split("-"))
    return (low + high) / 2


def behind_trunk(*rates: int, kernel_size: int = 3) -> list[Layer]:
    """The trunk with convolutions at these rates behind it, one after the other."""
    return [*TRUNK, *(Layer(kernel_size, rate=rate) for rate in rates)]


@dataclass(frozen=True)
class Panel:
    """One panel of `curves_picture`.

    arms: of the experiment "trains", with the names that readers see. kind: "train" or "house".
    live: what a network trained on the page reached. guess: the reader's own curve.
    """

    title: str
    arms: Mapping[str, str]
    kind: str = "train"
    live: Shares | None = None
    guess: Mapping[str, float] | None = None


def curves_picture(*panels: Panel) -> Picture:
    """Accuracy against distance: dashed what the arithmetic allows, lines what was learned."""
    runs, told = results.load("trains"), []
    figure, all_axes = new_figure(1, len(panels), width=4.6 * len(panels), height=3.9)
    for axes, panel in zip(np.atleast_1d(all_axes), panels, strict=True):
        for number, (arm, words) in enumerate(panel.arms.items()):
            # later ones thinner, since a curve may lie on another
            look = {"color": CYCLE[number % len(CYCLE)], "linewidth": max(5 - 1.5 * number, 2)}
            told.append(_arm(axes, runs, panel.kind, arm, words, look))
        axes.plot([], [], color=INK, linestyle="--", marker="", linewidth=1, label="arithmetic")
        _add_own(axes, panel)
        what = "engine" if panel.kind == "train" else "sun or moon"
        axes.set(title=panel.title, xlabel=f"distance from the {what}, pixels", ylim=(0.4, 1.04))
        axes.legend(fontsize=8.5, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncol=3)
    np.atleast_1d(all_axes)[0].set_ylabel("share that is right")
    return from_figure(figure, f"Share that is right, by distance. {' '.join(told)}")


def _add_own(axes, panel: Panel) -> None:
    """Draw the points of the network of the page, and the reader's guess."""
    if panel.live is not None:
        x, values = [*map(middle, NAMES)], list(panel.live.by_distance().values())
        axes.plot(x, values, "o", color=INK, markersize=4, label="trained here")
    if panel.guess:
        x = [middle(name) for name in panel.guess]
        values = list(panel.guess.values())
        axes.plot(x, values, color=INK, marker="", linewidth=4, alpha=0.3, label="your guess")


def _arm(axes, runs: results.Results, kind: str, arm: str, words: str, look: dict) -> str:
    """Draw one arm's curves; returns them in words."""
    measure, x = f"{kind}_accuracy", [middle(name) for name in NAMES]
    ahead = list(runs.content["predicted"][arm][measure].values())
    curve = runs.curve(arm, measure)
    axes.plot(x, [one.median for one in curve.values()], "-", marker="", label=words, **look)
    low, high = ([getattr(one, end) for one in curve.values()] for end in ("low", "high"))
    axes.fill_between(x, low, high, color=look["color"], alpha=0.2, linewidth=0)
    darker = 0.5 * np.array(to_rgb(look["color"]))
    axes.plot(x, ahead, "--", color=darker, marker="", linewidth=1.2)
    return f"{words}: " + ", ".join(f"{one.median:.2f}" for one in curve.values()) + "."


def reach_picture(stacks: Iterable[Iterable[Layer]], title: str) -> Picture:
    """A train, coloured where its pixels see the engine, and the accuracy that this allows.

    stacks: the layers of each parallel branch, from the picture to the scores.
    """
    shares = reckoned(*stacks, width=1)
    shares = shares[~np.isnan(shares)]  # by distance; the longest trains end here
    wide = SCALE * len(shares)
    parts = [svg.text(LEFT, 20, title, size=14), svg.text(LEFT, 40, "engine", size=11)]
    parts.append(svg.text(LEFT + wide, 40, "blue: sees its engine", size=11, anchor="end"))
    blend = (shares - CHANCE) / (1 - CHANCE)
    white, blue = np.array([240, 240, 240]), np.array([0, 114, 178])
    bar = (white + (blue - white) * blend[:, None]).astype(np.uint8)[None]  # (1, n, 3)
    parts += [
        svg.pixels(LEFT, 46, wide, 14, bar),
        svg.rect(LEFT, 46, 4 * SCALE, 14, fill=ORANGE, stroke=INK),
        svg.rect(LEFT, 46, wide, 14, stroke=INK),
    ]
    parts += _axes(wide)
    points = [(LEFT + SCALE * (d + 0.5), _height(share)) for d, share in enumerate(shares)]
    parts.append(svg.polyline(points, colour=BLUE, thick=2.5))
    told = [f"{low} to {high} px" for low, high in _runs(shares > 0.95)]
    alt = (
        f"{title}. At least 0.95 of the pixels are right at {' and '.join(told) or 'no distance'}."
    )
    return from_svg(svg.document(LEFT + wide + 20, TOP + HIGH + 62, parts), alt)


def _height(share: float) -> float:
    return TOP + HIGH * (1 - (share - 0.4) / 0.6) + 16


def _axes(wide: float) -> list[str]:
    parts = []
    for share, words in ((1.0, "1"), (0.75, "0.75"), (CHANCE, "0.5")):
        y = _height(share)
        parts += [
            svg.line(LEFT, y, LEFT + wide, y, colour=FAINT),
            svg.text(LEFT - 6, y + 4, words, size=11, anchor="end"),
        ]
    bottom = _height(0.4)
    parts.append(svg.line(LEFT, bottom, LEFT + wide, bottom))
    for distance in range(0, 121, 20):
        parts.append(
            svg.text(LEFT + SCALE * distance, bottom + 15, str(distance), size=11, anchor="middle")
        )
    words = "distance from the engine, pixels; height: share that is right, a coin 0.5"
    return [*parts, svg.text(LEFT + wide / 2, bottom + 33, words, size=12, anchor="middle")]


def _runs(true: np.ndarray) -> list[tuple[int, int]]:
    """First and last place of each run of True."""
    edges = np.flatnonzero(np.diff(np.r_[0, true.astype(int), 0]))
    return [(int(first), int(last) - 1) for first, last in edges.reshape(-1, 2)]


def maps_picture(arms: Mapping[str, str], index: int = 0) -> Picture:
    """One of the scenes SHOWN, its labels, and what some heads made of it in the experiment."""
    scene = test_scenes()[SHOWN[index]]
    images, titles = [scene.image, Trains.palette[scene.label]], ["the scene", "its labels"]
    place, wrong = slice(index * SIDE, (index + 1) * SIDE), []
    for arm, words in arms.items():
        found = np.array(Image.open(map_path(arm)))[:, place]
        images.append(Trains.palette[found])
        titles.append(words)
        trains = scene.train > 0
        known = trains & (scene.label < 255)
        wrong.append(f"{words}: {(found != scene.label)[known].mean():.0%} of the trains' pixels")
    return panels(
        images, titles, f"A scene, labels and maps. Wrong by {'; '.join(wrong)}.", TRAIN_KEY
    )
