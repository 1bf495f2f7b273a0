"""What a pixel sends to itself through the lattice: the diagonal of its matrix.

Pixel i reaches itself from vertex t of its simplex to vertex u, by a blur that moves along some
axes by one step up, or along all others by one step down: the two ends differ by (1, ..., 1), which
is the same vertex. Every step has a factor 1/2, and must lead to a vertex that exists.
"""

import torch
from torch import Tensor

from dlseg.crf.fast.simplex import axes, locate


def lattice_diagonal(lattice, features: Tensor) -> Tensor:
    """k(i, i) of the lattice's matrix, as it is now (normalised or not).

    lattice: a `Lattice`; features: (B, N, d), those it was built of.
    Returns: (B, N, 1).
    """
    batch, pixels, d = features.shape
    flat = features.permute(2, 0, 1).reshape(d, -1)
    axis = axes(locate(flat)[1]).long()  # (d + 1, n), the axis of each step around the simplex
    rank = torch.empty_like(axis)
    rank.scatter_(0, axis, torch.arange(d + 1, device=axis.device)[:, None].expand_as(axis))
    vertices = lattice.slice.indices.view(-1, d + 1)
    weights = lattice.slice.weights.view(-1, d + 1)  # those of splat, but for the gain
    total = weights.square().sum(1)  # to stay
    for begin in range(d + 1):
        for steps in range(1, d + 2):
            for direction, first in ((1, rank - begin), (-1, begin - 1 - rank)):  # up, down
                moves = first.remainder(d + 1) < steps  # (d + 1, n)
                end = weights[:, (begin + direction * steps) % (d + 1)]
                reached = path_exists(lattice.blurs, vertices[:, begin], moves, direction)
                total += weights[:, begin] * end * reached / 2**steps
    return (total * lattice.gain).view(batch, pixels, 1)


def path_exists(blurs, vertex: Tensor, moves: Tensor, direction: int) -> Tensor:
    """Whether the blur, axis after axis, can go from `vertex` along the axes of `moves`.

    vertex: (n,). moves: (d + 1, n). direction: 1 up, -1 down. Returns: (n,).
    """
    missing = len(blurs[0].starts) - 2
    for blur, move in zip(blurs, moves, strict=True):
        neighbour = blur.indices.view(-1, 3)[:, direction]  # of itself, above, below
        vertex = torch.where(move, neighbour.index_select(0, vertex), vertex)
    return vertex < missing  # who once is at a missing vertex stays there
