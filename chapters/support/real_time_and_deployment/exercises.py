"""Exercises of chapter 15."""

from statistics import mean, median

import numpy as np

from dlseg.book import Exercise, in_pairs
from support.real_time_and_deployment.pictures import NEWEST, schedule


def _newest(latency, interval, count):
    return [work.frame for work in schedule(latency, interval, count, NEWEST)]


newest = Exercise(
    solution=_newest,
    because="A slow network that always takes the newest frame labels fewer of them, but none of "
    "them late.",
    cases=((50, 33, 12), (20, 33, 5), (100, 33, 15), (66, 33, 9), (34, 33, 40)),
    mistakes=in_pairs(
        lambda latency, interval, count: list(range(count)),
        "That is the queue: it labels every frame, and each later than the one before.",
        lambda latency, interval, count: list(range(0, count, -(-latency // interval))),
        "It need not wait for the next frame if a new one has come while it was busy: at 34 ms "
        "and a frame every 33 ms hardly any is left out.",
        lambda latency, interval, count: list(range(0, count, max(1, latency // interval))),
        "Rounded down, it would begin before it is free.",
        lambda latency, interval, count: _newest(latency, interval, count)[1:],
        "Nothing is computed before frame 0: it is taken at once.",
    ),
)


def _block(c, out, t):
    return c * c * t + 9 * c * t + c * t * out


def _share(c, out, t, width):
    return _block(width * c, width * out, t) / _block(c, out, t)


narrower = Exercise(
    solution=_share,
    because="The two 1x1 convolutions shrink by the square of the width, the depthwise one only by "
    "the width itself. It is small, so the square nearly holds.",
    cases=((32, 32, 6, 0.5), (160, 320, 6, 0.25), (64, 96, 6, 1.0), (24, 32, 4, 0.75)),
    mistakes=in_pairs(
        lambda c, out, t, width: width,
        "A convolution has channels on both sides; both get fewer.",
        lambda c, out, t, width: width**2,
        "Nearly. Which of the three convolutions has one channel per kernel?",
        lambda c, out, t, width: _share(c, out, t, width) * width,
        "The expansion t is a factor, not a number of channels: it stays as it is.",
        lambda c, out, t, width: _block(width * c, out, t) / _block(c, out, t),
        "The block's result gets fewer channels too.",
    ),
)


def _folded(weight, bias, gamma, beta, mean, variance, eps):
    scale = gamma / np.sqrt(variance + eps)
    return np.array([weight * scale, (bias - mean) * scale + beta])


folded = Exercise(
    solution=_folded,
    because="Batch norm with fixed statistics is a line, and a line behind a line is a line.",
    cases=(
        (2.0, 0.5, 1.5, 0.1, 0.3, 4.0, 1e-3),
        (1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0),
        (-0.7, 0.2, 0.9, -0.4, -1.1, 0.25, 1e-5),
    ),
    mistakes=in_pairs(
        lambda w, b, g, e, m, v, eps: np.array(
            [w * g / np.sqrt(v + eps), b + e - m * g / np.sqrt(v + eps)]
        ),
        "The bias of the convolution goes through the batch norm too, and is scaled.",
        lambda w, b, g, e, m, v, eps: np.array([w * g / (v + eps), (b - m) * g / (v + eps) + e]),
        "Batch norm divides by the deviation, the root of the variance.",
        lambda w, b, g, e, m, v, eps: np.array([w * g / np.sqrt(v), (b - m) * g / np.sqrt(v) + e]),
        "eps is added to the variance. Where a channel hardly varies, it decides.",
        lambda w, b, g, e, m, v, eps: np.array(
            [w * g / np.sqrt(v + eps), (b + m) * g / np.sqrt(v + eps) + e]
        ),
        "The mean is taken off, not added.",
    ),
)


def _from_reach(factor):
    def tiles(side, tile, reach, stride):
        overlap = -(-factor * reach // stride) * stride
        return overlap, 1 + max(0, -(-(side - tile) // (tile - overlap)))

    return tiles


_tiles = _from_reach(4)
tiles = Exercise(
    solution=_tiles,
    because="A quarter at each end is left to the neighbour, and must hold all that a pixel sees.",
    cases=((1000, 512, 25, 4), (320, 128, 25, 4), (2048, 769, 57, 16), (300, 512, 25, 8)),
    mistakes=in_pairs(
        _from_reach(1),
        "That is enough outside of the overlaps only. Within them, both tiles are mixed.",
        _from_reach(2),
        "Half an overlap is not what a tile leaves out: a quarter is.",
        lambda side, tile, r, _: (4 * r, 1 + max(0, -(-(side - tile) // (tile - 4 * r)))),
        "A tile must begin on the grid of the output stride, or its units lie between those of "
        "the whole picture.",
        lambda side, tile, reach, stride: (_tiles(side, tile, reach, stride)[0], -(-side // tile)),
        "Each tile brings only tile - overlap new pixels.",
    ),
)


def _rolling(times, window):
    return [median(times[max(0, i - window + 1) : i + 1]) for i in range(len(times))]


rolling = Exercise(
    solution=_rolling,
    because="One slow frame moves a mean, and a median not at all.",
    cases=(([90, 10, 12, 11, 10, 60, 11], 3), ([5, 4, 3, 2, 1], 2), ([7, 8], 5)),
    mistakes=in_pairs(
        lambda times, w: [mean(times[max(0, i - w + 1) : i + 1]) for i in range(len(times))],
        "That is the mean: the first, slow frame shows in it for the whole window.",
        lambda times, window: [median(times[: i + 1]) for i in range(len(times))],
        "It never forgets: a machine that has become slow would be noticed late.",
        lambda times, w: [median(times[max(0, i - w) : i + 1]) for i in range(len(times))],
        "That window holds one frame too many.",
        lambda times, w: [median(times[i - w + 1 : i + 1]) for i in range(w - 1, len(times))],
        "The first frames want a value too: of as many as there are.",
    ),
)
