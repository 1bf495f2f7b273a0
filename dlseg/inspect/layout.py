"""Where, among the axes of a tensor, the rows and columns (or other axes) of a map are.

The receptive-field tracer follows maps through `view`, `permute` and the like with these functions.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

from torch import Tensor

from dlseg.arithmetic import Merge

Shape = tuple[int, ...]
SAME = Merge("same")  # leaves an axis of the map as it is


class LostPositionsError(ValueError):
    """An operation mixed, split or reordered positions so that they cannot be followed."""


@dataclass(frozen=True)
class Call:
    """One call of an operator; tracked: those of its arguments, by name, that hold maps."""

    name: str
    arguments: dict
    tracked: list[Tensor]
    result: Tensor


@dataclass(frozen=True)
class Merged:
    """One axis that holds `outer` x positions x `inner` elements, as after `flatten`."""

    axis: int
    outer: int
    inner: int


@dataclass(frozen=True)
class Layout:
    """A tensor that holds the map called `node`.

    axes: the axis of the rows and that of the columns (of a sequence one axis, of a volume three),
    None where there is only one position or where `merged` holds them.
    """

    node: str
    axes: tuple[int | None, ...]
    merged: Merged | None = None

    def moved(self, to: Callable[[int], int | None]) -> "Layout":
        """The same map where what lay along `axis` lies along `to(axis)`; None: it is gone."""
        axes = tuple(None if axis is None else to(axis) for axis in self.axes)
        merged = self.merged and replace(self.merged, axis=to(self.merged.axis))
        return Layout(self.node, axes, merged)

    def without(self, removed: set[int]) -> "Layout":
        """The same map once the axes `removed`, which hold one position at most, are gone."""
        return self.moved(lambda a: None if a in removed else a - sum(r < a for r in removed))


def viewed(layout: Layout, sizes: Shape, old: Shape, new: Shape) -> Layout:
    """The same map where `view` gave a tensor of shape `old` the shape `new`; sizes: of the map.

    In memory, neighbours along an axis lie as far apart as the elements behind it: an axis is the
    same one where equally many elements lie before it and along it.
    Raises LostPositionsError where positions were split, or merged only in part.
    """
    starts = _elements_before(layout, sizes, old)
    axes = tuple(
        None if start is None else _find_axis(new, start, size)
        for start, size in zip(starts, sizes, strict=True)
    )
    real = [(start, size) for start, size in zip(starts, sizes, strict=True) if start is not None]
    if len(real) == sum(axis is not None for axis in axes):
        return Layout(layout.node, axes)
    if any(start * size != after for (start, size), (after, _) in pairwise(real)):
        raise LostPositionsError("rows and columns that are not neighbouring axes were merged")
    return Layout(layout.node, (None,) * len(axes), _find_merged(new, real[0][0], prod(sizes)))


def _elements_before(layout: Layout, sizes: Shape, shape: Shape) -> list:
    """For each axis of the map, the product of all that lies before it; None where size is 1."""
    if layout.merged:
        first = prod(shape[: layout.merged.axis]) * layout.merged.outer
        starts = [first * prod(sizes[:which]) for which in range(len(sizes))]
    else:
        starts = [0 if axis is None else prod(shape[:axis]) for axis in layout.axes]
    return [start if size > 1 else None for start, size in zip(starts, sizes, strict=True)]


def _find_axis(shape: Shape, start: int, size: int) -> int | None:
    for axis, length in enumerate(shape):
        if length == size and prod(shape[:axis]) == start:
            return axis
    return None


def _find_merged(shape: Shape, start: int, positions: int) -> Merged:
    for axis, length in enumerate(shape):
        outer, rest = divmod(start, prod(shape[:axis]))
        if rest == 0 and outer and length % (outer * positions) == 0:
            return Merged(axis, outer, length // (outer * positions))
    raise LostPositionsError(f"rows or columns were split into a tensor of shape {shape}")
