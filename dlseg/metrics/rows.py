"""What metrics of single images share: a row of numbers for each, and sums for each class."""

from collections.abc import Sequence

import torch
from torch import Tensor, distributed

from dlseg.checks import check_choice, check_integer


class ImageRows:
    """Scores of images, kept as rows; and of their classes, kept as sums.

    names: of the numbers that an image has. class_names: of the numbers that each of its
    `num_classes` has.
    Attributes: `indices`, a number for each image; `rows`, its scores.
    """

    def __init__(self, names: Sequence[str], class_names: Sequence[str], num_classes: int):
        self.names, self.class_names = tuple(names), tuple(class_names)
        self._shape = len(class_names), num_classes
        self.reset()

    def reset(self) -> None:
        """Forget all images."""
        self.indices: list[int] = []
        self.rows: list[tuple[float, ...]] = []
        self._sums = torch.zeros(2, *self._shape, dtype=torch.float64)  # of scores, and how many

    def checked(self, indices: Sequence[int] | None, count: int) -> list[int]:
        """The numbers of `count` images that come. ValueError for others than `count` integers."""
        if indices is None:
            begin = max(self.indices, default=-1) + 1
            return list(range(begin, begin + count))
        if len(indices) != count:
            raise ValueError(f"indices must be one for each image, got {len(indices)} for {count}")
        return [check_integer("an index", index) for index in indices]

    def add(self, index: int, row: Sequence[float], classes: Tensor) -> None:
        """One image more. row: a number for each name; classes: float64 (class_names, classes)."""
        self.indices.append(index)
        self.rows.append(tuple(row))
        self._sums[0] += classes.nan_to_num()
        self._sums[1] += ~classes.isnan()

    def merge(self, other: "ImageRows") -> "ImageRows":
        """Add the images of `other`; returns self. ValueError if it has other classes."""
        if (self.names, self._shape) != (other.names, other._shape):
            raise ValueError(
                f"only scores of the same kind and classes can be merged, got {self.names} of "
                f"{self._shape[1]} classes and {other.names} of {other._shape[1]}"
            )
        self.indices += other.indices
        self.rows += other.rows
        self._sums += other._sums
        return self

    def reduce(self) -> "ImageRows":
        """Gather the images of all processes of torch.distributed, in order; returns self.

        Nothing happens without process group. Every process must call it, and once only.
        """
        if distributed.is_available() and distributed.is_initialized():
            device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
            numbers = [[i, *row] for i, row in zip(self.indices, self.rows, strict=True)]
            mine = torch.tensor(numbers, dtype=torch.float64).view(-1, 1 + len(self.names))
            found = gathered(mine.to(device)).tolist()
            found.sort(key=lambda row: row[0])
            self.indices = [int(index) for index, *_ in found]
            self.rows = [tuple(row) for _, *row in found]
            sums = self._sums.to(device)
            distributed.all_reduce(sums)
            self._sums = sums.cpu()
        return self

    def by_image(self, name: str) -> list[tuple[int, float]]:
        """Index and score of each image, NaN for one without. ValueError for another name."""
        check_choice("name", name, self.names)
        place = self.names.index(name)
        return [(i, row[place]) for i, row in zip(self.indices, self.rows, strict=True)]

    def compute(self) -> dict[str, float | Tensor]:
        """Means over the images that have a score: a number for each name, a tensor for each class.

        NaN where there is no such image.
        """
        rows = torch.tensor(self.rows, dtype=torch.float64).view(-1, len(self.names))
        means = dict(zip(self.names, rows.nanmean(0).tolist(), strict=True))
        return means | dict(zip(self.class_names, self._sums[0] / self._sums[1], strict=True))


def gathered(rows: Tensor) -> Tensor:
    """The rows (n, k) of all processes, one behind the other; n differs between them."""
    counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in _everybody()]
    distributed.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    most = max(int(count) for count in counts)
    padded = torch.zeros(most, rows.shape[1], dtype=rows.dtype, device=rows.device)
    padded[: len(rows)] = rows
    parts = [torch.zeros_like(padded) for _ in counts]
    distributed.all_gather(parts, padded)
    return torch.cat([part[: int(n)] for part, n in zip(parts, counts, strict=True)])


def _everybody() -> range:
    return range(distributed.get_world_size())
