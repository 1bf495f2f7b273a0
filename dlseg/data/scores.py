"""What only the teaching data can tell: how well a network does by size, and by distance to a cue.

A plate is A or B by the mark at its centre, a lamp by the one lit lamp of its picture. How often
the letter is right, against how far away the cue is, shows how far a network looks.
"""

from collections.abc import Sequence

import numpy as np

from dlseg.data.drawing import DOTS, LAMP_A, LAMP_B, PLATE_A, PLATE_B, STRIPES, Scene

PAIRS = ((PLATE_A, PLATE_B), (LAMP_A, LAMP_B))


def cue_distance(scene: Scene) -> np.ndarray:
    """Pixels from each pixel of a plate or an unlit lamp to what tells its letter; else NaN.

    Of a plate: to its centre, pixel by pixel. Of an unlit lamp: from its centre to the lit one's,
    the same for all its pixels.
    Returns: float32 (S, S).
    """
    centres = np.array([(np.nan, np.nan), *((thing.x, thing.y) for thing in scene.things)])
    x, y = centres[scene.owner].transpose(2, 0, 1)  # (S, S) each
    rows, columns = np.indices(scene.label.shape) + 0.5
    distance = np.hypot(columns - x, rows - y)
    lamp = scene.lamp_distance
    distance = np.where(lamp > 0, lamp, distance)
    known = np.isin(scene.label, PAIRS[0]) | (lamp > 0)
    return np.where(known, distance, np.nan).astype(np.float32)


def letter_accuracy(
    scenes: Sequence[Scene], predictions: Sequence[np.ndarray], edges: Sequence[float]
) -> np.ndarray:
    """How often a plate or lamp that was seen as one got the right letter, by distance to the cue.

    predictions: integers (S, S), one for each scene. edges: n + 1 distances in pixels, rising.
    Returns: float64 (n,), shares in [edges[i], edges[i + 1]); 0.5 is a coin toss, NaN no pixel.
    """
    right, seen = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for scene, predicted in zip(scenes, predictions, strict=True):
        distance, label = cue_distance(scene), scene.label
        for pair in PAIRS:
            chosen = np.isin(label, pair) & np.isin(predicted, pair) & ~np.isnan(distance)
            seen += np.histogram(distance[chosen], edges)[0]
            right += np.histogram(distance[chosen & (label == predicted)], edges)[0]
    return _share(right, seen)


def found_by_radius(
    scenes: Sequence[Scene], predictions: Sequence[np.ndarray], edges: Sequence[float]
) -> np.ndarray:
    """Share of the pixels of stripes and dots that are labelled right, by the radius of the thing.

    Arguments and result as those of `letter_accuracy`, with radii for distances.
    """
    right, there = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for scene, predicted in zip(scenes, predictions, strict=True):
        radius, chosen = scene.radius, np.isin(scene.label, (STRIPES, DOTS))
        there += np.histogram(radius[chosen], edges)[0]
        right += np.histogram(radius[chosen & (scene.label == predicted)], edges)[0]
    return _share(right, there)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
