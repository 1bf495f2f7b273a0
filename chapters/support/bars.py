"""Bars one pixel of which tells their class, and a stack of three layers that looks for it.

Each is 3 pixels high and 8 to 30 long, and grey, but for one column at one end: red makes it a bar
of class A, blue one of B. All maps have the size of the picture, so that a stack sees exactly the
columns that its rates step on.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from dlseg.arithmetic import coverage
from dlseg.checks import check_integer
from dlseg.data import MEAN, STD, to_tensors
from dlseg.training import Recipe

SIDE, LANES, HIGH, LENGTHS = 65, 8, 3, (8, 31)  # pixels
CLASSES = ("background", "bar A", "bar B")
COLOURS = ((1.0, 0.25, 0.1), (0.1, 0.45, 1.0))  # of the column that tells, in [0, 1]
PALETTE = np.array([(0, 0, 0), (255, 140, 0), (141, 168, 255)], np.uint8)
KEY = [*zip(CLASSES, PALETTE.tolist(), strict=True)]
CHANNELS = 16
FIRST = {"train": 0, "val": 2**30, "test": 2**31}  # picture of each split
DISTANCES = range(10)  # pixels along the bar, from the column that tells
STACKS = ((1, 1, 1), (2, 2, 2), (1, 2, 3), (1, 2, 5))  # rates, of the experiment


class Bars:
    """The first `count` pictures of a split; bars[i] is (image, label), as in `dlseg.data`."""

    num_classes, ignore_index, classes = len(CLASSES), 255, CLASSES

    def __init__(self, count: int, split: str = "train"):
        check_integer("count", count, 1)
        self.drawn = [draw(FIRST[split] + index) for index in range(count)]

    def __len__(self) -> int:
        return len(self.drawn)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        image, label, _ = self.drawn[i]
        return image.copy(), label.copy()


def draw(index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture number `index`: uint8 (65, 65, 3), labels, uint8 (65, 65), and each pixel's distance.

    The distance counts columns, from 0; it is -1 off the bars.
    """
    rng = np.random.default_rng([4, index])
    image = np.broadcast_to(rng.uniform(0.1, 0.4, 3), (SIDE, SIDE, 3)).copy()
    label, distance = np.zeros((SIDE, SIDE), np.uint8), np.full((SIDE, SIDE), -1)
    for lane in range(LANES):
        length, letter = int(rng.integers(*LENGTHS)), int(rng.integers(2))
        left, top = int(rng.integers(SIDE - length + 1)), 8 * lane + int(rng.integers(6))
        bar = slice(top, top + HIGH), slice(left, left + length)
        tells = left + length - 1 if rng.integers(2) else left
        image[bar] = rng.uniform(0.65, 0.9)
        image[bar[0], tells] = COLOURS[letter]
        label[bar] = 1 + letter
        distance[bar] = np.abs(np.arange(left, left + length) - tells)
    noisy = image + rng.normal(0, 0.04, image.shape)
    return np.uint8(np.clip(noisy, 0, 1) * 255 + 0.5), label, distance


def stack(rates: Sequence[int]) -> nn.Sequential:
    """Three 3x3 convolutions at these rates, between two 1x1: (B, 3, H, W) to (B, 3, H, W)."""
    parts: list[nn.Module] = [nn.Conv2d(3, CHANNELS, 1, bias=False)]
    for rate in rates:
        parts += [nn.BatchNorm2d(CHANNELS), nn.ReLU(inplace=True)]
        parts.append(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=rate, dilation=rate, bias=False))
    parts += [nn.BatchNorm2d(CHANNELS), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts, nn.Conv2d(CHANNELS, len(CLASSES), 1))


def recipe(seed: int, iterations: int = 1000) -> Recipe:
    """How a stack learns; the seed is that of the order of the pictures."""
    return Recipe(
        iterations=iterations,
        batch_size=8,
        optimiser="adamw",
        learning_rate=0.008,
        crop_size=SIDE,
        flip=False,
        seed=seed,
    )


def predicted(rates: Sequence[int]) -> dict[str, float]:
    """The share that is right at each distance: 1 where a path leads there, else a coin's 0.5.

    Of a bar that goes on to both sides of the pixel; the paths are those of chapter 04.
    """
    paths = coverage(rates)
    middle = len(paths) // 2
    seen = [distance <= middle and paths[middle + distance] > 0 for distance in DISTANCES]
    return {str(d): 1.0 if sees else 0.5 for d, sees in zip(DISTANCES, seen, strict=True)}


def measured(network: nn.Module, pictures: Bars) -> dict[str, float]:
    """The share of pixels at which the right one of A and B is likelier, by distance.

    The mean of A and of B, so that whoever always says the same is right half of the time.
    """
    right, total = np.zeros((2, len(DISTANCES))), np.zeros((2, len(DISTANCES)))
    with torch.no_grad():
        for image, label, distance in pictures.drawn:
            x = to_tensors(image, label, MEAN, STD)[0][None]  # (1, 3, 65, 65)
            _, a, b = network(x)[0].numpy()
            for letter, scores in enumerate((a - b, b - a)):
                here = (label == 1 + letter) & (distance < len(DISTANCES))
                right[letter] += np.bincount(distance[here], scores[here] > 0, len(DISTANCES))
                total[letter] += np.bincount(distance[here], minlength=len(DISTANCES))
    return dict(zip(map(str, DISTANCES), (right / total).mean(0).tolist(), strict=True))
