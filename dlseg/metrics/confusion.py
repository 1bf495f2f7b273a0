"""One confusion matrix over a whole data set, and the metrics read off it.

The matrix is summed over all images before any ratio is taken; the mean of the images' own mIoU is
another number (`ImageScores`), which weighs small images and rare classes differently.
The page chapters/A-metrics.md has every definition with an example.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, distributed

from dlseg.checks import check_classes, check_ignore, check_integer
from dlseg.doors import check_integers, label_fault

_NAMES = """pixel_accuracy mean_accuracy mean_iou frequency_weighted_iou mean_dice iou dice"""
NAMES = tuple(_NAMES.split())  # of all metrics


class ConfusionMatrix:
    """Counts of pixels by true and predicted class, and the metrics of FCN, section 5, and Dice.

    num_classes: labels and predictions are 0 .. num_classes - 1.
    ignore_index: the label of pixels that do not count (void), 255 in Pascal VOC; it is never a
    class of its own: where it lies among them, it enters no mean.
    ignored_classes: classes that enter no mean over classes, such as the background. Their pixels
    count as any others: who is predicted there pays for it.
    Attribute `matrix`: int64 tensor (num_classes, num_classes) on the CPU; row = true class,
    column = predicted class.
    Raises ValueError for fewer than one class or too many, an ignore_index that is no integer, or
    ignored_classes that are no classes, given twice, or all there are.
    """

    def __init__(
        self, num_classes: int, ignore_index: int = 255, ignored_classes: Sequence[int] = ()
    ):
        self.num_classes = check_classes("num_classes", num_classes, 1)
        self.ignore_index = check_ignore("ignore_index", ignore_index)
        self.ignored_classes = check_ignored(ignored_classes, self.num_classes)
        self.reset()

    def reset(self) -> None:
        """Forget all that was counted."""
        self.matrix = torch.zeros(self.num_classes, self.num_classes, dtype=torch.int64)

    def compute(self) -> dict[str, float | Tensor]:
        """All metrics by the names of their methods: numbers, and a tensor (num_classes,) each for
        `iou` and `dice`.
        """
        return {name: getattr(self, name)() for name in NAMES}

    def update(self, labels: Tensor | np.ndarray, predictions: Tensor | np.ndarray) -> None:
        """Count the pixels of one image, or of a batch.

        labels, predictions: integer arrays or tensors of one shape, on any device. What is
        predicted where the label is `ignore_index` does not matter.
        Raises ValueError for other shapes, for floats, and for values that are no class, of which
        it then counts none.
        """
        labels = integers(labels, "labels")
        predictions = integers(predictions, "predictions").to(labels.device)
        check_shapes(labels, predictions)
        counts = self._counts(labels, predictions)
        if 0 <= self.ignore_index < self.num_classes:
            counts[self.ignore_index] = 0
        void = torch.count_nonzero(labels == self.ignore_index)
        if counts.sum() + void != labels.numel():
            raise self._fault(labels, predictions)
        self.matrix += counts.cpu()

    def merge(self, other: "ConfusionMatrix") -> "ConfusionMatrix":
        """Add the counts of `other`; returns self.

        Raises ValueError if its classes, its void or its ignored classes are others.
        """
        check_alike(self, other)
        self.matrix += other.matrix
        return self

    def reduce(self) -> "ConfusionMatrix":
        """Replace the counts by their sum over all processes of torch.distributed; returns self.

        Nothing happens without process group. Every process must call it, and once only: a second
        call would add the sums.
        """
        if distributed.is_available() and distributed.is_initialized():
            # NCCL moves nothing but what is on the GPU.
            device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
            total = self.matrix.to(device)
            distributed.all_reduce(total)
            self.matrix = total.cpu()
        return self

    def pixel_accuracy(self) -> float:
        """Share of the labelled pixels that are right; NaN if there is none."""
        return float(self.matrix.trace().double() / self.matrix.sum())

    def mean_accuracy(self) -> float:
        """Mean over the classes that have labels of the share of their pixels that are right."""
        return self._mean(self.matrix.diagonal().double() / self.matrix.sum(1))

    def iou(self) -> Tensor:
        """Intersection over union of each class, float64 (num_classes,).

        NaN for a class that is neither labelled nor predicted, and for `ignore_index`; 0 for one
        that is only predicted.
        """
        right = self.matrix.diagonal().double()
        return self._void_out(right / (self.matrix.sum(1) + self.matrix.sum(0) - right))

    def dice(self) -> Tensor:
        """Dice coefficient of each class, which is its F1 score, float64 (num_classes,).

        Twice the common pixels by the sum of labelled and predicted ones: 2 IoU / (1 + IoU). NaN
        and 0 where `iou` is.
        """
        right = self.matrix.diagonal().double()
        return self._void_out(2 * right / (self.matrix.sum(1) + self.matrix.sum(0)))

    def mean_iou(self) -> float:
        """Mean of `iou` over the classes where it is not NaN; NaN if nothing was counted."""
        return self._mean(self.iou())

    def mean_dice(self) -> float:
        """Mean of `dice` over the classes where it is not NaN; NaN if nothing was counted."""
        return self._mean(self.dice())

    def frequency_weighted_iou(self) -> float:
        """Mean of `iou`, each class weighted by its share of the labelled pixels."""
        labelled = self.matrix.sum(1)
        labelled[list(self.ignored_classes)] = 0
        # A class without labels has weight zero, and NaN times zero would be NaN.
        return float((self.iou().nan_to_num() * labelled).sum() / labelled.sum())

    def _void_out(self, scores: Tensor) -> Tensor:
        """`scores` (num_classes,) with NaN where the label is void: it may have been predicted."""
        if 0 <= self.ignore_index < self.num_classes:
            scores[self.ignore_index] = torch.nan
        return scores

    def _mean(self, scores: Tensor) -> float:
        """Mean of `scores` (num_classes,) that are not NaN, the ignored classes left out."""
        return float(leave_out(scores, self.ignored_classes).nanmean())

    def _counts(self, labels: Tensor, predictions: Tensor) -> Tensor:
        """Pixels of each pair of classes; whatever is no class falls off the table."""
        side = self.num_classes + 2  # a rim for what lies below the classes and above
        true, predicted = labels.clamp(-1, side - 2), predictions.clamp(-1, side - 2)
        pair = torch.add(predicted, true, alpha=side).add_(side + 1).flatten()
        return torch.bincount(pair, minlength=side**2).view(side, side)[1:-1, 1:-1]

    def _fault(self, labels: Tensor, predictions: Tensor) -> ValueError:
        """The error for values that are no class."""
        kept = labels != self.ignore_index
        outside = {
            name: values[(values < 0) | (values >= self.num_classes)].unique().tolist()
            for name, values in (("labels", labels[kept]), ("predictions", predictions[kept]))
        }
        name, wrong = next(item for item in outside.items() if item[1])
        return label_fault(name, wrong, self.num_classes, self.ignore_index)


def check_alike(one: ConfusionMatrix, other: ConfusionMatrix) -> None:
    """ValueError unless both have the same classes, void and ignored classes."""
    kinds = [(m.num_classes, m.ignore_index, m.ignored_classes) for m in (one, other)]
    if kinds[0] != kinds[1]:
        (classes, void, ignored), (others, other_void, other_ignored) = kinds
        raise ValueError(
            f"only scores of the same classes and void can be merged, got {classes} and {others} "
            f"classes, void {void} and {other_void}, ignored {ignored} and {other_ignored}"
        )


def check_ignored(classes: Sequence[int], num_classes: int) -> tuple[int, ...]:
    """The classes as a sorted tuple. ValueError for others than classes, one twice, or all."""
    if isinstance(classes, str) or not isinstance(classes, Iterable):
        raise ValueError(f"ignored_classes must be a list of classes, got {classes!r}")
    given = tuple(
        check_integer("a class of ignored_classes", number, 0, num_classes - 1)
        for number in classes
    )
    if len(set(given)) < len(given) or len(given) == num_classes:
        raise ValueError(
            f"ignored_classes must be some of the {num_classes} classes, none twice, got {given}"
        )
    return tuple(sorted(given))


def leave_out(scores: Tensor, classes: Sequence[int]) -> Tensor:
    """A copy of `scores` (..., num_classes) with NaN, which enters no mean, for `classes`."""
    scores = scores.clone()
    scores[..., list(classes)] = torch.nan
    return scores


def integers(values: Tensor | np.ndarray, name: str) -> Tensor:
    """`values` as an int32 tensor on its device, which counts three times as fast as int64.

    What is too large for it becomes the largest int32, the same below: no class either way.
    Raises ValueError, which names them, for floats.
    """
    values = values if isinstance(values, Tensor) else np.asarray(values)
    check_integers(name, values)
    if not isinstance(values, Tensor):
        values = torch.from_numpy(values.astype(np.int64 if values.itemsize > 2 else np.int32))
    if values.dtype == torch.int64:
        values = values.clamp(torch.iinfo(torch.int32).min, torch.iinfo(torch.int32).max)
    return values.int()


def check_shapes(labels: Tensor, predictions: Tensor) -> None:
    """ValueError unless both have one shape."""
    if labels.shape != predictions.shape:
        raise ValueError(
            "labels and predictions must have one shape, "
            f"got {tuple(labels.shape)} and {tuple(predictions.shape)}"
        )
