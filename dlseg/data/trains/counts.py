"""What can be counted of scenes of trains: their data card."""

import numpy as np

from dlseg.checks import check_integer
from dlseg.data.trains.datasets import Trains

DISTANCES = np.arange(0, 121, 24)  # pixels


def train_card(trains: Trains, count: int = 500) -> str:
    """The data card of the first `count` scenes, or of all if there are fewer: a table to print.

    For each class its share of all pixels, and of scenes that show it; then how many pixels of a
    train lie how far from their engine.
    Raises: ValueError for a count below 1.
    """
    count = min(check_integer("count", count, 1), len(trains))
    scenes = [trains.scene(i) for i in range(count)]
    labels = np.stack([scene.label for scene in scenes])  # (N, S, S)
    lines = [f"{count} scenes of {trains.size}x{trains.size} px, {trains.split} split", ""]
    lines.append("class         pixels  scenes")
    names = [*enumerate(trains.classes), (trains.ignore_index, "255 (void)")]
    for label, name in names:
        here = labels == label
        lines.append(f"{name:<12} {here.mean():7.1%} {here.any((1, 2)).mean():7.0%}")
    far = np.concatenate([one.engine_distance[one.train > 0] for one in scenes])
    shares = np.histogram(far[~np.isnan(far)], DISTANCES)[0]
    lines += ["", "distance from the engine, px; share of the pixels of trains"]
    for low, share in zip(DISTANCES[:-1], shares / max(1, shares.sum()), strict=True):
        lines.append(f"{f'{low}-{low + DISTANCES[1] - 1}':>12} {share:7.1%}")
    return "\n".join(lines)
