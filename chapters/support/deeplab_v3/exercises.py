"""Exercises of chapter 10."""

import numpy as np

from dlseg.book import Exercise, in_pairs


def _blocks(output_stride):
    plan = []
    for block in (4, 5, 6, 7):
        full = 2 ** (block + 1)
        plan.append((2, 1) if full <= output_stride else (1, full // output_stride))
    return plan


blocks = Exercise(
    solution=_blocks,
    because="A block strides while the map is larger than wanted; behind that each stride that is "
    "gone doubles the rate.",
    cases=((16,), (8,), (64,), (256,), (32,)),
    mistakes=in_pairs(
        lambda s: [(stride, 2 if stride == 1 else 1) for stride, _ in _blocks(s)],
        "The rate doubles with every stride that is gone, not only with the first.",
        lambda s: [(stride, 1) for stride, _ in _blocks(s)],
        "A block that lost its stride needs a rate: its weights were made for a coarser map.",
        lambda s: [(2, rate) for _, rate in _blocks(s)],
        "A block with a rate has lost its stride: 1, not 2.",
        lambda s: [(1, 2), (1, 4), (1, 8), (1, 16)],
        "That is output stride 16. The answer depends on the output stride.",
        lambda s: [(stride, max(1, rate // 2)) for stride, rate in _blocks(s)],
        "That is the rate of the layer that lost the stride. Most layers of the block lie behind "
        "it.",
    ),
)


def _weights(in_channels, channels, rates, image_pooling):
    branches = 1 + len(rates) + image_pooling
    read = (1 + 9 * len(rates) + image_pooling) * in_channels * channels
    return read + branches * channels * channels + 2 * channels * (branches + 1)


aspp_weights = Exercise(
    solution=_weights,
    because="The 3x3 branches hold nearly all of it, and no rate changes the count.",
    cases=((2048, 256, (6, 12, 18), True), (320, 256, (), True), (64, 16, (1, 2, 3, 4), False)),
    mistakes=in_pairs(
        lambda c, d, rates, pool: _weights(c, d, rates, pool) - 2 * d * (2 + len(rates) + pool),
        "Each convolution is followed by a batch norm: a scale and a shift per channel.",
        lambda c, d, r, pool: _weights(c, d, r, pool) - (1 + len(r) + pool) * d**2 - 2 * d,
        "The branches are joined, and a 1x1 with a batch norm projects them to `channels` again.",
        lambda c, d, rates, pool: _weights(c, d, rates, pool) + d * (2 + len(rates) + pool),
        "The convolutions have no bias; batch norm would take it away again.",
        lambda c, d, rates, pool: _weights(c, d, rates, False),
        "The pool has no weights, but behind it stands a 1x1 convolution, and its maps make the "
        "projection wider.",
    ),
)

crop = Exercise(
    solution=lambda rate, output_stride: 2 * rate * output_stride + 1,
    because="2 r + 1 units fit, and n = 2 r s + 1 pixels are the first that make so many.",
    cases=((18, 16), (36, 8), (12, 16), (24, 8)),
    mistakes=in_pairs(
        lambda rate, output_stride: 2 * rate * output_stride,
        "That makes 2 r units. The place in the middle needs one of its own.",
        lambda rate, output_stride: (2 * rate + 1) * output_stride,
        "That is enough, but not the smallest: the map rounds up, so the last unit needs one "
        "pixel only.",
        lambda rate, output_stride: rate * output_stride + 1,
        "The kernel reaches r units to the left **and** r units to the right.",
        lambda rate, output_stride: 2 * rate + 1,
        "Those are units of the map. Each is `output_stride` pixels from the next.",
    ),
)

normalised = Exercise(
    solution=lambda values, eps=1e-5: (values - values.mean()) / (values.var() + eps) ** 0.5,
    because="A single value becomes 0, and two become -1 and 1, whatever they were.",
    cases=((np.array([3.0, 7.0]),), (np.array([5.0, 1.0, 3.0]),), (np.array([0.02, 0.03]),)),
    mistakes=in_pairs(
        lambda values, eps=1e-5: (values - values.mean()) / (values.var(ddof=1) + eps) ** 0.5,
        "The variance is divided by the number of values here. Divided by one less, it is the one "
        "that goes into the running statistics.",
        lambda values, eps=1e-5: (values - values.mean()) / (values.std() + eps),
        "eps is added to the variance, under the root.",
        lambda values, eps=1e-5: values / (values.var() + eps) ** 0.5,
        "First take off the mean.",
        lambda values, eps=1e-5: (values - values.mean()) / (values.var() + eps),
        "Divide by the deviation, the root of the variance.",
    ),
)

rates = Exercise(
    solution=lambda rates, output_stride: [rate * 16 // output_stride for rate in rates],
    because="A rate counts units. Half as far from unit to unit means twice as many of them.",
    cases=(([6, 12, 18], 8), ([6, 12, 18], 32), ([6, 12, 18], 16), ([2, 4], 8)),
    mistakes=in_pairs(
        lambda rates, output_stride: list(rates),
        "At another output stride the same rates look at other distances in the picture.",
        lambda rates, output_stride: [rate * output_stride // 16 for rate in rates],
        "The other way round: at output stride 8 units are closer, so it takes more of them.",
        lambda rates, output_stride: [2 * rate for rate in rates],
        "True at 8. At 32 they are halved.",
        lambda rates, output_stride: [rate * output_stride for rate in rates],
        "Those are distances in pixels, if the rates were those of that map.",
    ),
)


def _shrunk(labels, stride, start):
    return labels[start::stride, start::stride]


def _classes(labels):
    return set(labels.ravel().tolist())


def _lost(labels, stride, void=frozenset({255}), start=None):
    start = stride // 2 if start is None else start
    return sorted(_classes(labels) - _classes(_shrunk(labels, stride, start)) - void)


def _scene(*things):
    """8 x 8 labels: (row, column, label) of single pixels on class 0."""
    labels = np.zeros((8, 8), int)
    for row, column, label in things:
        labels[row, column] = label
    return labels


_CASES = (
    (_scene((2, 2, 1), (3, 3, 2), (0, 4, 3), (7, 7, 255)), 4),
    (_scene((6, 2, 4), (4, 4, 5), (1, 1, 255)), 4),
    (_scene((1, 3, 1), (4, 6, 2), (5, 5, 3)), 2),
)

lost = Exercise(
    solution=_lost,
    because="Small and thin things fall between the pixels that are kept.",
    cases=_CASES,
    order="sorted",
    mistakes=in_pairs(
        lambda labels, stride: _lost(labels, stride, start=0),
        "That takes the corner of every square. Begin at `stride // 2`.",
        lambda labels, stride: _lost(labels, stride, void=frozenset()),
        "255 is void, and no class.",
        lambda labels, stride: sorted(_classes(_shrunk(labels, stride, stride // 2))),
        "Those are the classes that are still there.",
        lambda labels, stride: len(_lost(labels, stride)),
        "Return the classes, not how many there are.",
    ),
)
