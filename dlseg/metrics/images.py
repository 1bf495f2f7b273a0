"""IoU and Dice of every image by itself: their means, and the images that are worst.

A score of each image shows what one matrix over the data set hides: a few large failures, or many
small ones (Csurka, Larlus and Perronnin 2013).
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dlseg.metrics.confusion import ConfusionMatrix, check_shapes, integers, leave_out
from dlseg.metrics.rows import ImageRows


class ImageScores(ImageRows):
    """The scores of each image, and the confusion matrix of all.

    num_classes, ignore_index, ignored_classes: as for `ConfusionMatrix`, which raises the same.
    Attribute `matrix`: the `ConfusionMatrix` of all images together.

    An image keeps two numbers; a class, sums over the images where it is labelled or predicted.
    """

    def __init__(
        self, num_classes: int, ignore_index: int = 255, ignored_classes: Sequence[int] = ()
    ):
        self.matrix = ConfusionMatrix(num_classes, ignore_index, ignored_classes)
        super().__init__(("mean_iou", "mean_dice"), ("iou", "dice"), self.matrix.num_classes)

    def reset(self) -> None:
        """Forget all images."""
        super().reset()
        self.matrix.reset()

    def update(
        self,
        labels: Tensor | np.ndarray,
        predictions: Tensor | np.ndarray,
        indices: Sequence[int] | None = None,
    ) -> None:
        """Count one image (H, W), or a batch (B, H, W); else as `ConfusionMatrix.update`.

        indices: a number for each image, such as its place in the data set; by default they are
        numbered as they come.
        """
        labels, predictions = one_by_one(labels, predictions)
        indices = self.checked(indices, len(labels))
        images = [self._counted(*pair) for pair in zip(labels, predictions, strict=True)]
        for index, image in zip(indices, images, strict=True):
            self.matrix.merge(image)
            classes = torch.stack([image.iou(), image.dice()])  # (2, C)
            self.add(index, (image.mean_iou(), image.mean_dice()), classes)

    def merge(self, other: "ImageScores") -> "ImageScores":
        """Add the images of `other`; returns self. ValueError if its classes or void are others."""
        self.matrix.merge(other.matrix)
        return super().merge(other)

    def reduce(self) -> "ImageScores":
        """Gather the images of all processes; see `ConfusionMatrix.reduce`."""
        self.matrix.reduce()
        return super().reduce()

    def compute(self) -> dict[str, float | Tensor]:
        """`mean_iou`, `mean_dice`: means over the images of their means over classes.

        `iou`, `dice`: for each class the mean over the images where it is labelled or predicted,
        float64 (num_classes,), NaN where it is in none; `mean_class_iou`, `mean_class_dice`: their
        means over classes, the ignored ones left out.
        """
        found = super().compute()
        for name in ("iou", "dice"):
            kept = leave_out(found[name], self.matrix.ignored_classes)
            found[f"mean_class_{name}"] = float(kept.nanmean())
        return found

    def _counted(self, labels: Tensor, predictions: Tensor) -> ConfusionMatrix:
        options = self.matrix
        image = ConfusionMatrix(options.num_classes, options.ignore_index, options.ignored_classes)
        image.update(labels, predictions)
        return image


def one_by_one(labels, predictions) -> tuple[Tensor, Tensor]:
    """Both as int32 tensors (B, H, W) on one device. ValueError for other shapes and floats."""
    labels = integers(labels, "labels")
    predictions = integers(predictions, "predictions").to(labels.device)
    check_shapes(labels, predictions)
    if labels.dim() not in (2, 3):
        raise ValueError(f"labels must be (H, W) or (B, H, W), got {tuple(labels.shape)}")
    return (labels[None], predictions[None]) if labels.dim() == 2 else (labels, predictions)


def per_image(scores: ImageRows, dataset=None, name: str = "mean_iou") -> list[tuple]:
    """What each image scored, the worst first; those without a score (all void) last.

    scores: `ImageScores` or `BoundaryF`. dataset: whose images they are, by their indices: an image
    is then called by its file's name where the data set has `pairs`, as those of folders do.
    name: one of `scores.names`.
    Returns: (name or index, score) of each image.
    Raises: ValueError for another name, and a data set with fewer images.
    """
    pairs = getattr(dataset, "pairs", None)
    if dataset is not None and max(scores.indices, default=-1) >= len(dataset):
        raise ValueError(
            f"the data set has {len(dataset)} images, the scores one of index "
            f"{max(scores.indices)}: give the data set that was scored"
        )
    rows = [
        (index if pairs is None else pairs[index].image.name, score)
        for index, score in scores.by_image(name)
    ]
    return sorted(rows, key=lambda row: math.inf if math.isnan(row[1]) else row[1])
