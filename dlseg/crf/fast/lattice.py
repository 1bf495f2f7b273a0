"""The permutohedral lattice: a Gaussian filter in up to 8 dimensions as a product of sparse tables.

Splat adds every pixel to the d + 1 vertices around it, blur spreads with taps 1/2, 1, 1/2 along
d + 1 axes, slice reads back (Adams, Baek and Davis 2010, section 3). Only vertices that some pixel
touches exist. Each step is a table of indices and weights, built once per image and applied to all
labels at once by `embedding_bag`.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dlseg.crf.exact import TINY
from dlseg.crf.fast.sparse import Rows, equal_rows
from dlseg.crf.fast.vertices import axes, check_features, locate, merge, sorted_entries, where_true


class Lattice:
    """K values for a Gaussian kernel of any features, approximately, in time O(N d^2).

    features: (B, N, d), d in 1..8, each divided by its sigma, float32 or float64. The number of the
    image is part of a vertex's key: a batch gives what its images give one by one.
    names: what an error calls each feature.
    bridges: also make the vertices that no pixel touches but at least three vertices border on. The
    blur loses less where pixels are sparse (a small sigma of the colour), and takes longer.
    first_axis: of a point between two simplices, take the one that pydensecrf takes, see `locate`.
    Which vertices exist depends on it, and what the blur loses.
    Values and results of a call and of `transpose` are (B, N, C), of the features' dtype.
    `size`: number of vertices.
    K is not quite symmetric: where vertices are missing, the blur depends on the order of the axes.
    The transpose takes them in reverse.
    Raises: ValueError for another shape or dtype, or features that run over too many sigmas.
    """

    def __init__(
        self,
        features: Tensor,
        names: Sequence[str] | None = None,
        bridges: bool = False,
        first_axis: bool = False,
    ):
        check_features(features)
        d = features.shape[2]
        names = names or [f"feature {j}" for j in range(d)]
        entries, weights, strides = sorted_entries(features, names, first_axis)
        first = torch.ones_like(entries.key, dtype=torch.bool)  # of its vertex
        torch.ne(entries.key[1:], entries.key[:-1], out=first[1:])
        starts = where_true(first)  # (M,)
        vertex = first.cumsum(0, dtype=torch.int32).sub_(1)  # (N (d + 1),)
        keys = entries.key.index_select(0, starts)
        starts = F.pad(starts, (0, 1), value=len(vertex))
        if bridges:
            present, keys = keys, merge(keys, bridge_keys(keys, strides))
            rank = torch.searchsorted(keys, present)
            vertex = rank.int().index_select(0, vertex)
            starts = starts[
                torch.searchsorted(rank, torch.arange(len(keys) + 1, device=rank.device))
            ]
        self.size = len(keys)
        # Row M is empty: it stands for every vertex that is missing, and stays 0.
        starts = F.pad(starts.int(), (0, 1), value=len(vertex))  # (M + 2,)
        slots = torch.empty_like(vertex).scatter_(0, entries.place.long(), vertex)
        taps = weights.new_tensor([1, 0.5, 0.5]).repeat(self.size + 1, 1)
        self.splat = Rows(entries.pixel, starts, weights.view(-1).index_select(0, entries.place))
        self.blurs = [equal_rows(neighbours(keys, stride), taps) for stride in strides]
        self.slice = equal_rows(slots.view_as(weights), weights)
        # Every blur doubles the sum; with this factor it is the integral of the Gaussian.
        self.gain = (4 * math.pi / 3) ** (d / 2) * math.sqrt(d + 1) / 2 ** (d + 1)
        self.splat.weights.mul_(self.gain)
        self.features, self.first_axis = features, first_axis

    def __call__(self, values: Tensor) -> Tensor:
        """K values."""
        return self._filter(values, self.blurs)

    def transpose(self, values: Tensor) -> Tensor:
        """K^T values."""
        return self._filter(values, self.blurs[::-1])

    def normalise(self) -> None:
        """From now on K is D^-1/2 K D^-1/2, D = diag(K 1); the weights carry it at no cost."""
        ones = torch.ones_like(self.features[..., :1])
        scale = (self(ones) + TINY).rsqrt().view(-1)  # (B N,)
        self.splat.weights.mul_(scale.index_select(0, self.splat.indices))
        self.slice.weights.view(len(scale), -1).mul_(scale[:, None])

    def diagonal(self) -> Tensor:
        """k(i, i), (B, N, 1): what a pixel sends to itself through the matrix as it is now.

        Pixel i reaches itself from vertex t of its simplex to vertex u, by a blur that moves along
        some axes by one step up, or along all others by one step down: the two ends differ by
        (1, ..., 1), which is the same vertex. Every step has a factor 1/2, and must lead to a
        vertex that exists.
        """
        batch, pixels, d = self.features.shape
        flat = self.features.permute(2, 0, 1).reshape(d, -1)
        order = locate(flat, self.first_axis)[1]
        axis = axes(order).long()  # (d + 1, n), the axis of each step around the simplex
        rank = torch.empty_like(axis)
        rank.scatter_(0, axis, torch.arange(d + 1, device=axis.device)[:, None].expand_as(axis))
        vertices = self.slice.indices.view(-1, d + 1)
        weights = self.slice.weights.view(-1, d + 1)  # those of splat, but for the gain
        total = weights.square().sum(1)  # to stay
        for begin in range(d + 1):
            for steps in range(1, d + 2):
                for direction, first in ((1, rank - begin), (-1, begin - 1 - rank)):  # up, down
                    moves = first.remainder(d + 1) < steps  # (d + 1, n)
                    end = weights[:, (begin + direction * steps) % (d + 1)]
                    reached = path_exists(self.blurs, vertices[:, begin], moves, direction)
                    total += weights[:, begin] * end * reached / 2**steps
        return (total * self.gain).view(batch, pixels, 1)

    def _filter(self, values: Tensor, blurs: Sequence[Rows]) -> Tensor:
        out = self.splat(values.reshape(-1, values.shape[-1]))  # (M + 1, C)
        for blur in blurs:
            out = blur(out)
        return self.slice(out).view_as(values)


def neighbours(keys: Tensor, stride: int) -> Tensor:
    """Every vertex and its two neighbours along one axis: indices (M + 1, 3).

    keys: (M,) sorted; stride: of the axis. Index M stands for a vertex that is missing.
    A key k becomes 4 k + 2, a wanted key 4 k + 1: where both are there, they end up side by side
    when the two sorted lists are merged. That is quicker than M binary searches.
    """
    size, keys = len(keys), 4 * keys + 2
    merged = merge(keys, keys + (4 * stride - 1))  # (2 M,)
    hit = where_true(merged[1:] - merged[:-1] == 1)
    below = (merged & 1).cumsum(0, dtype=torch.int32).index_select(0, hit) - 1  # who wanted it
    above = hit.int() - below
    this = torch.arange(size + 1, dtype=torch.int32, device=keys.device)
    table = [this, torch.full_like(this, size), torch.full_like(this, size)]
    table[1].scatter_(0, below.long(), above)
    table[2].scatter_(0, above.long(), below)
    return torch.stack(table, 1)


def bridge_keys(keys: Tensor, strides: Sequence[int], least: int = 3) -> Tensor:
    """Keys of the missing vertices that have `least` neighbours, sorted.

    keys: (M,) sorted; strides: one per axis.
    """
    near = merge(*(keys + sign * stride for stride in strides for sign in (1, -1)))
    often = near[least - 1 :][near[least - 1 :] == near[: len(near) - least + 1]]
    often = often.unique_consecutive()
    place = torch.searchsorted(keys, often).clamp_(max=len(keys) - 1)
    return often[keys.index_select(0, place) != often]


def path_exists(blurs, vertex: Tensor, moves: Tensor, direction: int) -> Tensor:
    """Whether the blur, axis after axis, can go from `vertex` along the axes of `moves`.

    vertex: (n,). moves: (d + 1, n). direction: 1 up, -1 down. Returns: (n,).
    """
    missing = len(blurs[0].starts) - 2
    for blur, move in zip(blurs, moves, strict=True):
        neighbour = blur.indices.view(-1, 3)[:, direction]  # of itself, above, below
        vertex = torch.where(move, neighbour.index_select(0, vertex), vertex)
    return vertex < missing  # who once is at a missing vertex stays there
