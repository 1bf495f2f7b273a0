"""Accuracy against distance on the scenes of trains: measured, and predicted from a network.

Only its engine tells whether a train is A or B, and only the sun or moon whether houses are of day
or night. So at a pixel from which a network sees none of that, it is right by chance, half of the
time; at one from which it sees it, it can always be right.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dlseg.arithmetic import Layer, same_padding, taps
from dlseg.book import find_root
from dlseg.data import MEAN, STD, Trains, TrainScene, to_tensors
from dlseg.inspect import gradient_support
from dlseg.layers import upsample
from dlseg.metrics import ConfusionMatrix

WIDTH, BINS = 8, 15  # pixels of distance: 0 to 7, 8 to 15, ..., 112 to 119
NAMES = [f"{WIDTH * k}-{WIDTH * k + WIDTH - 1}" for k in range(BINS)]
CHANCE = 0.5
PAIRS = {"train": ("train A", "train B"), "house": ("house day", "house night")}
SIDE = 129  # pixels
STEP, HALF = 8, 3  # pixels: from one unit to the next, and from an engine's middle to its end
SHOWN = (3, 171)  # test scenes, of long trains, whose maps by each head are kept


def map_path(arm: str) -> Path:
    """The kept map of the scenes SHOWN, side by side, by a head of `support.trains.ARMS`."""
    name = arm.replace(", ", "-").replace(" ", "-")
    return find_root(Path(__file__).parent) / f"assets/results/trains/{name}.png"


class Scores(nn.Module):
    """A network without its last enlargement: images to scores (B, C, h, w)."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.scores(x)  # (B, C, H/8, W/8)


def fields(network: nn.Module) -> Tensor:
    """The pixels that each unit of the map of scores can see, bool (h, w, 129 * 129).

    By gradient support, unit for unit: whatever the network is made of, and for any weights.
    """
    scores = Scores(network)
    with torch.no_grad():
        height, width = scores(torch.zeros(2, 3, SIDE, SIDE)).shape[2:]
    places = [(row, column) for row in range(height) for column in range(width)]
    masks = [gradient_support(scores, SIDE, place).mask.ravel() for place in places]
    return torch.from_numpy(np.stack(masks)).view(height, width, -1)


def seen(field: Tensor, evidence: np.ndarray) -> np.ndarray:
    """The pixels, bool (129, 129), whose scores depend on one of those of `evidence`.

    A pixel takes its scores from the units around it, up to four; those that see any of the
    evidence count one, and whatever is above zero when they are enlarged, sees it too.
    """
    units = (field & torch.from_numpy(evidence.ravel())).any(-1)  # (h, w)
    enlarged = upsample(units[None, None].float(), (SIDE, SIDE), align_corners=True)
    return (enlarged[0, 0] > 0).numpy()


