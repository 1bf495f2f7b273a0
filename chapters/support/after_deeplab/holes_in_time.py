"""Holes in time: convolutions along a sequence that see only the past, and ever farther.

WaveNet doubles its rates from layer to layer, TCN from block to block. Their field is that of
chapter 03, along one axis.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.arithmetic import effective_kernel


class Asked(NamedTuple):
    """A field that users of a library asked for in public.

    rates: of one stack, which runs `stacks` times. said: the answer that was given first, steps.
    """

    where: str
    kernel_size: int
    rates: tuple[int, ...]
    stacks: int
    said: int


ASKED = (
    Asked("philipperemy/keras-tcn#8", 8, (1, 2, 4, 8), 3, 192),
    Asked("ibab/tensorflow-wavenet#259", 2, tuple(2**k for k in range(10)), 1, 1025),
    Asked("paul-krug/pytorch-tcn#13", 4, tuple(2**k for k in range(7)), 1, 763),
)


def doubling(largest: int, stacks: int = 1) -> list[int]:
    """The rates 1, 2, 4, ... up to `largest`, a power of two, and that `stacks` times over.

    Source: WaveNet (van den Oord et al. 2016), section 2.1, with 512.
    """
    return [2**power for power in range(largest.bit_length())] * stacks


def field_in_time(kernel_size: int, rates: Sequence[int], convolutions: int = 1) -> int:
    """Steps that one output sees, itself included: 1 + n (k - 1) sum of the rates.

    convolutions: n, how many layers there are at each rate; TCN has two in a block.
    """
    return 1 + convolutions * (kernel_size - 1) * sum(rates)


def causal(inputs: int, outputs: int, kernel_size: int, rate: int = 1) -> nn.Sequential:
    """Convolution of (B, inputs, T) to (B, outputs, T) that reads the present and the past.

    All of the padding, K - 1 steps, lies before the first step; half of it, as on pictures, would
    let every output read (K - 1) / 2 steps of its future.
    Source: WaveNet, section 2.1; TCN (Bai, Kolter and Koltun 2018), section 3.2.
    """
    past = nn.ConstantPad1d((effective_kernel(kernel_size, rate) - 1, 0), 0.0)
    return nn.Sequential(past, nn.Conv1d(inputs, outputs, kernel_size, dilation=rate))


class GatedLayer(nn.Module):
    """A layer of WaveNet: (B, C, T) to itself plus what a gate lets through, (B, C, T).

    Source: WaveNet, sections 2.3 and 2.4. Its outputs to the side are left out.
    """

    def __init__(self, channels: int, kernel_size: int = 2, rate: int = 1):
        super().__init__()
        self.conv = causal(channels, 2 * channels, kernel_size, rate)
        self.mix = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        filtered, gate = self.conv(x).chunk(2, 1)  # (B, C, T) each
        return x + self.mix(filtered.tanh() * gate.sigmoid())


class TemporalBlock(nn.Module):
    """A block of TCN: causal convolutions at one rate beside a shortcut, (B, C, T) to (B, D, T).

    convolutions: how many, each with a ReLU. The paper's weight normalisation and dropout are left
    out: they move nothing in time.
    Source: TCN, section 3.4 and figure 1.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, rate: int, convolutions=2):
        super().__init__()
        widths = [inputs] + [outputs] * convolutions
        self.convs = nn.ModuleList(causal(*pair, kernel_size, rate) for pair in pairwise(widths))
        self.shortcut = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for conv in self.convs:
            y = F.relu(conv(y))  # (B, D, T)
        return F.relu(y + self.shortcut(x))


def wavenet(channels: int, largest: int = 512, stacks: int = 1) -> nn.Sequential:
    """Gated layers of kernel 2 at doubling rates behind one causal convolution, (B, 1, T) to C.

    That first convolution, at rate 1, adds a step to the field.
    """
    layers = [GatedLayer(channels, 2, rate) for rate in doubling(largest, stacks)]
    return nn.Sequential(causal(1, channels, 2), *layers)


def tcn(channels: int, kernel_size: int, rates: Sequence[int], convolutions: int = 2):
    """Temporal blocks at these rates, (B, 1, T) to (B, channels, T)."""
    widths = [1] + [channels] * (len(rates) - 1)
    blocks = zip(widths, rates, strict=True)
    return nn.Sequential(
        *(TemporalBlock(width, channels, kernel_size, rate, convolutions) for width, rate in blocks)
    )
