"""Effective fields of one span: many taps, few far ones, or many layers."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from dlseg.arithmetic import middle_part
from dlseg.inspect import effective_field
from support.after_deeplab.large_kernels import StripAttention, depthwise

SPAN = 31  # pixels, of all of them
CHANNELS = 8


class Measured(NamedTuple):
    """energy: (31, 31), the squared gradient at each pixel, sum 1. taps: weights of a channel."""

    energy: np.ndarray
    taps: int


def stack(kernel_size: int, rates: Sequence[int]) -> nn.Sequential:
    """Depthwise convolutions at these rates with a ReLU and a mix of channels between them."""
    layers: list[nn.Module] = []
    for rate in rates:
        layers += [depthwise(CHANNELS, kernel_size, rate), nn.Conv2d(CHANNELS, CHANNELS, 1)]
        layers.append(nn.ReLU())
    return nn.Sequential(*layers[:-1])


WAYS: dict[str, Callable[[], nn.Module]] = {
    "one 31x31": lambda: stack(31, [1]),
    "strips of 7, 11, 27": lambda: StripAttention(CHANNELS, (7, 11, 27)),
    "one 3x3 at rate 15": lambda: stack(3, [15]),
    "four 3x3, rates 1, 2, 4, 8": lambda: stack(3, [1, 2, 4, 8]),
    "fifteen 3x3": lambda: stack(3, [1] * 15),
}


def fields_of_span(samples: int = 20, seed: int = 0) -> dict[str, Measured]:
    """The effective field of each of WAYS with random weights: mean over as many networks.

    Source: Luo et al. 2016, for what is measured; Ding et al. 2022, section 4, for the question.
    """
    found = {}
    for name, make in WAYS.items():
        torch.manual_seed(seed)
        networks = [make().double() for _ in range(samples)]
        size = (CHANNELS, SPAN, SPAN)
        energies = [effective_field(one, size, 1, seed) ** 2 for one in networks]
        # Each counts alike, but for those whose ReLUs let nothing through.
        energy = np.mean([one / one.sum() for one in energies if one.any()], 0)
        taps = [one.weight for one in networks[0].modules() if getattr(one, "groups", 1) > 1]
        count = sum(weight.numel() for weight in taps) // CHANNELS
        found[name] = Measured(energy, count)
    return found


def held_within(energy: np.ndarray, share: float = 0.9) -> int:
    """Side, in pixels, of the square around the middle whose columns hold this share of energy."""
    return middle_part(energy.sum(0).tolist(), share)
