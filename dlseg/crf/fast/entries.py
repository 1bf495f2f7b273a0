"""The pairs of pixel and lattice vertex, numbered and sorted by vertex.

A vertex is a class of d + 1 integers, v and v + (1, ..., 1) being the same. Its key is one integer,
linear in v, so that a step along an axis always adds the same number to the key.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dlseg.crf.fast.simplex import BLOCK, axes, barycentric, locate

MAX_FEATURES = 8
SPARE = 3  # vertices are at most one step away from q, bridges two, neighbours three
KEY_BITS = 61  # of 64: one for the sign, two for `neighbours`


class Entries(NamedTuple):
    """All n (d + 1) pairs of pixel and vertex, sorted by vertex; within one, by pixel's number."""

    key: Tensor  # int64, the vertex
    pixel: Tensor  # int32
    place: Tensor  # pixel (d + 1) + the vertex's number in the pixel's simplex


def check_features(features: Tensor) -> None:
    """ValueError unless features are (B, N, d), d in 1..8, float32 or float64, and not too many."""
    if features.dim() != 3 or 0 in features.shape or features.shape[2] > MAX_FEATURES:
        raise ValueError(
            f"features must be (B, N, d) with d in 1..{MAX_FEATURES}, got {tuple(features.shape)}"
        )
    if features.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"features must be float32 or float64, got {features.dtype}")
    batch, pixels, d = features.shape
    if batch * pixels * (d + 1) >= 2**31:
        raise ValueError(f"{batch} images of {pixels} pixels are too many at once; give fewer")


def sorted_entries(features: Tensor, names: Sequence[str]) -> tuple[Entries, Tensor, list[int]]:
    """The entries, the barycentric weights (B N, d + 1), and the key's step along each axis.

    features: (B, N, d); names: one per feature. Raises: ValueError for too long keys.
    """
    batch, pixels, d = features.shape
    n = batch * pixels
    corner, order, low, high = locate(features.permute(2, 0, 1).reshape(d, n))
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
