"""Atrous convolution three ways, and the kernel with its holes filled in by zeros.

    y[i] = sum_k x[s i + r k] w[k]          (DeepLab v2, Eq. 1; v3, Eq. 1)

All three take the arguments of `torch.nn.functional.conv2d` under the field's names and return
the same map: tap by tap, as PyTorch's `dilation`, and on a subsampled grid.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dlseg.arithmetic import effective_kernel, output_size
from dlseg.checks import check_integer, described

LARGEST = 2**16  # pixels: rate, stride and padding are no longer than any image


def output_shape(x: Tensor, weight: Tensor, rate: int, stride: int, padding: int) -> tuple:
    """Shape (B, D, H', W') of the convolution of x (B, C, H, W) with weight (D, C, k, k).

    rate, stride, padding: pixels of x, the same for both axes.
    Raises: ValueError if the shapes do not fit each other, or the kernel does not fit into x.
    """
    check_fits(x, weight)
    height = output_size(x.shape[2], weight.shape[2], stride, padding, rate)
    width = output_size(x.shape[3], weight.shape[3], stride, padding, rate)
    return x.shape[0], weight.shape[0], height, width


def check_fits(x: Tensor, weight: Tensor) -> None:
    """ValueError unless x (B, C, H, W) and weight (D, C, k, k) are floats that fit each other."""
    if not isinstance(x, Tensor) or x.dim() != 4:
        raise ValueError(f"expected x (B, C, H, W), got {described(x)}")
    check_weight(weight)
    if x.shape[1] != weight.shape[1]:
        raise ValueError(
            "expected x (B, C, H, W) and weight (D, C, k, k) with the same C, "
            f"got {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    if x.dtype != weight.dtype or not x.is_floating_point():
        raise ValueError(
            f"x and weight must be floats of one kind, got {described(x)} and {described(weight)}"
        )


def check_weight(weight: Tensor) -> None:
    """ValueError unless weight is (D, C, k, k), at least one of each."""
    if not isinstance(weight, Tensor) or weight.dim() != 4 or 0 in weight.shape:
        raise ValueError(f"expected weight (D, C, k, k), got {described(weight)}")


def check_window(rate: int, stride: int, padding: int) -> tuple[int, int, int]:
    """The three as plain ints. ValueError unless rate and stride are >= 1 and padding is >= 0."""
    given = (("rate", rate, 1), ("stride", stride, 1), ("padding", padding, 0))
    return tuple(check_integer(*number, LARGEST) for number in given)


def insert_zeros(weight: Tensor, rate: int) -> Tensor:
    """The same kernel with rate - 1 zeros between its taps.

    weight: (D, C, k, k).
    Returns: (D, C, K, K) with K = k + (k-1)(rate-1). Source: DeepLab v2, section 3.1.
    """
    check_weight(weight)
    rate = check_integer("rate", rate, 1, LARGEST)
    rows = effective_kernel(weight.shape[2], rate)
    columns = effective_kernel(weight.shape[3], rate)
    holes = weight.new_zeros(*weight.shape[:2], rows, columns)
    holes[:, :, ::rate, ::rate] = weight
    return holes


def atrous_taps(x: Tensor, weight: Tensor, rate: int = 1, stride: int = 1, padding: int = 0):
    """Atrous convolution as the formula says it: one shifted, scaled copy of x per tap.

    x: (B, C, H, W). weight: (D, C, k, k).
    rate, stride, padding: pixels of x, the same for both axes.
    Returns: (B, D, H', W'). Raises: ValueError if the shapes do not fit.
    """
    rate, stride, padding = check_window(rate, stride, padding)
    check_fits(x, weight)
    y = x.new_zeros(output_shape(x, weight, rate, stride, padding))  # (B, D, H', W')
    height, width = y.shape[2:]
    x = F.pad(x, [padding] * 4)  # (B, C, H + 2p, W + 2p)
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            rows = slice(i * rate, i * rate + stride * (height - 1) + 1, stride)
            columns = slice(j * rate, j * rate + stride * (width - 1) + 1, stride)
            y += torch.einsum("bchw,dc->bdhw", x[:, :, rows, columns], weight[:, :, i, j])
    return y


def atrous_conv2d(x: Tensor, weight: Tensor, rate: int = 1, stride: int = 1, padding: int = 0):
    """Atrous convolution as PyTorch computes it: the rate is its `dilation`.

    Arguments, result and errors as in `atrous_taps`.
    """
    rate, stride, padding = check_window(rate, stride, padding)
    output_shape(x, weight, rate, stride, padding)  # for its clear errors
    return F.conv2d(x, weight, stride=stride, padding=padding, dilation=rate)


def atrous_interleave(x: Tensor, weight: Tensor, rate: int = 1, stride: int = 1, padding: int = 0):
    """Atrous convolution without holes: subsample by the rate, convolve, interleave the results.

    Every rate-th output reads every rate-th input, so the map falls apart into rate x rate maps
    on which the convolution is an ordinary one (DeepLab v2, section 3.1, second implementation).
    Arguments, result and errors as in `atrous_taps`.
    """
    rate, stride, padding = check_window(rate, stride, padding)
    check_fits(x, weight)
    y = x.new_empty(output_shape(x, weight, rate, stride, padding))  # (B, D, H', W')
    height, width = y.shape[2:]
    x = F.pad(x, [padding] * 4)  # (B, C, H + 2p, W + 2p)
    for i in range(min(rate, height)):
        for j in range(min(rate, width)):
            part = F.conv2d(x[:, :, stride * i :: rate, stride * j :: rate], weight, stride=stride)
            home = y[:, :, i::rate, j::rate]
            home.copy_(part[:, :, : home.shape[2], : home.shape[3]])
    return y
