"""Multiply-adds as the papers on DeepLab v3 and v3+ count them, and how to get a network to count.

Their TensorFlow ran a dense convolution with a rate on small maps cut out of a padded one, and
counted the padding; see chapter 06.
"""

from collections.abc import Callable

import torch
from torch import nn

SIDE = 513  # pixels; a map with stride s has 512 / s + 1 units


def on_meta(make: Callable, *arguments, **options) -> nn.Module:
    """`make(*arguments, **options)` without numbers in its weights: enough to count, and quick."""
    with torch.device("meta"):
        return make(*arguments, **options).eval()


def multiply_adds(network: nn.Module, *sides: int) -> tuple[float, float]:
    """Of all convolutions for one square image of each side, in 10^9: (as they are, padded).

    network: on meta, see `on_meta`; its maps round up, as those of every backbone but VGG-16 do.
    sides: pixels, 513 if none. Padded: each map that a dense convolution of rate r makes is as wide
    as the next multiple of r. Depthwise convolutions took their rates as they are.
    """
    plain = padded = 0
    for weights, stride, rate in _layers(network):
        for side in sides or (SIDE,):
            width = -(-side // stride) if stride else 1
            plain += weights * width**2
            padded += weights * (-(-width // rate) * rate) ** 2
    return plain / 1e9, padded / 1e9


def _layers(network: nn.Module) -> list[tuple[int, int, int]]:
    """Weights, stride and rate of each convolution, run once; stride 0 behind image pooling."""
    layers = []

    def note(conv: nn.Conv2d, _inputs, y) -> None:
        steps = y.shape[-1] - 1
        rate = conv.dilation[0] if conv.groups == 1 else 1
        layers.append((conv.weight.numel(), (SIDE - 1) // steps if steps else 0, rate))

    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    handles = [conv.register_forward_hook(note) for conv in convs]
    try:
        with torch.no_grad():
            network(torch.empty(1, 3, SIDE, SIDE, device="meta"))
    finally:
        for handle in handles:
            handle.remove()
    return layers
