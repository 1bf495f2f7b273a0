"""Exercises of chapter 05."""

from itertools import pairwise

from dlseg.arithmetic import conv_multiply_adds, separable_multiply_adds
from dlseg.book import Exercise, in_pairs


def _side(size, stride):
    return -(-size // stride)


conv_cost = Exercise(
    solution=lambda m, n, k, size, stride: k * k * m * n * _side(size, stride) ** 2,
    because="Every weight is used once for every pixel of the map that is made.",
    cases=((3, 32, 3, 224, 2), (64, 64, 3, 56, 1), (10, 64, 5, 33, 2), (512, 21, 1, 65, 1)),
    mistakes=in_pairs(
        lambda m, n, k, size, stride: k * k * m * n * size**2,
        "That is the cost at stride 1. A window is multiplied only where it makes an output, on "
        "ceil(size / stride) rows and columns.",
        lambda m, n, k, size, stride: k * k * m * n * _side(size, stride),
        "You counted one row of outputs. A map has as many rows as columns.",
        lambda m, n, k, size, stride: k * m * n * _side(size, stride) ** 2,
        "The window is k wide and k high: k squared taps.",
        lambda m, n, k, size, stride: 2 * k * k * m * n * _side(size, stride) ** 2,
        "Those are operations. A multiplication with its addition counts as one here.",
        lambda m, n, k, size, stride: k * k * m * _side(size, stride) ** 2,
        "That makes one output channel. There are n of them.",
        lambda m, n, k, size, stride: k * k * m * n * (size // stride) ** 2,
        "Padded by (k - 1) / 2, 33 pixels at stride 2 become 17: round up.",
    ),
)

ratio = Exercise(
    solution=lambda n, k: 1 / n + 1 / k**2,
    because="The depthwise half is 1/n of the whole, the pointwise half 1/k^2 of it.",
    cases=((64, 3), (256, 3), (512, 5), (21, 7), (1, 3)),
    mistakes=in_pairs(
        lambda n, k: 1 / k**2,
        "That is the pointwise half alone. For large n it is nearly all, but not all.",
        lambda n, k: 1 / n,
        "That is the depthwise half alone, and the smaller one.",
        lambda n, k: 1 / n + 1 / k,
        "A window has k squared taps.",
        lambda n, k: 1 / (n * k**2),
        "Do not multiply the two: the halves come one after the other, so their costs add.",
        lambda n, k: 1 / (1 / n + 1 / k**2),
        "That says how many times cheaper the split form is. The share is the inverse.",
    ),
)

strided_shapes = Exercise(
    solution=((10, 16, 16), (64, 16, 16)),
    because="The depthwise half keeps the channels and carries the stride; the pointwise half "
    "changes the channels and keeps the map.",
    mistakes=in_pairs(
        ((10, 32, 32), (64, 32, 32)),
        "The stride has got lost: 32 pixels at stride 2 are 16.",
        ((10, 32, 32), (64, 16, 16)),
        "With the stride in the pointwise half, three of four depthwise results would be computed "
        "and thrown away.",
        ((64, 16, 16), (64, 16, 16)),
        "The depthwise half has one window per channel that comes in, so as many channels come "
        "out.",
        ((1, 16, 16), (64, 16, 16)),
        "A depthwise window sums over its pixels, not over the channels: ten maps stay ten.",
        ((10, 15, 15), (64, 15, 15)),
        "That is without padding. With one pixel of it, (32 + 2 - 3) // 2 + 1 = 16.",
    ),
)

windows_needed = Exercise(
    solution=lambda n, k: min(n, k * k),
    because="For one input channel the kernel is a matrix of n rows and k^2 columns, and a random "
    "matrix has full rank: the smaller of the two.",
    cases=((64, 3), (4, 3), (9, 3), (16, 5), (2, 7)),
    mistakes=in_pairs(
        lambda n, k: k * k,
        "Never more than there are output channels: with n windows, each output has its own.",
        lambda n, k: n,
        "Never more than there are taps: k^2 windows of one tap each make any window.",
        lambda n, k: 1,
        "One window gives rank 1. A random kernel has more.",
        lambda n, k: k,
        "That is the rank of a window seen as k rows of k. Here a whole window is one row, and "
        "the rows are output channels.",
        lambda n, k: max(n, k * k),
        "The rank of a matrix is at most the smaller side.",
    ),
)


def _shortcuts(channels, strides):
    return [s == 1 and m == n for s, (m, n) in zip(strides, pairwise(channels), strict=True)]


def _dense(strides, cut):
    return [s if i < cut else 1 for i, s in enumerate(strides)]


shortcuts = Exercise(
    solution=lambda channels, strides, cut: _shortcuts(channels, strides),
    because="A shortcut belongs to the trained network. Where the stride has become a rate, the "
    "weights still expect none.",
    cases=(
        ([24, 32, 32, 64, 64], [2, 1, 2, 1], 2),
        ([16, 16, 24, 24, 24], [1, 2, 2, 1], 2),
        ([8, 8, 8], [2, 1], 0),
        ([8, 8, 8, 8], [2, 2, 1], 1),
        ([32, 16, 24, 24], [1, 2, 1], 3),
    ),
    mistakes=in_pairs(
        lambda channels, strides, cut: _shortcuts(channels, _dense(strides, cut)),
        "You asked for stride 1 after the change. A block that was trained with stride 2 would "
        "get a shortcut that its weights do not know.",
        lambda channels, strides, cut: [s == 1 for s in strides],
        "Stride 1 is not enough: maps with different channels cannot be added.",
        lambda channels, strides, cut: _shortcuts(channels, [1] * len(strides)),
        "Equal channels are not enough: behind a stride the map is smaller.",
        lambda channels, strides, cut: [s == 1 for s in _dense(strides, cut)],
        "The stride that counts is the trained one, and the channels must agree too.",
    ),
)

_ORDINARY = conv_multiply_adds(304, 256, 129) + conv_multiply_adds(256, 256, 129)
_SPLIT = separable_multiply_adds(304, 256, 129) + separable_multiply_adds(256, 256, 129)

decoder_saving = Exercise(
    solution=_ORDINARY - _SPLIT,
    because="21.47 G become 2.47 G: 19.00 G saved, on a map of 129 x 129.",
    digits=-7,
    mistakes=in_pairs(
        _ORDINARY,
        "That is what the two ordinary layers cost: 21.47 G. Subtract the split ones.",
        _SPLIT,
        "That is what is left after the split: 2.47 G. The question is what was saved.",
        2 * (conv_multiply_adds(256, 256, 129) - separable_multiply_adds(256, 256, 129)),
        "The first layer reads 304 channels: 256 of the encoder, 48 of the backbone.",
        2 * (_ORDINARY - _SPLIT),
        "Those are operations. Count a multiplication with its addition once.",
        (_ORDINARY - _SPLIT) * 33**2 / 129**2,
        "The decoder works at output stride 4, on 129 x 129 pixels, not on the 33 x 33 of the "
        "encoder.",
    ),
)

intensity = Exercise(
    solution=12.5,
    because="25 multiply-adds for one value that is read and one that is written.",
    mistakes=in_pairs(
        25,
        "Each result is written as well: two values move for 25 multiply-adds.",
        4.5,
        "That is the 3 x 3 window. This one has 25 taps.",
        2.5,
        "The window has 5 x 5 taps, not 5.",
        25 / 26,
        "Neighbouring windows overlap: with a cache, every pixel is fetched once, not 25 times.",
    ),
)
