"""One confusion matrix over a whole data set, and the metrics read off it.

The matrix is summed over all images before any ratio is taken; the mean of the images' own mIoU is
another number, which weighs small images and rare classes differently (FCN, section 5).
"""

import numpy as np
import torch
from torch import Tensor, distributed

from dlseg.checks import check_classes, check_ignore
from dlseg.doors import check_integers, label_fault


class ConfusionMatrix:
    """Counts of pixels by true and predicted class, and the metrics of FCN, section 5.

    num_classes: labels and predictions are 0 .. num_classes - 1.
    ignore_index: the label of pixels that do not count (void), 255 in Pascal VOC; it is never a
    class of its own: where it lies among them, it enters no mean.
    Attribute `matrix`: int64 tensor (num_classes, num_classes) on the CPU; row = true class,
    column = predicted class.
    Raises ValueError for fewer than one class or too many, or an ignore_index that is no integer.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255):
        self.num_classes = check_classes("num_classes", num_classes, 1)
        self.ignore_index = check_ignore("ignore_index", ignore_index)
        self.matrix = torch.zeros(self.num_classes, self.num_classes, dtype=torch.int64)

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
        """Add the counts of `other`; returns self. ValueError if its classes or void are others."""
        if self.num_classes != other.num_classes or self.ignore_index != other.ignore_index:
            raise ValueError(
                "only matrices of the same classes and void can be merged, "
                f"got {self.num_classes} and {other.num_classes} classes, "
                f"void {self.ignore_index} and {other.ignore_index}"
            )
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
        return float((self.matrix.diagonal().double() / self.matrix.sum(1)).nanmean())

    def iou(self) -> Tensor:
        """Intersection over union of each class, float64 (num_classes,).

        NaN for a class that is neither labelled nor predicted, and for `ignore_index`; 0 for one
        that is only predicted.
        """
        right = self.matrix.diagonal().double()
        ious = right / (self.matrix.sum(1) + self.matrix.sum(0) - right)
        if 0 <= self.ignore_index < self.num_classes:
            ious[self.ignore_index] = torch.nan  # it may have been predicted
        return ious

    def mean_iou(self) -> float:
        """Mean of `iou` over the classes where it is not NaN; NaN if nothing was counted."""
        return float(self.iou().nanmean())

    def frequency_weighted_iou(self) -> float:
        """Mean of `iou`, each class weighted by its share of the labelled pixels."""
        labelled = self.matrix.sum(1)
        # A class without labels has weight zero, and NaN times zero would be NaN.
        return float((self.iou().nan_to_num() * labelled).sum() / labelled.sum())

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
