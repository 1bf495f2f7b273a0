"""How many images a second the metrics count, beside loops over the pixels and scikit-learn.

    python benchmarks/metrics.py --size 512 --repeats 5

21 classes, 5 % void, one thread. Ours and the others run in turns on the same images, so that
whatever else the machine does meets all of them; the ratio is that of the median times. The counts
are compared first: all must be equal.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from sklearn.metrics import confusion_matrix

from dlseg.metrics import BoundaryF, ConfusionMatrix, ImageScores, TrimapCurve

CLASSES, VOID = 21, 255
WIDTHS = (1, 2, 3, 5, 10, 20, 40)


def ours(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """The confusion matrix of `dlseg.metrics`."""
    matrix = ConfusionMatrix(CLASSES)
    matrix.update(labels, predictions)
    return matrix.matrix.numpy()


def by_pixel(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """The definition: one pixel after the other."""
    counts = np.zeros((CLASSES, CLASSES), dtype=np.int64)
    for place in np.ndindex(labels.shape):
        if labels[place] != VOID:
            counts[labels[place], predictions[place]] += 1
    return counts


def by_number(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """The same loop over plain numbers in lists, the fastest that Python has."""
    counts = [[0] * CLASSES for _ in range(CLASSES)]
    pairs = zip(labels.ravel().tolist(), predictions.ravel().tolist(), strict=True)
    for true, predicted in pairs:
        if true != VOID:
            counts[true][predicted] += 1
    return np.array(counts)


def scikit_learn(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """The peer; void has to be taken out before."""
    kept = labels != VOID
    return confusion_matrix(labels[kept], predictions[kept], labels=range(CLASSES))


def trimap(labels: np.ndarray, predictions: np.ndarray) -> None:
    """The same with the bands of seven widths around the boundaries, up to 40 pixels."""
    TrimapCurve(WIDTHS, CLASSES).update(labels, predictions)


def each_image(labels: np.ndarray, predictions: np.ndarray) -> None:
    """The same counts, kept for each image too."""
    ImageScores(CLASSES).update(labels, predictions)


def boundaries(labels: np.ndarray, predictions: np.ndarray) -> None:
    """The F-score of boundaries of all classes; here every pixel is on one, the worst case."""
    BoundaryF(CLASSES).update(labels, predictions)


def picture(rng: np.random.Generator, size: int) -> np.ndarray:
    """Labels and predictions of one image, uint8 (2, size, size)."""
    both = rng.integers(0, CLASSES, (2, size, size), np.uint8)
    both[0, rng.random((size, size)) < 0.05] = VOID
    return both


def seconds(call: Callable, labels: np.ndarray, predictions: np.ndarray) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    call(labels, predictions)
    return time.perf_counter() - start


def main() -> None:
    """Read the arguments and print images a second of each, and how many times as long it takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="side of the square image, in pixels")
    parser.add_argument("--repeats", type=int, default=9, help="images, each counted by all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    calls = (ours, by_pixel, by_number, scikit_learn, trimap, each_image, boundaries)
    times = []
    for _ in range(arguments.repeats + 1):
        image = picture(rng, arguments.size)
        for peer in calls[1:4]:
            np.testing.assert_array_equal(ours(*image), peer(*image))
        times.append([seconds(call, *image) for call in calls])
    middle = [median(column) for column in zip(*times[1:], strict=True)]  # one round to warm up
    print(f"{arguments.size}x{arguments.size} pixels, {CLASSES} classes, one thread")
    for call, taken in zip(calls, middle, strict=True):
        print(
            f"{call.__name__:13} {1 / taken:8.1f} images/s   time / ours = {taken / middle[0]:.1f}"
        )


if __name__ == "__main__":
    main()
