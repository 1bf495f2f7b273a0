"""What the tests of all backbones share: networks without weights, and counts of them."""

import torch
from torch.utils.flop_counter import FlopCounterMode


def without_weights(make, *arguments, **options):
    """The network that `make` builds, in eval mode and without memory for its weights."""
    with torch.device("meta"):
        return make(*arguments, **options).eval()


def parameters(model) -> int:
    """Weights and biases."""
    return sum(values.numel() for values in model.parameters())


def multiply_adds(run, size: int) -> int:
    """Those of `run` on an image of size x size pixels, on the meta device."""
    with FlopCounterMode(display=False) as counter:
        run(torch.empty(1, 3, size, size, device="meta"))
    return counter.get_total_flops() // 2
