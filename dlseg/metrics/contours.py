"""F-score of boundaries: how much of what is drawn lies near what should be, and the other way.

For each class of an image, precision P is the share of the predicted boundary that lies at most a
tolerance away from the labelled one, recall R the share of the labelled one that is near the
predicted; F = 2 P R / (P + R) (Csurka, Larlus and Perronnin 2013; for one object, Perazzi et al.
2016, who match points of the two contours). A boundary here is the pixels of a class that touch
another class, left, right, above or below; neither the border of the image nor void makes one.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dlseg.checks import LARGEST_SIDE, check_number
from dlseg.metrics.confusion import ConfusionMatrix, check_alike, leave_out
from dlseg.metrics.images import one_by_one
from dlseg.metrics.rows import ImageRows
from dlseg.metrics.trimap import boundary

SHARE = 0.0075  # of the diagonal, Csurka et al. 2013: 4.7 pixels of 500x375


class BoundaryF(ImageRows):
    """The boundary F-score of each image and class, and their means.

    num_classes, ignore_index, ignored_classes: as for `ConfusionMatrix`, which raises the same.
    tolerance: how far away is near. From 1 on it is in pixels; below 1 it is a share of the image's
    diagonal: 0.0075 in Csurka et al. 2013, 0.008 in the code of Perazzi et al. 2016.

    The score of an image is the mean over the classes with a boundary in either map; a class whose
    boundary is missing from one of them has 0.
    Raises ValueError for a tolerance that is not above 0, or too large.
    """

    def __init__(
        self,
        num_classes: int,
        ignore_index: int = 255,
        ignored_classes: Sequence[int] = (),
        tolerance: float = SHARE,
    ):
        self.options = ConfusionMatrix(num_classes, ignore_index, ignored_classes)  # checks them
        self.tolerance = check_number("tolerance", tolerance, 0, LARGEST_SIDE)
        if not self.tolerance:
            raise ValueError(f"tolerance must be above 0, got {tolerance!r}")
        super().__init__(("mean_boundary_f",), ("boundary_f",), self.options.num_classes)

    def update(
        self,
        labels: Tensor | np.ndarray,
        predictions: Tensor | np.ndarray,
        indices: Sequence[int] | None = None,
    ) -> None:
        """Score one image (H, W), or a batch (B, H, W); else as `ImageScores.update`.

        Raises ValueError as `ConfusionMatrix.update`.
        """
        self.options.reset()
        self.options.update(labels, predictions)  # a look at the values
        labels, predictions = one_by_one(labels, predictions)
        indices = self.checked(indices, len(labels))
        for index, *pair in zip(indices, labels, predictions, strict=True):
            scores = self._scores(*pair)
            kept = leave_out(scores, self.options.ignored_classes)
            self.add(index, (float(kept.nanmean()),), scores[None])

    def merge(self, other: "BoundaryF") -> "BoundaryF":
        """Add the images of `other`; returns self. ValueError if its options are others."""
        if self.tolerance != other.tolerance:
            raise ValueError(f"tolerances differ: {self.tolerance} and {other.tolerance}")
        check_alike(self.options, other.options)
        return super().merge(other)

    def _scores(self, labels: Tensor, predictions: Tensor) -> Tensor:
        """F of each class in one image (H, W): float64 (num_classes,), NaN without boundary."""
        void, classes = self.options.ignore_index, self.options.num_classes
        predictions = torch.where(labels == void, void, predictions)
        edges = [torch.where(boundary(m, void, "labels"), m, -1) for m in (labels, predictions)]
        reach = self.tolerance
        if reach < 1:
            reach *= math.hypot(*labels.shape)
        recall, precision = (
            share_near(one, other, classes, reach) for one, other in (edges, edges[::-1])
        )
        scores = (2 * precision * recall / (precision + recall)).nan_to_num()
        scores[recall.isnan() & precision.isnan()] = torch.nan
        return scores.cpu()


def share_near(edge: Tensor, other: Tensor, num_classes: int, reach: float) -> Tensor:
    """Of each class of `edge`, the share of pixels that have one of their class near in `other`.

    edge, other: int32 (H, W), the class of a pixel on a boundary, -1 elsewhere. reach: pixels.
    Returns: float64 (num_classes,), NaN for a class without a pixel.

    The pixels of `other` are numbered class after class, row after row, and sorted. Of a disc
    around a pixel every row is then a range of numbers, in which there is something or not.
    """
    height, width = edge.shape
    rows = min(int(reach), max(height - 1, 0))
    there = _numbers(other, rows).sort().values
    on = edge >= 0
    kinds, column = edge[on].long(), on.nonzero()[:, 1]  # (K,)
    total = torch.bincount(kinds, minlength=num_classes)
    line = _numbers(edge, rows) - column  # where each pixel's row begins
    for step in sorted(range(-rows, rows + 1), key=abs):
        half = int(math.sqrt(reach**2 - step**2))
        row = line + step * width
        first = torch.searchsorted(there, row + (column - half).clamp(min=0))
        end = torch.searchsorted(there, row + (column + half).clamp(max=width - 1), right=True)
        far = end == first
        line, column, kinds = line[far], column[far], kinds[far]
    return 1 - torch.bincount(kinds, minlength=num_classes).double() / total


def _numbers(edge: Tensor, margin: int) -> Tensor:
    """A number for each pixel on a boundary; between two classes lie 2 `margin` empty rows."""
    row, column = (edge >= 0).nonzero().unbind(1)
    height, width = edge.shape
    kind = edge[row, column].long()
    return (kind * (height + 2 * margin) + row + margin) * width + column
