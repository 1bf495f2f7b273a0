"""Attention with holes: each query asks a few keys around it, `rate` places apart.

    y(q) = sum over its keys j of softmax_j(q . k_j / sqrt(d) + b(j - q)) v_j

A convolution's taps have fixed weights; here query and key agree on them. Where they lie is still
decided beforehand, by kernel size and rate.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def neighbours(size: int, kernel_size: int, rate: int) -> Tensor:
    """The places of the keys of each query along one axis: integers (size, kernel_size).

    Keys are the nearest ones of the query's own class modulo the rate. Near an end the window does
    not lose keys, as a convolution's does in its padding, but stays inside: the query is no longer
    in the middle.
    Raises: ValueError where kernel_size * rate places are more than there are.
    Source: Hassani et al. 2023, "Neighborhood attention transformer", section 3, and Hassani and
    Shi 2022, "Dilated neighborhood attention transformer", section 3.
    """
    if kernel_size * rate > size:
        raise ValueError(f"{kernel_size} keys at rate {rate} do not fit on {size} places")
    place = torch.arange(size)
    group, index = place % rate, place // rate
    count = (size - 1 - group) // rate + 1  # of places in the group
    first = torch.minimum((index - kernel_size // 2).clamp(min=0), count - kernel_size)
    return group[:, None] + rate * (first[:, None] + torch.arange(kernel_size))


class NeighbourhoodAttention(nn.Module):
    """Neighbourhood attention: maps (B, C, H, W) to (B, C, H, W).

    rates: of each head; all alike in DiNAT, which changes them from layer to layer. kernel_size:
    keys along each axis.
    Raises: ValueError where the heads do not divide the channels, and as `neighbours`.
    """

    def __init__(self, channels: int, rates: Sequence[int] = (1,), kernel_size: int = 3):
        super().__init__()
        if channels % len(rates):
            raise ValueError(f"{len(rates)} heads do not divide {channels} channels")
        self.rates, self.kernel_size = tuple(rates), kernel_size
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        side = 2 * kernel_size - 1  # a key may be so many steps away, to both sides
        self.bias = nn.Parameter(torch.zeros(len(rates), side, side))

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x.movedim(1, -1)).chunk(3, -1)  # three times (B, H, W, C)
        shares = (part.chunk(len(self.rates), -1) for part in qkv)
        heads = zip(*shares, self.rates, self.bias, strict=True)
        y = torch.cat([self.head(*head) for head in heads], -1)  # (B, H, W, C)
        return self.out(y).movedim(-1, 1)

    def head(self, query: Tensor, key: Tensor, value: Tensor, rate: int, bias: Tensor) -> Tensor:
        """What one head makes of its shares of the channels, (B, H, W, d) each, at its rate."""
        height, width, depth = query.shape[1:]
        rows, columns = (neighbours(n, self.kernel_size, rate) for n in (height, width))
        # (B, H, k, W, k, d): for each place the keys, and the values, that it may look at
        key, value = (part[:, rows][:, :, :, columns] for part in (key, value))
        logits = torch.einsum("bhwd,bhiwjd->bhwij", query, key) / depth**0.5
        steps = [(to - torch.arange(len(to))[:, None]) // rate for to in (rows, columns)]
        up, left = (step + self.kernel_size - 1 for step in steps)  # places of the bias
        logits = logits + bias[up][:, :, left].transpose(1, 2)  # (H, k, W, k) to (H, W, k, k)
        weights = logits.flatten(-2).softmax(-1).view_as(logits)
        return torch.einsum("bhwij,bhiwjd->bhwd", weights, value)
