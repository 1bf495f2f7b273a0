"""Which vertices of the permutohedral lattice a pixel touches: its simplex, numbered and sorted.

The lattice in d dimensions is Z^{d+1} seen along (1, ..., 1): v and v + (1, ..., 1) are one vertex.
Rounding a point down gives a corner q; adding 1 to the coordinate with the largest fraction gives
the next vertex, and so on, until after d + 1 steps all coordinates have been raised and q is back.
The point is the mean of these d + 1 vertices with weights that are differences of the sorted
fractions. (Adams, Baek and Davis 2010, section 3, say it with multiples of d + 1 and remainders.)
A vertex's key is one integer, linear in v, so that a step along an axis always adds one number.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dlseg.checks import described

BLOCK = 32768  # pixels of which all d + 1 coordinates stay in the cache
AXIS_BITS = 4  # an axis, 0..8, sits in the low bits of its fraction while the fractions are sorted
MAX_FEATURES = 8
SPARE = 3  # vertices are at most one step away from q, bridges two, neighbours three
KEY_BITS = 61  # of 64: one for the sign, two for `neighbours`


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


def locate(
    features: Tensor, first_axis: bool = False
) -> tuple[Tensor, Tensor, list[int], list[int]]:
    """The simplex around each point.

    features: (d, n), float32 or float64. first_axis: which of two equal fractions counts as larger,
    that of the first axis or that of the last; the point lies between two simplices then.
    Returns: the corner q (d + 1, n) int32; the sorted fractions (d + 1, n), the largest first, as
    integers with the axis in the low bits, for `axes` and `barycentric`; the least and the largest
    q_j - q_d, one per j < d.
    """
    d, n = features.shape
    corner = torch.empty(d + 1, n, dtype=torch.int32, device=features.device)
    kind = torch.int64 if features.dtype == torch.float64 else torch.int32
    order = torch.empty_like(corner, dtype=kind)
    axis = torch.arange(d + 1, dtype=kind, device=features.device)[:, None]
    # A few units of a fraction's last bit: less than the rounding of a feature.
    ahead = axis.flip(0) << AXIS_BITS if first_axis else 0
    ranges = []
    for begin in range(0, n, BLOCK):
        part = slice(begin, begin + BLOCK)
        y = elevate(features[:, part])
        q = y.floor()
        corner[:, part] = q
        order[:, part] = (y - q) * fraction_unit(kind)
        sort_rows_(order[:, part].mul_(1 << AXIS_BITS).add_(axis + ahead))
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


class Entries(NamedTuple):
    """All n (d + 1) pairs of pixel and vertex, sorted by vertex; within one, by pixel's number."""

    key: Tensor  # int64, the vertex
    pixel: Tensor  # int32
    place: Tensor  # pixel (d + 1) + the vertex's number in the pixel's simplex


def check_features(features: Tensor) -> None:
    """ValueError unless features are (B, N, d), d in 1..8, float32 or float64, and not too many."""
    fits = isinstance(features, Tensor) and features.dim() == 3 and 0 not in features.shape
    if not fits or features.shape[2] > MAX_FEATURES:
        got = tuple(features.shape) if isinstance(features, Tensor) else described(features)
        raise ValueError(f"features must be (B, N, d) with d in 1..{MAX_FEATURES}, got {got}")
    if features.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"features must be float32 or float64, got {features.dtype}")
    batch, pixels, d = features.shape
    if batch * pixels * (d + 1) >= 2**31:
        raise ValueError(f"{batch} images of {pixels} pixels are too many at once; give fewer")


