"""Which appearance kernel fits one's own images: a coarse-to-fine grid (DeepLab v1, section 5).

The smoothness kernel and the iterations stay fixed; weight, sxy and srgb of the appearance kernel
are searched on some validation images, 100 in the papers.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from dlseg.checks import check_ignore, check_integer, check_number
from dlseg.crf.dense import DenseCRF
from dlseg.crf.kernels import Kernel, appearance, smoothness
from dlseg.doors import check_labels


@dataclass(frozen=True)
class Ranges:
    """Where the first round looks: values of the appearance kernel, in rising order.

    weight: of the kernel; sxy: pixels; srgb: colours in 0..255. A single value stays fixed.
    Raises: ValueError for an empty list, or values that do not rise from above 0.
    """

    weight: Sequence[float]
    sxy: Sequence[float]
    srgb: Sequence[float]

    def __post_init__(self):
        for name, values in vars(self).items():
            for value in values:
                check_number(name, value, 0)
            pairs = itertools.pairwise([0, *values])
            if not len(values) or any(low >= high for low, high in pairs):
                raise ValueError(f"{name} must be numbers rising from above 0, got {list(values)}")


# DeepLab v1, section 5 and v2, section 4.1.1; the step of the weight is not given there.
V1_RANGES = Ranges(range(5, 11), range(50, 101, 10), range(3, 11))
V2_RANGES = Ranges(range(3, 7), range(30, 101, 10), range(3, 7))


@dataclass(frozen=True)
class Try:
    """One set of values, the round it was tried in, counted from 1, and the score it got."""

    weight: float
    sxy: float
    srgb: float
    score: float
    round: int


@dataclass(frozen=True)
class Search:
    """What a search found. best: the try of the highest score, the first of equals; tries: all.

    kernels: for `DenseCRF`, the fixed smoothness kernel first.
    """

    best: Try
    tries: tuple[Try, ...]
    kernels: tuple[Kernel, Kernel]

    def table(self, rows: int = 10) -> str:
        """The best tries, one per line."""
        lines = ["round  weight     sxy    srgb    score"]
        for one in sorted(self.tries, key=lambda one: -one.score)[:rows]:
            numbers = f"{one.weight:8.4g}{one.sxy:8.4g}{one.srgb:8.4g}"
            lines.append(f"{one.round:5}{numbers}{one.score:9.4f}")
        return "\n".join(lines)


def search_kernels(
    score: Callable[[Sequence[Kernel]], float],
    ranges: Ranges = V1_RANGES,
    rounds: int = 2,
    smooth: Kernel | None = None,
) -> Search:
    """Try the whole grid, then in each further round the neighbours of the best, steps halved.

    score: from kernels to a number, higher is better, such as `iou_score`.
    rounds: 1 is the grid alone. smooth: the fixed smoothness kernel, by default sxy 3, weight 3.
    Shows a progress bar on a terminal. Raises: ValueError if rounds is below 1 or a score is NaN.
    """
    rounds = check_integer("rounds", rounds, 1)
    smooth = smooth or smoothness()
    steps = [_step(values) for values in vars(ranges).values()]
    grid = list(itertools.product(*vars(ranges).values()))
    tried: dict[tuple, Try] = {}
    for number in range(1, rounds + 1):
        fresh = [point for point in grid if point not in tried]
        for point in tqdm(fresh, desc=f"CRF search, round {number}", disable=None):
            weight, sxy, srgb = point
            value = float(score((smooth, appearance(sxy, srgb, weight))))
            if math.isnan(value):
                raise ValueError(f"the score is NaN at weight {weight}, sxy {sxy}, srgb {srgb}")
            tried[point] = Try(weight, sxy, srgb, value, number)
        best = max(tried.values(), key=lambda one: one.score)
        steps = [step / 2 for step in steps]
        grid = _around((best.weight, best.sxy, best.srgb), steps)
    kernels = (smooth, appearance(best.sxy, best.srgb, best.weight))
    return Search(best, tuple(tried.values()), kernels)


def iou_score(
    samples: Iterable[tuple[Tensor, Tensor, Tensor]],
    iterations: int = 10,
    ignore_index: int = 255,
    device: torch.device | str = "cpu",
) -> Callable[[Sequence[Kernel]], float]:
    """A score for `search_kernels`: mean IoU of the refined labels over all samples together.

    samples: (logits (C, H, W), image (3, H, W) uint8, labels (H, W)) each; kept in memory.
    Classes that neither the labels nor the prediction show are left out of the mean, and so is
    `ignore_index` where it lies among them.
    Raises: ValueError for no sample, or labels that do not fit; the score as `DenseCRF` does.
    """
    ignore_index = check_ignore("ignore_index", ignore_index)
    samples = list(samples)
    for logits, _, labels in samples:
        check_labels("labels", labels, len(logits), ignore_index)
        if labels.shape != logits.shape[1:]:
            raise ValueError(f"labels are {tuple(labels.shape)}, logits {tuple(logits.shape)}")
    if not samples:
        raise ValueError("samples must hold at least one (logits, image, labels)")

    def score(kernels: Sequence[Kernel]) -> float:
        crf = DenseCRF(kernels, iterations, inputs="logits").to(device)
        total = 0
        for logits, image, labels in samples:
            with torch.inference_mode():
                q = crf(logits[None].to(device), image[None].to(device))[0].cpu()  # (C, H, W)
            total = total + _confusion(labels, q.argmax(0), len(q), ignore_index)
        return _mean_iou(total, ignore_index)

    return score


def _confusion(labels: Tensor, predictions: Tensor, classes: int, ignore_index: int) -> Tensor:
    """(true, predicted) counts, (C, C)."""
    labels = labels.long()
    known = labels != ignore_index
    pairs = labels[known] * classes + predictions[known]
    return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def _mean_iou(confusion: Tensor, ignore_index: int) -> float:
    hits = confusion.diagonal()
    union = confusion.sum(0) + confusion.sum(1) - hits
    counts = (union > 0) & (torch.arange(len(union)) != ignore_index)
    return (hits[counts] / union[counts]).mean().item()


def _step(values: Sequence[float]) -> float:
    """The spacing of the grid; 0 where there is but one value, which then stays."""
    return (values[-1] - values[0]) / max(len(values) - 1, 1)


def _around(centre: tuple[float, ...], steps: Sequence[float]) -> list[tuple[float, ...]]:
    axes = ([value - step, value, value + step] for value, step in zip(centre, steps, strict=True))
    points = dict.fromkeys(itertools.product(*axes))  # each once, where a step is 0
    return [point for point in points if min(point) > 0]
