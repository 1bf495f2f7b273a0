"""Exercises of chapter 09."""

import torch
import torch.nn.functional as F

from dlseg.book import Exercise, in_pairs


def _on(radius, rate, corner):
    """Taps of the nine on a disc, with the corners `corner` times as far as the edges."""
    return 1 + 4 * (8 * rate <= radius) + 4 * (8 * rate * corner <= radius)


taps_on_disc = Exercise(
    solution=lambda radius, rate: _on(radius, rate, 2**0.5),
    because="One tap in the middle, four at 8 times the rate, four at 1.41 times that distance.",
    cases=((40, 6), (48, 6), (60, 6), (68, 6), (100, 12), (140, 12), (300, 24)),
    mistakes=in_pairs(
        lambda radius, rate: _on(radius, rate / 8, 2**0.5),
        "The rate counts units, the radius pixels: from one unit to the next it is 8 pixels.",
        lambda radius, rate: _on(radius, rate, 1),
        "The four corners are not as near as the four edges: they lie on the diagonal.",
        lambda radius, rate: _on(radius, rate, 2),
        "To a corner it is one step along the row and one along the column, but the distance is "
        "the straight line: 1.41 steps.",
        lambda radius, rate: _on(radius, rate, 2**0.5) - 1,
        "The tap in the middle is on the disc as well.",
    ),
)


def _twice(channels, classes, branches, taps=1, bias=1):
    return (branches - 1) * classes * (taps * channels + bias)


superfluous = Exercise(
    solution=_twice,
    because="All branches have their middle tap on the same unit and a bias: one of each would do.",
    cases=((2048, 21, 4), (512, 10, 2), (64, 3, 1)),
    mistakes=in_pairs(
        lambda c, k, n: _twice(c, k, n + 1),
        "Of n numbers that are only ever added, one is needed. The others are superfluous: n - 1.",
        lambda c, k, n: _twice(c, k, n, bias=0),
        "The biases of the branches are only ever added, too.",
        lambda c, k, n: _twice(c, k, n, taps=9),
        "Only the middle taps fall on one unit. The eight around them lie at other places for "
        "each rate.",
        lambda c, k, n: (n - 1) * (c + 1),
        "Each class has weights of its own: 21 times as many for 21 classes.",
    ),
)


def _branches(x, weights, rates):
    return [F.conv2d(x, w, padding=r, dilation=r) for w, r in zip(weights, rates, strict=True)]


def _scene(rates):
    generator = torch.Generator().manual_seed(len(rates))
    shapes = (2, 3, 9, 11), *[(4, 3, 3, 3)] * len(rates)
    x, *weights = (torch.randint(-3, 4, s, generator=generator).double() for s in shapes)
    return x, weights, rates


aspp = Exercise(
    solution=lambda x, weights, rates: sum(_branches(x, weights, rates)),
    because="Every branch reads the same map at its own rate, and all their scores are added.",
    cases=(_scene((1, 2)), _scene((1, 2, 3, 4)), _scene((2,))),
    mistakes=in_pairs(
        lambda x, weights, rates: _branches(x, weights, rates)[0],
        "Only the first branch counts. Is your `return` inside the loop?",
        lambda x, weights, rates: sum(_branches(x, weights, rates)[:2]),
        "The first two branches count, the others do not. A `return` inside the loop does that.",
        lambda x, weights, rates: sum(_branches(x, weights, rates)) / len(rates),
        "That is the mean. The paper adds the scores up.",
        lambda x, weights, rates: torch.cat(_branches(x, weights, rates), 1),
        "That is one map of scores per branch, side by side. Concatenation is DeepLab v3's way, "
        "and it joins features there, not scores.",
        lambda x, weights, rates: sum(_branches(x, weights, rates[:1] * len(rates))),
        "All branches have the first rate.",
        lambda x, weights, rates: torch.stack(_branches(x, weights, rates)).amax(0),
        "That is the maximum, which v2 takes over scales of the image. Branches are added.",
    ),
)


def _head(channels, classes, branches, hidden, bias=1):
    if hidden is None:
        return branches * classes * (9 * channels + bias)
    fc6, fc7 = hidden * (9 * channels + bias), hidden * (hidden + bias)
    return branches * (fc6 + fc7 + classes * (hidden + bias))


parameters = Exercise(
    solution=_head,
    because="Per branch the 3x3, and on VGG-16 fc7 and fc8 behind it, each with its biases.",
    cases=((2048, 21, 4, None), (512, 21, 4, 1024), (512, 21, 1, 1024), (512, 10, 2, None)),
    mistakes=in_pairs(
        lambda c, k, n, h: _head(c, k, n, h, bias=0),
        "The biases are missing: one for each output channel of each layer.",
        lambda c, k, n, h: _head(c, k, 1, h),
        "That is one branch. Every rate has weights of its own.",
        lambda c, k, n, h: _head(c, k, n, h) - (n - 1) * k,
        "You share the bias of the last layer. One would do, but each branch has its own.",
        lambda c, k, n, h: _head(c, k, n, h) if h is None else n * (h * (9 * c + 1) + k * (h + 1)),
        "On VGG-16 a branch has three layers: fc7, 1x1 from and to the hidden channels, is "
        "missing.",
        lambda c, k, n, h: (
            _head(c, k, n, h) if h is None else n * h * (9 * c + 1) + h * (h + 1) + k * (h + 1)
        ),
        "fc7 and fc8 are not shared: each branch has fc6, fc7 and fc8 of its own.",
    ),
)

poly = Exercise(
    solution=lambda share, iterations: iterations * (1 - share ** (1 / 0.9)),
    because="(1 - t)^0.9 = share: take the root, and what is not left is done.",
    cases=((0.1, 20_000), (0.5, 20_000), (1.0, 6000), (0.01, 6000)),
    mistakes=in_pairs(
        lambda share, n: n * (1 - share),
        "That holds for a straight line, power 1. It is near, but poly bends a little at the end.",
        lambda share, n: n * (1 - share**0.9),
        "The power has to be undone: take the root, 1 / 0.9.",
        lambda share, n: n * share ** (1 / 0.9),
        "That many iterations are left then. The question is how many are done.",
        lambda share, n: n * (1 - share) ** (1 / 0.9),
        "First undo the power, then take from 1: (1 - t)^0.9 = share.",
    ),
)


def _sizes(side, scales):
    return [-(-max(1, round(side * scale)) // 8) for scale in scales]


sizes = Exercise(
    solution=lambda side, scales: [*_sizes(side, scales), _sizes(side, (1,))[0]],
    because="The image is scaled first, then the network divides by 8; the maximum has the size "
    "of scale 1.",
    cases=((321, (0.5, 0.75, 1)), (513, (0.5, 0.75, 1)), (96, (0.5, 1)), (100, (1, 0.75))),
    mistakes=in_pairs(
        _sizes,
        "These are the maps of the scales. There is one more: their maximum, on which a loss is "
        "computed too.",
        lambda side, scales: [max(1, round(side * s)) // 8 for s in scales] + [side // 8],
        "A begun block of 8 pixels has a unit too: round up.",
        lambda side, scales: [*_sizes(side, scales), side],
        "The maximum is taken of scores, on the map of scale 1; they are not stretched to the "
        "image before.",
        lambda side, scales: [_sizes(side, (1,))[0]] * (len(scales) + 1),
        "Each scale's map has a size of its own; for the maximum all are brought to that of scale "
        "1.",
    ),
)
