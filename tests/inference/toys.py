"""Networks of which it is known what they must predict."""

import torch
from torch import Tensor, nn

CLASSES = 4


def images(batch=2, height=20, width=30, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, height, width, generator=generator, dtype=torch.float64)


def convolutions(depth=1, mirrored=False, seed=0):
    """`depth` 3x3 layers: an output depends on the pixels at most `depth` away.

    mirrored: kernels that are their own mirror image, so that the network commutes with mirroring.
    """
    torch.manual_seed(seed)
    channels = [3] + [6] * (depth - 1) + [CLASSES]
    layers = [nn.Conv2d(channels[i], channels[i + 1], 3, padding=1) for i in range(depth)]
    if mirrored:
        for layer in layers:
            layer.weight.data += layer.weight.data.flip(3)
    steps = [module for layer in layers for module in (layer, nn.Tanh())]
    return nn.Sequential(*steps[:-1]).double()


def pointwise(seed=0):
    """A 1x1 layer: every pixel by itself."""
    torch.manual_seed(seed)
    return nn.Conv2d(3, CLASSES, 1).double()


class Watched(nn.Module):
    """Passes on to a model, and keeps the sizes and modes it was called with."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self.calls = []

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append((tuple(x.shape), self.training, torch.is_grad_enabled()))
        return self.model(x)
