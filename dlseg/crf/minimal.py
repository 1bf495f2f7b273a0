"""The fast dense CRF in one screen: permutohedral lattice and mean field, torch alone, one image.

The same result as pydensecrf, and about its speed. `DenseCRF` is the one to use: it takes batches,
has gradients, and is faster. Sources: Adams, Baek and Davis 2010 (lattice), Kraehenbuehl and Koltun
2011 (mean field). The simplex is found by rounding down, not by rounding and repairing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlseg.crf.exact import check_pixels, check_rows


def simplex(f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The d + 1 corners of the lattice around each pixel, and how near it is to each.

    f: (N, d) features divided by their sigmas.
    Returns: keys (N, d + 1), an integer for each corner; weights (N, d + 1), sums of 1; steps
    (d + 1,), what is added to a key to get to the next corner along each of the d + 1 axes.
    Raises: ValueError if the features run over too many sigmas for keys of 64 bits.
    """
    check_rows(f)
    d = f.shape[1]
    j = torch.arange(1.0, d + 1, device=f.device)
    lift = torch.ones(d + 1, d, device=f.device).triu() - torch.diag(j, -1)[:, :d]
    y = (f / (1.5 * j * (j + 1)).sqrt()) @ lift.T  # (N, d + 1), on the plane where sum(y) = 0
    low = y.floor()
    rest, order = (y - low).sort(1, descending=True)
    weights = torch.cat([1 + rest[:, -1:] - rest[:, :1], rest[:, :-1] - rest[:, 1:]], 1)
    low = (low[:, :d] - low[:, d:]).long()  # adding 1 to all d + 1 numbers stays at the corner
    base = int(low.amax() - low.amin()) + 5
    if base**d > 2**62:
        raise ValueError(f"{base} corners along each of {d} axes are too many; widen the sigmas")
    steps = base ** torch.arange(d, device=f.device)
    steps = torch.cat([steps, -steps.sum(0, keepdim=True)])
    first = (low * steps[:d]).sum(1, keepdim=True)  # corner t is up by 1 along t axes
    return torch.cat([first, first + steps[order[:, :d]].cumsum(1)], 1), weights, steps


def lattice(f: Tensor, weight: float) -> list[tuple]:
    """The Gaussian filter of features f (N, d), normalised, times weight, as sparse tables.

    Returns: d + 3 tables (rows, starts, weights) for `gaussian_filter`: splat, d + 1 blurs, slice.
    """
    keys, near, steps = simplex(f)
    keys, order = keys.flatten().sort()
    corners, place, count = keys.unique_consecutive(return_inverse=True, return_counts=True)
    place = torch.empty_like(place).scatter_(0, order, place).view_as(near).int()
    pixels, near_in_order = (order // len(steps)).int(), near.flatten()[order]
    own, blurs = torch.arange(len(corners), device=f.device), []
    for step in steps:
        above = torch.searchsorted(corners, corners + step).clamp_(max=len(corners) - 1)
        low = (corners[above] == corners + step).nonzero()[:, 0]  # where that neighbour exists
        line = own[:, None].repeat(1, 3)  # itself, the next corner and the one before
        line[low, 1], line[above[low], 2] = above[low], low
        half = (line[:, 1:] != own[:, None]) * 0.5  # and 0 where there is no neighbour
        blurs.append((line.int(), None, F.pad(half, (1, 0), value=1.0)))
    starts = (count.cumsum(0) - count).int()
    tables = [(pixels, starts, near_in_order), *blurs, (place, None, near)]
    root = (gaussian_filter(tables, torch.ones_like(f[:, :1])) + 1e-20).rsqrt()  # n^-1/2
    splat = (pixels, starts, near_in_order * root[pixels, 0])
    return [splat, *blurs, (place, None, near * root * weight)]


def gaussian_filter(tables: list[tuple], x: Tensor) -> Tensor:
    """K x for x (N, C); each table adds up weighted rows of what came before."""
    for rows, starts, weights in tables:
        x = F.embedding_bag(rows, x, starts, mode="sum", per_sample_weights=weights)
    return x


def lattice_mean_field(unary: Tensor, image: Tensor, kernels: list[tuple], iterations: int = 10):
    """Q (C, H, W) after mean field with the kernels (sxy, srgb or None, weight).

    unary: (C, H, W) energies -log P. image: (H, W, 3) colours in 0..255. sxy in pixels.
    Raises: ValueError for what `DenseCRF` refuses, and as `simplex`.
    """
    check_pixels(unary, image, kernels, iterations)
    channels, height, width = unary.shape
    y, x = torch.meshgrid(*map(torch.arange, (height, width)), indexing="ij")
    xy = torch.stack([x, y], -1).to(unary).reshape(-1, 2)  # (N, 2)
    rgb = image.to(unary).reshape(-1, 3)
    filters = []
    for sxy, srgb, weight in kernels:
        f = xy / sxy if srgb is None else torch.cat([xy / sxy, rgb / srgb], 1)
        filters.append(lattice(f, weight))
    unary = unary.reshape(channels, -1).T.contiguous()  # (N, C)
    q = (-unary).softmax(1)
    for _ in range(iterations):
        logits = -unary
        for tables in filters:
            logits += gaussian_filter(tables, q)
        q = logits.softmax(1)
    return q.T.reshape(channels, height, width)
