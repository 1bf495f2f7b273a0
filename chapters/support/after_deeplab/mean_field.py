"""The dense CRF is attention: a step of mean field is softmax attention with fixed weights.

    Q_i <- softmax(-U_i + sum over the kernels of w sum_j A_ij Q_j)
    A_ij = softmax_j(-|f_i - f_j|^2 / 2) = k(i, j) / sum_j k(i, j)

f are positions and colours, each divided by its sigma: query and key at once. Nobody learns them.
Source: Kraehenbuehl and Koltun 2011, algorithm 1, with the kernel divided by its sum; Vaswani et
al. 2017, equation 1.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def kernel_attention(f: Tensor, values: Tensor) -> Tensor:
    """Softmax attention in which every pixel asks all pixels: A values, (N, C).

    f: (N, d), features divided by their sigmas. values: (N, C).
    |f_i - f_j|^2 / 2 is |f_i|^2 / 2 + |f_j|^2 / 2 - f_i f_j; the softmax over j takes no notice of
    the first, and a column of the key carries the second.
    """
    query = torch.cat([f, torch.ones_like(f[:, :1])], 1)  # (N, d + 1)
    key = torch.cat([f, -f.square().sum(1, keepdim=True) / 2], 1)
    batch = (part[None] for part in (query, key, values))
    return F.scaled_dot_product_attention(*batch, scale=1.0)[0]


def mean_field_step(
    q: Tensor, unary: Tensor, features: Sequence[Tensor], weights: Sequence[float]
) -> Tensor:
    """Q after one more iteration, (N, C): each kernel is a head, and their messages are added.

    q: (N, C). unary: (N, C) energies -log P. features: (N, d) of each kernel, from
    `dlseg.crf.features`. weights: of each kernel, what two different labels cost (Potts).
    """
    heads = zip(features, weights, strict=True)
    messages = sum(weight * kernel_attention(f, q) for f, weight in heads)
    return (messages - unary).softmax(1)
