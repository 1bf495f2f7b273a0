"""Convolutions that compute what `nn.Conv2d` does, with fewer products or past its slow paths.

All are made from an `nn.Conv2d` padded with zeros, take maps (B, C, H, W), return them in
channels_last order, and are for inference on a CPU: their weights are buffers. Which of them is
faster than the convolution it was made from depends on sizes and machine; `prepare` measures it.
For `torch.compile` the first two are operations that it leaves as they are.
"""

import math
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK = 1 << 17  # elements of a map worked on at once: 512 KiB, inside a core's cache
SQUARES = 128  # squares worked on at once: enough for a full-speed matrix product
# Where polynomials are evaluated, beside infinity: of both signs and near 1, where rounding errors
# are smallest. Six outputs at a time would save more products, but err five times as much.
THIRDS = Fraction(2, 3)
POINTS = {3: (0, 1, -1, 2), 4: (0, THIRDS, -THIRDS, 1 / THIRDS, -1 / THIRDS)}


class ShiftedDepthwise(nn.Module):
    """A 3x3 atrous depthwise convolution as nine shifted maps, each times its weight, added up.

    x: (B, C, H, W). Returns: the same shape. A tap is applied only where it meets the map: one
    beyond its edges, at a rate of H or W and more, costs nothing.
    Raises: ValueError for another kind of convolution.
    """

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        if not is_depthwise_3x3(conv):
            raise ValueError(
                f"expected a depthwise 3x3 of stride 1, padded by its rate, got {conv}"
            )
        self.rate = conv.dilation[0]
        self.register_buffer("taps", conv.weight.detach().flatten(1).t().contiguous())  # (9, C)
        self.register_buffer("bias", bias_of(conv))

    def forward(self, x: Tensor) -> Tensor:
        return shifted_depthwise(x, self.taps, self.bias, self.rate)


class Winograd(nn.Module):
    """A 3x3 convolution of any rate with fewer products: F(m x m, 3 x 3).

    x: (B, C, H, W). Returns: (B, D, H, W). A square of m x m outputs takes (m + 2)^2 products of
    channels instead of 9 m^2: a square of inputs is transformed, multiplied place by place by the
    transformed kernel, and transformed back. Outputs `rate` apart make a square, since an atrous
    convolution is an ordinary one on each of the rate x rate subsampled maps.
    outputs: m, 3 or 4. In float32 the result is that of `nn.Conv2d` to about 5e-6 of its largest
    value. Raises: ValueError for another kind of convolution, or another m.
    Source: Lavin and Gray 2016, "Fast algorithms for convolutional neural networks", section 4;
    subsampled maps: DeepLab v2, section 3.1.
    """

    def __init__(self, conv: nn.Conv2d, outputs: int = 4):
        super().__init__()
        if not is_dense_3x3(conv):
            raise ValueError(
                f"expected a 3x3 of stride 1 and one group, padded by its rate, got {conv}"
            )
        self.rate, weight = conv.dilation[0], conv.weight.detach()  # (D, C, 3, 3)
        back, kernel, there = (matrix.to(weight.device) for matrix in winograd_matrices(outputs))
        moved = torch.einsum("pi,qj,dcij->pqcd", kernel, kernel, weight.double()).flatten(0, 1)
        self.register_buffer("kernel", moved.to(weight.dtype).contiguous())  # ((m+2)^2, C, D)
        self.register_buffer("there", torch.kron(there, there).to(weight.dtype))
        self.register_buffer("back", torch.kron(back, back).to(weight.dtype))
        self.register_buffer("bias", bias_of(conv))

    def forward(self, x: Tensor) -> Tensor:
        return winograd(x, self.kernel, self.there, self.back, self.bias, self.rate)


class ChannelsLast(nn.Module):
    """What `layer` returns, (B, C, H, W), in channels_last order.

    Image pooling returns one value per channel as a map that is not stored; next to it `torch.cat`
    would bring the maps of all other branches into another order, and the next layer bring them
    back.
    """

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).contiguous(memory_format=torch.channels_last)


