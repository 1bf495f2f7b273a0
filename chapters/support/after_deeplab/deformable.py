"""Taps that learn where to look: deformable convolution.

    y(p) = sum over the taps t of w_t x(p + r t + offset_t(p))

A small convolution computes the offsets from the map itself, for every place anew. They are no
integers, so x is read between its pixels, bilinearly; that makes them learnable.
Source: Dai et al. 2017, "Deformable convolutional networks", section 2.1.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def regular_taps(kernel_size: int, rate: int) -> Tensor:
    """Where the taps of a convolution lie, (k^2, 2): pixels down and right of its middle."""
    steps = rate * (torch.arange(kernel_size) - kernel_size // 2)
    return torch.cartesian_prod(steps, steps)


def sample(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """x between its pixels, bilinearly, zero outside; with gradients for x and for the places.

    x: (B, C, H, W). rows, columns: (B, T, H', W'), pixels, need not be whole. Returns:
    (B, C, T, H', W').
    """
    height, width = x.shape[2:]
    # grid_sample has its first pixel's left edge at -1 and its last one's right edge at 1.
    grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], -1)
    y = F.grid_sample(x, grid.flatten(1, 2), align_corners=False)  # (B, C, T H', W')
    return y.unflatten(2, rows.shape[1:3])


def deform_conv2d(x: Tensor, weight: Tensor, offsets: Tensor, rate: int = 1) -> Tensor:
    """Deformable convolution of x (B, C, H, W) with weight (D, C, k, k): (B, D, H, W).

    offsets: (B, 2 k^2, H, W), of each tap pixels down, then right. rate: of the taps before they
    are moved. Zero offsets make it atrous convolution.
    """
    taps = regular_taps(weight.shape[2], rate).to(x)  # (T, 2)
    moved = offsets.unflatten(1, (-1, 2)) + taps[:, :, None, None]  # (B, T, 2, H, W)
    rows, columns = (torch.arange(side).to(x) for side in x.shape[2:])
    x = sample(x, moved[:, :, 0] + rows[:, None], moved[:, :, 1] + columns)  # (B, C, T, H, W)
    return torch.einsum("bcthw,dct->bdhw", x, weight.flatten(2))


class DeformableConv2d(nn.Module):
    """Maps (B, C, H, W) to (B, D, H, W), each place with taps of its own.

    offset: the convolution that computes them; it begins with zeros, so that the layer begins as
    atrous convolution of this rate, and learns to move its taps.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3, rate: int = 1):
        super().__init__()
        self.rate, window = rate, (kernel_size, 1, rate * (kernel_size // 2), rate)
        self.offset = nn.Conv2d(inputs, 2 * kernel_size**2, *window)
        self.weight = nn.Conv2d(inputs, outputs, *window, bias=False).weight  # as it begins
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)

    def forward(self, x: Tensor) -> Tensor:
        return deform_conv2d(x, self.weight, self.offset(x), self.rate)
