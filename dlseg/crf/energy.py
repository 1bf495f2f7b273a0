"""What mean field makes small: the energy of a labelling, and the free energy of Q.

    E(x) = sum_i U_i(x_i) + sum_{i<j} sum_kernels K(i, j) mu(x_i, x_j)        U = -log P
    F(Q) = sum_i sum_l Q_i(l) (log Q_i(l) + U_i(l))
           + 1/2 sum_ij sum_kernels K(i, j) sum_lm Q_i(l) mu(l, m) Q_j(m)
         = KL(Q || P(x)) - log Z,     P(x) = exp(-E(x)) / Z

so that F(Q) >= -log Z for every Q, if K has no diagonal. With the diagonal kept and Potts penalties
F is higher still, and the parallel update never raises it as long as K is symmetric and positive
semidefinite (the concave part is replaced by its tangent: the concave-convex procedure).
Kraehenbuehl and Koltun 2011, section 3 (mean field); 2013 (the convergent update).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dlseg.crf.exact import ExactFilter, Filter, check_unary, mean_field_steps
from dlseg.crf.kernels import Kernel, compatibility, features, to_maps, to_pixels
from dlseg.doors import check_labels, check_maps


def pairwise_energy(q: Tensor, filters: Sequence[Filter], weights: Sequence[Tensor]) -> Tensor:
    """The pairwise sum for a Q, or for a labelling written as ones and zeros; each pair once.

    q: (B, C, H, W). filters: one per kernel, each maps (B, N, C) to the messages (B, N, C); a
    matrix is one by its method `matmul`. weights: (), (C,) or (C, C) each, see `Kernel`.
    Returns: (B,).
    """
    check_maps("q", q)
    total = q.new_zeros(q.shape[0])
    pixels = to_pixels(q)  # (B, N, C)
    for apply, weight in zip(filters, weights, strict=True):
        cost = apply(pixels) @ compatibility(weight.to(q), q.shape[1]).mT
        total = total + (pixels * cost).sum((1, 2))
    return total / 2


def labelling_energy(
    labels: Tensor, unary: Tensor, filters: Sequence[Filter], weights: Sequence[Tensor]
) -> Tensor:
    """E(x) of labellings.

    labels: (B, H, W) integers 0..C-1. unary: (B, C, H, W) energies, or one for all. The rest as for
    `pairwise_energy`; a filter with a diagonal adds half of K(i, i) mu(l, l) per pixel, which is 0
    for a Potts number.
    Returns: (B,). Raises: ValueError for labels outside 0..C-1.
    """
    check_maps("unary", unary)
    check_labels("labels", labels, unary.shape[1], None)
    if labels.shape[1:] != unary.shape[2:] or len(unary) not in (1, len(labels)):
        raise ValueError(f"labels are {tuple(labels.shape)}, the unary {tuple(unary.shape)}")
    chosen = F.one_hot(labels.long(), unary.shape[1]).movedim(-1, 1).to(unary)  # (B, C, H, W)
    return (chosen * unary).sum((1, 2, 3)) + pairwise_energy(chosen, filters, weights)


def free_energy(
    q: Tensor, unary: Tensor, filters: Sequence[Filter], weights: Sequence[Tensor]
) -> Tensor:
    """F(Q) = KL(Q || P) - log Z: the divergence of Q from the CRF, up to the constant log Z.

    q, unary: (B, C, H, W). filters, weights: as for `pairwise_energy`. Returns: (B,).
    Raises: ValueError for other forms.
    """
    check_maps("unary", unary)
    check_maps("q", q)
    if q.shape != unary.shape:
        raise ValueError(f"q is {tuple(q.shape)}, the unary {tuple(unary.shape)}")
    single = (q * unary - torch.special.entr(q)).sum((1, 2, 3))  # entr(q) = -q log q, 0 at 0
    return single + pairwise_energy(q, filters, weights)


@dataclass(frozen=True)
class Progress:
    """One line of `mean_field_progress`: numbers of the whole batch.

    iteration: 0 is the softmax. energy: of the most likely labels. free_energy: F(Q). changed:
    share of pixels whose label differs from the line before.
    """

    iteration: int
    energy: float
    free_energy: float
    changed: float


def mean_field_progress(
    unary: Tensor,
    image: Tensor,
    kernels: Sequence[Kernel],
    iterations: int = 10,
    normalization: str = "symmetric",
    self_term: bool = True,
) -> list[Progress]:
    """Energy and free energy before and after each iteration, exactly, in memory for N pixels.

    unary: (B, C, H, W) energies; image: (B, 3, H, W), see `features`. normalization, self_term: as
    for `normalise`. Raises: ValueError as `mean_field` does.
    """
    check_unary(unary, image, iterations)
    filters = [
        ExactFilter(features(image, kernel, unary.dtype), normalization, self_term)
        for kernel in kernels
    ]
    weights = [kernel.weight_tensor(unary.dtype, unary.device) for kernel in kernels]
    lines, before = [], None
    for iteration, pixels in enumerate(
        mean_field_steps(to_pixels(unary), filters, weights, iterations)
    ):
        q = to_maps(pixels, tuple(unary.shape[2:]))
        labels = q.argmax(1)
        changed = 0.0 if before is None else (labels != before).double().mean().item()
        total = labelling_energy(labels, unary, filters, weights).sum().item()
        free = free_energy(q, unary, filters, weights).sum().item()
        lines.append(Progress(iteration, total, free, changed))
        before = labels
    return lines