class OneDNN(nn.Module):
    """A convolution by oneDNN always, which adds the bias while it writes the result.

    x: (B, C, H, W). For one image on one thread `nn.Conv2d` may fill the result with the bias and
    then add products to it, which goes through a large map twice.
    """

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        self.options = {
            "padding": conv.padding,
            "stride": conv.stride,
            "dilation": conv.dilation,
            "groups": conv.groups,
        }
        self.register_buffer("weight", conv.weight.detach())
        self.register_buffer("bias", bias_of(conv))

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return F.conv2d(x, self.weight, self.bias, **self.options)
        return torch.mkldnn_convolution(x, self.weight, self.bias, **self.options)


@torch.library.custom_op("dlseg::shifted_depthwise", mutates_args=())
def shifted_depthwise(x: Tensor, taps: Tensor, bias: Tensor, rate: int) -> Tensor:
    """The computation of `ShiftedDepthwise`; x: (B, C, H, W), taps: (9, C), bias: (C,)."""
    x = channels_behind(x)  # (B, H, W, C)
    y, (_, height, width, channels) = torch.empty_like(x), x.shape
    step = max(1, BLOCK // (width * channels))
    for top in range(0, height, step):  # some rows with all taps, then the next: in the cache
        bottom = min(top + step, height)
        torch.addcmul(bias, x[:, top:bottom], taps[4], out=y[:, top:bottom])
        for number in (0, 1, 2, 3, 5, 6, 7, 8):
            down, across = (rate * (place - 1) for place in divmod(number, 3))
            rows = range(max(top, -down), min(bottom, height - down))
            columns = range(max(0, -across), min(width, width - across))
            if len(rows) and len(columns):
                seen = x[:, _slice(rows, down), _slice(columns, across)]
                y[:, _slice(rows), _slice(columns)].addcmul_(seen, taps[number])
    return y.permute(0, 3, 1, 2)


@torch.library.custom_op("dlseg::winograd", mutates_args=())
def winograd(
    x: Tensor, kernel: Tensor, there: Tensor, back: Tensor, bias: Tensor, rate: int
) -> Tensor:
    """The computation of `Winograd`; x: (B, C, H, W), the rest as kept there."""
    x, size, m = channels_behind(x), x.shape[2:], math.isqrt(len(back))  # (B, H, W, C)
    down, across = (-(-side // (m * rate)) for side in size)  # squares along each axis
    below, right = down * m * rate - size[0], across * m * rate - size[1]
    x = F.pad(x, (0, 0, rate, rate + right, rate, rate + below))
    y = x.new_empty(len(x), down, m, rate, across * m * rate, kernel.shape[2])
    lines = max(1, SQUARES // (across * rate))  # lines of squares at once
    rows, phases = max(1, lines // rate), min(lines, rate)
    for top in range(0, down, rows):
        for first in range(0, rate, phases):
            block = y[:, top : top + rows, :, first : first + phases]
            shape = (m + 2, m + 2, len(x), block.shape[1], block.shape[3], across, rate)
            squares = _squares(x, shape, rate, top * m * rate + first)  # ((m+2)^2, squares C)
            moved = (there @ squares).view(len(kernel), -1, x.shape[3])
            made = back @ torch.bmm(moved, kernel).flatten(1)  # (m^2, squares D)
            made = made.view(m, m, *shape[2:], -1).permute(2, 3, 0, 4, 5, 1, 6, 7)
            block.copy_(made.reshape(block.shape))
    y = y.flatten(1, 3)[:, : size[0], : size[1]] + bias  # (B, H, W, D)
    return y.permute(0, 3, 1, 2)


@shifted_depthwise.register_fake
def _(x: Tensor, taps: Tensor, bias: Tensor, rate: int) -> Tensor:
    return torch.empty_like(x, memory_format=torch.channels_last)


@winograd.register_fake
def _(x: Tensor, kernel: Tensor, there: Tensor, back: Tensor, bias: Tensor, rate: int) -> Tensor:
    return x.new_empty(len(x), *x.shape[2:], len(bias)).permute(0, 3, 1, 2)


def _squares(x: Tensor, shape: tuple[int, ...], rate: int, line: int) -> Tensor:
    """Squares of inputs `rate` apart of x (B, H', W', C), which is padded.

    shape: rows and columns of a square, images, rows of squares, lines in each of them, squares
    along a line, columns in each of them. line: the row of x where they begin.
    Returns: (places of a square, all the rest and channels).
    """
    image, row, column, _ = x.stride()
    m = shape[0] - 2
    steps = (rate * row, rate * column, image, m * rate * row, row, m * rate * column, column, 1)
    start = x.storage_offset() + line * row
    return x.as_strided((*shape, x.shape[3]), steps, start).reshape(shape[0] ** 2, -1)


def winograd_matrices(outputs: int) -> tuple[Tensor, Tensor, Tensor]:
    """A (m, m+2), G (m+2, 3) and B (m+2, m+2), float64, with y = A ((G w) * (B x)).

    y: m outputs of a convolution, y[i] = sum_k x[i + k] w[k], of m + 2 inputs x with 3 weights w;
    * is the product of vectors entry by entry. outputs: m, a key of `POINTS`.
    Toom and Cook's way: a product of polynomials by their values at m + 1 points and at infinity.
    Raises: ValueError for another m.
    Source: Lavin and Gray 2016, section 4.1 (F(2, 3)), and Winograd 1980.
    """
    if outputs not in POINTS:
        raise ValueError(f"outputs must be one of {tuple(POINTS)}, got {outputs!r}")
    points = torch.tensor([float(point) for point in POINTS[outputs]], dtype=torch.float64)
    back = _powers(points, outputs).t()  # (m, m+2)
    kernel = _powers(points, 3)  # (m+2, 3)
    # B follows from what it must do: output i and weight k meet input i + k and no other.
    meeting = torch.einsum("ij,jk->ikj", back, kernel).flatten(0, 1)  # (3 m, m+2)
    place = torch.arange(outputs)[:, None] + torch.arange(3)
    wanted = F.one_hot(place.flatten(), outputs + 2).double()  # (3 m, m+2)
    return back, kernel, torch.linalg.lstsq(meeting, wanted).solution


def products(size: tuple[int, int], rate: int, outputs: int) -> int:
    """Products per pair of channels for a map of `size` (H, W); a plain 3x3 has 9 H W."""
    step = outputs * rate
    down, across = (-(-side // step) for side in size)
    return down * across * rate**2 * (outputs + 2) ** 2


def is_dense_3x3(conv: nn.Conv2d) -> bool:
    """Whether `conv` is a 3x3 of stride 1 and one group, padded by its rate with zeros."""
    return conv.groups == 1 and _keeps_size(conv)


def is_depthwise_3x3(conv: nn.Conv2d) -> bool:
    """Whether `conv` is a 3x3 of stride 1, one filter per channel, padded by its rate."""
    return conv.groups == conv.in_channels == conv.out_channels and _keeps_size(conv)


def is_pointwise(conv: nn.Conv2d) -> bool:
    """Whether `conv` is a 1x1 of stride 1 and one group, without padding."""
    shape = conv.kernel_size, conv.stride, conv.padding, conv.groups
    return shape == ((1, 1), (1, 1), (0, 0), 1)


def channels_behind(x: Tensor) -> Tensor:
    """(B, C, H, W) in any order of memory as contiguous (B, H, W, C)."""
    return x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)


def bias_of(conv: nn.Conv2d) -> Tensor:
    """The bias of a convolution, zeros where it has none, (channels,)."""
    if conv.bias is None:
        return conv.weight.new_zeros(conv.out_channels)
    return conv.bias.detach()


def _powers(points: Tensor, count: int) -> Tensor:
    """Powers 0 to count - 1 of each point, then those of infinity: (points + 1, count)."""
    finite = points[:, None] ** torch.arange(count)
    return torch.cat([finite, torch.eye(count, dtype=points.dtype)[-1:]])


def _keeps_size(conv: nn.Conv2d) -> bool:
    rate, shape = conv.dilation[0], (conv.kernel_size, conv.stride, conv.dilation, conv.padding)
    return conv.padding_mode == "zeros" and shape == ((3, 3), (1, 1), (rate, rate), (rate, rate))


def _slice(places: range, shift: int = 0) -> slice:
    return slice(places.start + shift, places.stop + shift)
