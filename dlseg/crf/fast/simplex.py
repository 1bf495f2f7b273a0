"""Which simplex of the permutohedral lattice a pixel lies in, and where in it.

The lattice in d dimensions is Z^{d+1} seen along (1, ..., 1): v and v + (1, ..., 1) are one vertex.
Rounding a point down gives a corner q; adding 1 to the coordinate with the largest fraction gives
the next vertex, and so on, until after d + 1 steps all coordinates have been raised and q is back.
The point is the mean of these d + 1 vertices with weights that are differences of the sorted
fractions. (Adams, Baek and Davis 2010, section 3, say it with multiples of d + 1 and remainders.)
"""

import math

import torch
from torch import Tensor

BLOCK = 32768  # pixels of which all d + 1 coordinates stay in the cache
AXIS_BITS = 4  # an axis, 0..8, sits in the low bits of its fraction while the fractions are sorted


def elevate(features: Tensor) -> Tensor:
    """The features, turned into the plane of d + 1 coordinates with sum 0.

    features: (d, n), each divided by its sigma.
    Returns: (d + 1, n), in units in which splat, blur and slice together have variance 1 per
    feature: the blur along d + 1 axes has 1/2, splat and slice about 1/6, in sum 2/3.
    """
    d = len(features)
    y = features.new_empty(d + 1, features.shape[1])
    total = torch.zeros_like(features[0])
    for j in range(d, 0, -1):
        part = features[j - 1] * math.sqrt(2 / 3 / (j * (j + 1)))
        y[j] = total - j * part
        total = total + part
    y[0] = total
    return y


def locate(features: Tensor) -> tuple[Tensor, Tensor, list[int], list[int]]:
    """The simplex around each point.

    features: (d, n), float32 or float64.
    Returns: the corner q (d + 1, n) int32; the sorted fractions (d + 1, n), the largest first, as
    integers with the axis in the low bits, for `axes` and `barycentric`; the least and the largest
    q_j - q_d, one per j < d.
    """
    d, n = features.shape
    corner = torch.empty(d + 1, n, dtype=torch.int32, device=features.device)
    kind = torch.int64 if features.dtype == torch.float64 else torch.int32
    order = torch.empty_like(corner, dtype=kind)
    axis = torch.arange(d + 1, dtype=kind, device=features.device)[:, None]
    ranges = []
    for begin in range(0, n, BLOCK):
        part = slice(begin, begin + BLOCK)
        y = elevate(features[:, part])
        q = y.floor()
        corner[:, part] = q
        order[:, part] = (y - q) * fraction_unit(kind)
        sort_rows_(order[:, part].mul_(1 << AXIS_BITS).add_(axis))
        digits = q[:-1] - q[-1]
        ranges.append(torch.stack([digits.amin(1), digits.amax(1)]))
    low, high = torch.stack(ranges).unbind(1)
    return corner, order, low.amin(0).long().tolist(), high.amax(0).long().tolist()


def fraction_unit(kind: torch.dtype) -> int:
    """The integer for a fraction of 1: every bit of the float, and room for the axis below."""
    return 1 << (52 if kind == torch.int64 else 26)


def sort_rows_(rows: Tensor) -> Tensor:
    """Sort each column of a few long rows in place, the largest on top.

    Compare and swap neighbours, even pairs and odd pairs in turn: every step is one pass over whole
    rows. A call of `torch.sort` along so short an axis takes many times as long.
    """
    for i in range(len(rows)):
        upper, lower = rows[i % 2 : -1 : 2], rows[i % 2 + 1 :: 2]
        smaller = torch.minimum(upper, lower)
        torch.maximum(upper, lower, out=upper)
        lower.copy_(smaller)
    return rows


def axes(order: Tensor) -> Tensor:
    """The axis of each sorted fraction: step t goes from vertex t to vertex t + 1 along axes[t]."""
    return order & ((1 << AXIS_BITS) - 1)


def barycentric(order: Tensor, dtype: torch.dtype) -> Tensor:
    """The weights (d + 1, n) of the vertices, sums of 1: differences of the sorted fractions."""
    fraction = order >> AXIS_BITS
    unit = fraction_unit(order.dtype)
    weights = torch.empty(order.shape, dtype=dtype, device=order.device)
    weights[0] = fraction[-1] - fraction[0] + unit
    weights[1:] = fraction[:-1] - fraction[1:]
    return weights.mul_(1 / unit)
