"""How good a segmentation is near the boundaries: mIoU inside a band, against the band's width.

DeepLab v1, section 5: the void band that Pascal VOC draws around objects is "morphologically
dilated", and only the labelled pixels of the widened band count. The papers do not name the
structuring element. Here it is a disc, so that a band is equally wide in all directions; a square
reaches 1.4 times as far along the diagonals.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dlseg.checks import LARGEST_SIDE, check_choice, check_ignore, check_integer, described
from dlseg.metrics.confusion import ConfusionMatrix, check_shapes, integers

SOURCES = ("void", "labels")


def boundary(labels: Tensor | np.ndarray, ignore_index: int = 255, source: str = "void") -> Tensor:
    """Where the boundaries are from which a band grows.

    labels: integers (..., H, W).
    source: "void" takes the pixels labelled `ignore_index`, as Pascal VOC marks its boundaries;
    "labels", for data without such a band or whose void means something else (Cityscapes), takes
    both sides of every border between two classes, neighbours being left, right, above and below.
    Returns: bool tensor of that shape.
    Raises ValueError for another source, and for labels that are no map of integers.
    """
    check_choice("source", source, SOURCES)
    ignore_index = check_ignore("ignore_index", ignore_index)
    labels = integers(labels, "labels")
    if labels.dim() < 2:
        raise ValueError(f"labels must be (..., H, W), got {tuple(labels.shape)}")
    void = labels == ignore_index
    if source == "void":
        return void
    edge = torch.zeros_like(void)
    for axis in (-2, -1):
        along, marks = labels.movedim(axis, -1), edge.movedim(axis, -1)  # views
        first, second = along[..., :-1], along[..., 1:]
        differ = (first != second) & (first != ignore_index) & (second != ignore_index)
        marks[..., :-1] |= differ
        marks[..., 1:] |= differ
    return edge


def squared_distance(mask: Tensor, reach: int) -> Tensor:
    """Square of the Euclidean distance to the nearest pixel of the mask, in pixels.

    mask: bool (..., H, W). reach: pixels up to which the result is exact; beyond, it is larger
    than the square of `reach`, or infinite.
    Returns: float32 tensor of that shape.
    """
    rows = torch.arange(mask.shape[-2], device=mask.device).view(-1, 1)  # (H, 1)
    # The last row of the mask at or above each pixel, and the first at or below.
    above = torch.where(mask, rows, -torch.inf).cummax(-2).values
    below = torch.where(mask, rows, torch.inf).flip(-2).cummin(-2).values.flip(-2)
    column = torch.minimum(rows - above, below - rows) ** 2  # inside each column
    nearest = column.clone()
    for step in range(1, min(reach, mask.shape[-1] - 1) + 1):
        near = column + step**2
        nearest[..., step:] = torch.minimum(nearest[..., step:], near[..., :-step])
        nearest[..., :-step] = torch.minimum(nearest[..., :-step], near[..., step:])
    return nearest


def band(mask: Tensor | np.ndarray, width: int) -> Tensor:
    """The pixels at most `width` pixels away from the mask, the mask among them: a dilation.

    mask: bool (..., H, W). width: at least 1.
    Returns: bool tensor of that shape.
    Raises ValueError for a width below 1, and for a mask that is not bool.
    """
    (width,) = _checked_widths([width])
    if not str(getattr(mask, "dtype", None)).endswith("bool") or mask.ndim < 2:
        raise ValueError(f"mask must be bool (..., H, W), as of `boundary`, got {described(mask)}")
    mask = mask if isinstance(mask, Tensor) else torch.from_numpy(np.array(mask))  # its own copy
    return squared_distance(mask, width) <= width**2


class TrimapCurve:
    """Metrics inside bands of several widths around the boundaries, in one pass over the data.

    widths: pixels on either side of the boundary, at least 1 each.
    num_classes, ignore_index, ignored_classes: as for `ConfusionMatrix`; source: as for `boundary`.
    Raises ValueError for an empty list, widths below 1 or given twice, or another source.

    Every labelled pixel is counted once, in the ring between two widths; the band of a width is
    the sum of the rings inside.
    """

    def __init__(
        self,
        widths: Sequence[int],
        num_classes: int,
        ignore_index: int = 255,
        source: str = "void",
        ignored_classes: Sequence[int] = (),
    ):
        check_choice("source", source, SOURCES)
        self.widths = sorted(_checked_widths(widths))
        self.source = source
        options = num_classes, ignore_index, ignored_classes
        self.rings = [ConfusionMatrix(*options) for _ in widths]

    def reset(self) -> None:
        """Forget all that was counted."""
        for ring in self.rings:
            ring.reset()

    def compute(self) -> dict[str, Tensor]:
        """`mean_iou` and `pixel_accuracy` of each width, in the order of `widths`.

        Returns: float64 (number of widths,) each.
        """
        scores = {"mean_iou": self.mean_iou(), "pixel_accuracy": self.pixel_accuracy()}
        return {
            name: torch.tensor(list(of.values()), dtype=torch.float64)
            for name, of in scores.items()
        }

    def update(self, labels: Tensor | np.ndarray, predictions: Tensor | np.ndarray) -> None:
        """Count the pixels of one image (H, W), or of a batch (B, H, W); else as ConfusionMatrix.

        Pixels farther from every boundary than the largest width do not count and are not checked.
        """
        labels = integers(labels, "labels")
        predictions = integers(predictions, "predictions").to(labels.device)
        check_shapes(labels, predictions)
        edge = boundary(labels, self.rings[0].ignore_index, self.source)
        distance = squared_distance(edge, self.widths[-1])
        limits = torch.tensor(self.widths, device=distance.device, dtype=distance.dtype) ** 2
        ring = torch.bucketize(distance, limits)  # distance <= limits[ring]
        for index, matrix in enumerate(self.rings):
            inside = ring == index
            matrix.update(labels[inside], predictions[inside])

    def merge(self, other: "TrimapCurve") -> "TrimapCurve":
        """Add the counts of `other`; returns self.

        Raises ValueError if widths, source or classes differ.
        """
        if self.source != other.source:
            raise ValueError(f"sources differ: {self.source} and {other.source}")
        if self.widths != other.widths:
            raise ValueError(f"widths differ: {self.widths} and {other.widths}")
        for mine, theirs in zip(self.rings, other.rings, strict=True):
            mine.merge(theirs)
        return self

    def reduce(self) -> "TrimapCurve":
        """Replace the counts by their sum over all processes; see `ConfusionMatrix.reduce`."""
        for ring in self.rings:
            ring.reduce()
        return self

    def matrices(self) -> dict[int, ConfusionMatrix]:
        """The confusion matrix of the labelled pixels inside the band, for each width."""
        inside = {}
        for index, width in enumerate(self.widths):
            inside[width] = copy.copy(self.rings[0])  # with its options
            inside[width].reset()
            for ring in self.rings[: index + 1]:
                inside[width].merge(ring)
        return inside

    def mean_iou(self) -> dict[int, float]:
        """mIoU inside the band of each width; NaN where no labelled pixel is that near."""
        return {width: matrix.mean_iou() for width, matrix in self.matrices().items()}

    def pixel_accuracy(self) -> dict[int, float]:
        """Share of right pixels inside the band of each width; NaN where there is none."""
        return {width: matrix.pixel_accuracy() for width, matrix in self.matrices().items()}


def _checked_widths(widths: Sequence[int]) -> list[int]:
    numbers = [
        check_integer("a band's width, in pixels,", width, 1, LARGEST_SIDE) for width in widths
    ]
    if not numbers or len(set(numbers)) < len(numbers):
        raise ValueError(f"widths must be one or more, none twice, got {widths}")
    return numbers