class Shares:
    """The share of pixels that is right at each distance, as the mean of two classes.

    A mean of both, so that whoever always says the same is right half of the time.
    """

    def __init__(self) -> None:
        self.right, self.total = np.zeros((2, BINS)), np.zeros((2, BINS))

    def add(self, distance: np.ndarray, second: np.ndarray, right: np.ndarray) -> None:
        """Count pixels (N,): their distance, whether of the second class, and how likely right."""
        bins = (distance // WIDTH).astype(int)
        for row, of_class in enumerate((~second, second)):
            here = of_class & (bins < BINS)
            self.right[row] += np.bincount(bins[here], right[here], minlength=BINS)
            self.total[row] += np.bincount(bins[here], minlength=BINS)

    def by_distance(self) -> dict[str, float]:
        """The share by the name of the distances; NaN where a class has no pixel."""
        with np.errstate(invalid="ignore"):
            return dict(zip(NAMES, (self.right / self.total).mean(0).tolist(), strict=True))

    @property
    def mean(self) -> float:
        """The share of all distances together."""
        return float((self.right.sum(1) / self.total.sum(1)).mean())


def predicted(field: Tensor, scenes: Sequence[TrainScene]) -> dict[str, Shares]:
    """What a network that sees `field` can reach, by the keys of PAIRS; for houses, a bound."""
    shares = {kind: Shares() for kind in PAIRS}
    for scene in scenes:
        sees = np.zeros((SIDE, SIDE), bool)
        for number in range(1, scene.train.max() + 1):
            of_train = scene.train == number
            sees |= of_train & seen(field, scene.engine & of_train)
        sees |= (scene.train == 0) & seen(field, scene.lamp)
        _add(shares, scene, lambda *_pair, sees=sees: np.where(sees, 1, CHANCE))
    return shares


def measured(network: nn.Module, scenes: Sequence[TrainScene]) -> tuple[dict[str, Shares], float]:
    """Which of two classes a trained network finds likelier, against distance; and its mean IoU.

    Only those two are compared, A with B and day with night: whether a pixel belongs to a train at
    all is another question, and an easy one.
    """
    shares, matrix = {kind: Shares() for kind in PAIRS}, ConfusionMatrix(len(Trains.classes))
    for scene, scores in logits(network, scenes):
        matrix.update(scene.label, scores.argmax(0))

        def right(first: int, second: int, label=scene.label, scores=scores) -> np.ndarray:
            return (scores[second] > scores[first]) == (label == second)

        _add(shares, scene, right)
    return shares, matrix.mean_iou()


def _add(shares: dict[str, Shares], scene: TrainScene, right: Callable) -> None:
    """Count a scene's pixels. right(first, second): how likely each is right, (129, 129)."""
    for kind, distance in (("train", scene.engine_distance), ("house", scene.lamp_distance)):
        first, second = map(Trains.classes.index, PAIRS[kind])
        here = ~np.isnan(distance)
        likely = right(first, second)[here]
        shares[kind].add(distance[here], scene.label[here] == second, likely)


def logits(network: nn.Module, scenes: Sequence[TrainScene]) -> Iterator[tuple]:
    """Each scene with the network's logits, float32 (C, 129, 129)."""
    with torch.no_grad():
        for scene in scenes:
            x = to_tensors(scene.image, scene.label, MEAN, STD)[0][None]  # (1, 3, 129, 129)
            yield scene, network(x)[0].numpy()


# The same prediction by arithmetic alone, along the columns: trains run across, and a unit always
# sees the rows of its own.
@cache
def test_scenes(count: int = 256) -> list[TrainScene]:
    """The scenes on which all is measured."""
    test = Trains(count, "test")
    return [test.scene(i) for i in range(count)]


@cache
def pixels_by_place(scenes: int = 256) -> np.ndarray:
    """How many pixels of A, and of B, lie in column x, their engine's middle in column m.

    scenes: of `test_scenes`. Returns: (2, 129, 129).
    """
    counts = np.zeros((2, SIDE, SIDE), int)
    first = Trains.classes.index(PAIRS["train"][0])
    for scene in test_scenes(scenes):
        for number in range(1, scene.train.max() + 1):
            here = (scene.train == number) & ~np.isnan(scene.engine_distance)
            middle = np.nonzero(scene.engine & (scene.train == number))[1].mean().astype(int)
            letter = scene.label[here].max() - first
            counts[letter, :, middle] += here.sum(0)
    return counts


def columns_seen(*stacks: Iterable[Layer]) -> np.ndarray:
    """Whether the scores of column x depend on column c: bool (129, 129).

    stacks: the layers from the picture to the scores, one list for each parallel branch; each is
    padded so that only its stride makes its map smaller. What a tap reads off a map is no column.
    """
    read = np.zeros((SIDE // STEP + 1, SIDE), bool)
    for stack in map(list, stacks):
        for unit, columns in enumerate(read):
            columns[sorted(_walk_back(stack, unit))] = True
    x = np.arange(SIDE)
    return read[x // STEP] | read[-(-x // STEP)]  # of the units left and right of it


def _walk_back(stack: list[Layer], unit: int) -> set[int]:
    """The columns that one unit of the last map depends on."""
    sizes, places = [SIDE], {unit}
    for layer in stack:
        sizes.append(-(-sizes[-1] // layer.stride))
    for layer, size in zip(reversed(stack), reversed(sizes[:-1]), strict=True):
        padding = same_padding(layer.kernel_size, layer.rate)
        window = layer.kernel_size, layer.stride, padding, layer.rate
        places = {tap for place in places for tap in taps(place, *window) if 0 <= tap < size}
    return places


def reckoned(
    *stacks: Iterable[Layer], width: int = WIDTH, counts: np.ndarray | None = None
) -> np.ndarray:
    """What such a network can reach on trains, by distance in steps of `width` pixels: (n,).

    counts: see `pixels_by_place`. NaN where a letter has no pixel so far from its engine.
    """
    counts = pixels_by_place() if counts is None else counts
    seen_columns = columns_seen(*stacks).astype(int).cumsum(1)
    middles = np.arange(HALF, SIDE - HALF)
    before = np.pad(seen_columns, ((0, 0), (1, 0)))
    sees = before[:, middles + HALF + 1] > before[:, middles - HALF]  # (129, middles)
    bins = np.abs(np.arange(SIDE)[:, None] - middles) // width
    likely, count = np.where(sees, 1, CHANCE), BINS * WIDTH // width
    shares = []
    for of_letter in counts[:, :, middles]:
        total, right = (
            np.bincount(bins.ravel(), weights.ravel(), minlength=count)[:count]
            for weights in (of_letter, of_letter * likely)
        )
        with np.errstate(invalid="ignore"):
            shares.append(right / total)
    return np.mean(shares, 0)