def sorted_entries(
    features: Tensor, names: Sequence[str], first_axis: bool = False
) -> tuple[Entries, Tensor, list[int]]:
    """The entries, the barycentric weights (B N, d + 1), and the key's step along each axis.

    features: (B, N, d); names: one per feature; first_axis: as for `locate`.
    Raises: ValueError for too long keys.
    """
    batch, pixels, d = features.shape
    n = batch * pixels
    corner, order, low, high = locate(features.permute(2, 0, 1).reshape(d, n), first_axis)
    strides, image = key_strides(low, high)
    check_range(features, names, max(map(abs, low + high)), batch * image)
    lowest = sum(stride * (bottom - SPARE) for stride, bottom in zip(strides, low, strict=False))
    # Where there is room, an entry's number is in its key's low bits and is sorted with it.
    pixel_bits = (n - 1).bit_length()
    bits = pixel_bits + d.bit_length()
    if not features.is_cpu or bits > 31 or (batch * image << bits).bit_length() > KEY_BITS:
        bits = 0
    steps = torch.tensor([stride << bits for stride in strides], device=features.device)
    number = torch.arange(n, device=features.device)
    base = torch.arange(batch, device=features.device) * (image << bits) - (lowest << bits)
    base = base.repeat_interleave(pixels)  # (n,)
    keys = torch.empty(d + 1, n, dtype=torch.int64, device=features.device)
    weights = features.new_empty(n, d + 1)
    for begin in range(0, n, BLOCK):
        part = slice(begin, begin + BLOCK)
        block = vertex_keys(base[part], corner[:, part], order[:, part], steps)
        if bits:
            block += number[part]
            block += torch.arange(d + 1)[:, None] << pixel_bits
        keys[:, part] = block
        weights[part] = barycentric(order[:, part], features.dtype).T
    return sort_packed(keys, bits, pixel_bits) if bits else sort_plain(keys), weights, strides


def key_strides(low: list[int], high: list[int]) -> tuple[list[int], int]:
    """Steps of the key along the d + 1 axes, and the number of different keys of one image.

    A key is a number with d digits v_j - v_d, each with SPARE values more at both ends.
    low, high: ranges of q_j - q_d, see `locate`.
    """
    extents = [top - bottom + 1 + 2 * SPARE for bottom, top in zip(low, high, strict=True)]
    strides = [math.prod(extents[j + 1 :]) for j in range(len(extents))]
    return [*strides, -sum(strides)], math.prod(extents)


def check_range(features: Tensor, names: Sequence[str], largest: int, keys: int) -> None:
    """ValueError if a vertex has too large coordinates, or there are too many different keys."""
    exact = 2**24 if features.dtype == torch.float32 else 2**31
    if largest < exact and keys.bit_length() <= KEY_BITS:
        return
    span = features.amax((0, 1)) - features.amin((0, 1))
    widest = int(span.argmax())
    raise ValueError(
        f"{names[widest]} is too small for the lattice: the features run over {span[widest]:.3g} "
        f"times that sigma, and a vertex would need {keys.bit_length()} of {KEY_BITS} bits; "
        "enlarge it"
    )


def vertex_keys(base: Tensor, corner: Tensor, order: Tensor, steps: Tensor) -> Tensor:
    """Keys (d + 1, m) of the vertices of m simplices, see `locate`; base (m,): key of 0."""
    keys = base.new_empty(corner.shape)
    keys[0] = base
    for j, step in enumerate(steps.tolist()):
        keys[0] += corner[j].long() * step
    axis = axes(order)
    for t in range(len(keys) - 1):
        torch.add(keys[t], steps.index_select(0, axis[t]), out=keys[t + 1])
    return keys


def sort_packed(keys: Tensor, bits: int, pixel_bits: int) -> Entries:
    """Sort keys (d + 1, n) that carry the entry's number: NumPy does so with vector instructions.

    bits: of the number; pixel_bits: the lower ones, of the pixel. Works in place, since new memory
    takes as long as a pass over it.
    """
    ordered = keys.view(-1)
    ordered.numpy().sort()
    code = ordered.int().bitwise_and_((1 << bits) - 1)
    pixel = code & ((1 << pixel_bits) - 1)
    place = code.bitwise_right_shift_(pixel_bits).add_(pixel, alpha=len(keys))
    return Entries(ordered.bitwise_right_shift_(bits), pixel, place)


def sort_plain(keys: Tensor) -> Entries:
    """Sort keys (d + 1, n) without numbers, on devices other than the CPU and if they are long."""
    key, entry = keys.view(-1).sort(stable=True)
    pixel = entry % keys.shape[1]
    return Entries(key, pixel.int(), pixel * len(keys) + entry // keys.shape[1])


def merge(*parts: Tensor) -> Tensor:
    """The numbers of some sorted lists as one; NumPy's stable sort sees that they are sorted."""
    both = torch.cat(parts)
    if not both.is_cpu:
        return both.sort().values
    both.numpy().sort(kind="stable")
    return both


def where_true(mask: Tensor) -> Tensor:
    """The places of True, on the CPU by NumPy, which is three times as quick as `nonzero`."""
    return torch.from_numpy(np.flatnonzero(mask.numpy())) if mask.is_cpu else mask.nonzero()[:, 0]
