"""Exercises of chapter 02."""

from dlseg.arithmetic import effective_kernel as _effective_kernel
from dlseg.arithmetic import same_padding as _same_padding
from dlseg.book import Exercise, Mistake, in_pairs

effective_kernel = Exercise(
    solution=_effective_kernel,
    because="k taps leave k - 1 gaps, and every gap holds r - 1 zeros.",
    cases=((3, 1), (3, 2), (3, 6), (5, 3), (2, 4), (1, 9)),
    mistakes=in_pairs(
        lambda k, r: k * r,
        "k r counts holes behind the last tap: k - 1 gaps, not k.",
        lambda k, r: r * (k - 1),
        "That is the way from the first tap to the last. Add the last tap's own pixel.",
        lambda k, r: k + (k - 1) * r,
        "At rate 1 there are no holes, so a gap holds r - 1 zeros, not r.",
        lambda k, r: k + r - 1,
        "You filled a single gap. There are k - 1 of them.",
    ),
)

padding = Exercise(
    solution=_same_padding,
    because="The output is smaller by K - 1 pixels, and each side gives back half of that.",
    cases=((3, 1), (3, 6), (5, 2), (7, 4), (1, 3)),
    mistakes=in_pairs(
        lambda k, r: r,
        "True for k = 3, the usual case, but not for the others.",
        lambda k, r: (k - 1) // 2,
        "That is the padding of the kernel without holes. Use the effective kernel.",
        lambda k, r: k * r // 2,
        "The effective kernel is k + (k-1)(r-1), not k r.",
        lambda k, r: r * (k - 1),
        "That is what both sides together must give back.",
    ),
)


def _atrous(x, w, r):
    outputs = range(len(x) - r * (len(w) - 1))
    return [sum(x[i + r * k] * w[k] for k in range(len(w))) for i in outputs]


def _strided(x, w, r):
    outputs = range((len(x) - len(w)) // r + 1)
    return [sum(x[r * i + k] * w[k] for k in range(len(w))) for i in outputs]


_signals = (
    ([0, 1, 4, 9, 16, 25, 36], [1, 2], 3),
    ([2, 7, 1, 8, 2, 8, 1, 8, 2], [1, 0, -1], 2),
    ([3, 1, 4, 1, 5], [2, 3, 4], 1),
    ([1, 0, 0, 0, 0, 2, 0], [1, 2, 4], 3),
)

atrous_loop = Exercise(
    solution=_atrous,
    because="Tap k reads the input r k pixels further on, and the output is shorter by r(k - 1).",
    cases=_signals,
    mistakes=in_pairs(
        lambda x, w, r: _atrous(x, w[::-1], r),
        "You flipped the kernel. Signal processing does that; networks, and DeepLab's equation, "
        "do not.",
        _strided,
        "x[r i + k] moves the window by r: that is a stride. The rate multiplies the tap, x[i + r "
        "k].",
        lambda x, w, r: _atrous(x, w, 1),
        "The rate is not used: tap k must read x[i + r k].",
    ),
)

interleaved_maps = Exercise(
    solution=(36, 11),
    because="Six phases along each axis make 36 maps. 65 = 6 x 10 + 5, so the largest have 11.",
    mistakes=(
        Mistake((6, 11), "Six phases along one axis. A map has two axes."),
        Mistake((36, 10), "65 / 6 is not a whole number: some maps get one pixel more."),
        Mistake((36, 65), "Each small map keeps only every sixth row and column."),
        Mistake((12, 11), "The phases of rows and columns combine: multiply, do not add."),
    ),
)

cost_of_zeros = Exercise(
    solution=25**2 / 3**2,
    because="The filled kernel has 25 x 25 entries, of which 3 x 3 are not zero: 69.4 times.",
    digits=1,
    mistakes=(
        Mistake(25 / 3, "That is one axis. A kernel has two."),
        Mistake(12**2, "That is r squared, as if K were k r. Holes lie only between taps: K = 25."),
        Mistake(1, "That is the atrous convolution itself. Here the zeros are multiplied too."),
    ),
)

denser_rates = Exercise(
    solution=lambda strides, cut: [1] * (cut + 1) + [strides[cut]] * (len(strides) - cut - 1),
    because="The layer itself still reads neighbours; every layer behind it now sits on a grid "
    "that is finer by the lost stride.",
    cases=(([2, 2, 1, 2, 1], 3), ([2, 1, 2, 1, 1, 1], 2), ([2, 2, 2], 0), ([4, 1], 0)),
    mistakes=in_pairs(
        lambda strides, cut: [1] * cut + [strides[cut]] * (len(strides) - cut),
        "The layer that loses its stride reads the same map as before: it keeps rate 1.",
        lambda strides, cut: [strides[cut] if i == cut + 1 else 1 for i in range(len(strides))],
        "Not only the next layer: all that follow it sit on the finer grid.",
        lambda strides, cut: [strides[cut]] * len(strides),
        "Layers before the cut see what they always saw: rate 1.",
        lambda strides, cut: [1] * (cut + 1) + [2] * (len(strides) - cut - 1),
        "The rate is the stride that was taken away, and that is not always 2.",
    ),
)
