"""Exercises of chapter 13."""

from math import comb

import numpy as np

from dlseg.book import Exercise, in_pairs


def _places(batch_size, crop_size, output_stride, loss):
    side = crop_size if loss == "upsampled" else -(-crop_size // output_stride)
    return batch_size * side**2


places = Exercise(
    solution=_places,
    because="From v1 to v3 the places of a step became 138 times as many.",
    cases=((20, 306, 8, "shrunk"), (16, 513, 16, "upsampled"), (10, 321, 8, "shrunk")),
    mistakes=in_pairs(
        lambda n, crop, stride, loss: n * crop**2,
        "With shrunk labels the loss is taken at the scores, of which there is one for each step "
        "of `output_stride`.",
        lambda n, crop, stride, loss: n * (-(-crop // stride)) ** 2,
        "With upsampled logits every pixel of the crop has a loss.",
        lambda n, crop, stride, loss: n * (crop if loss == "upsampled" else crop // stride) ** 2,
        "Units are rounded up: 306 pixels make 39 at stride 8.",
        lambda n, crop, stride, loss: _places(1, crop, stride, loss),
        "That is one crop. A step has `batch_size` of them.",
        lambda n, crop, stride, loss: n * (crop if loss == "upsampled" else -(-crop // stride)),
        "A map has two sides.",
    ),
)


def _padding(height, width, scale, crop):
    return 1 - min(height * scale, crop) * min(width * scale, crop) / crop**2


padding = Exercise(
    solution=_padding,
    because="Each side is filled or not on its own; what is shown is a rectangle.",
    cases=(
        (375, 500, 1.0, 513),
        (375, 500, 0.5, 513),
        (1024, 2048, 0.5, 769),
        (400, 400, 2.0, 321),
    ),
    mistakes=in_pairs(
        lambda h, w, scale, crop: 1 - h * scale * w * scale / crop**2,
        "Where the image is larger than the crop, the crop shows `crop` pixels of it and no more.",
        lambda h, w, scale, crop: 1 - _padding(h, w, scale, crop),
        "That is the share with image. Padding is the rest.",
        lambda h, w, scale, crop: max(0, 1 - h * scale * w * scale / crop**2),
        "One side may be too short while the other is too long. Take them one by one.",
        lambda h, w, scale, crop: 1 - min(h, crop) * min(w, crop) / crop**2,
        "First the image is resized by `scale`, both sides.",
        lambda h, w, scale, crop: 1 - min(h, crop) * min(w, crop) * scale**2 / crop**2,
        "First resized, then cut: the scale goes inside the minimum.",
    ),
)

continued = Exercise(
    solution=lambda planned, longer, base: base * (1 - planned / longer) ** 0.9,
    because="Poly looks at the share of the way, and half of the new way is still to come.",
    cases=((30_000, 60_000, 0.007), (6_000, 10_000, 0.001), (90, 100, 1.0)),
    mistakes=in_pairs(
        lambda planned, longer, base: 0 * base,
        "Zero is where the old plan ends. By the new plan the way is not over.",
        lambda planned, longer, base: base,
        "`base` is the rate of iteration 0. The next iteration is number `planned`.",
        lambda planned, longer, base: base * (1 - planned / longer),
        "That is a straight line. Poly has the power 0.9.",
        lambda planned, longer, base: base * (planned / longer) ** 0.9,
        "That grows with what is done. Poly falls with it: one minus the share.",
        lambda planned, longer, base: base * (1 - 1 / (longer - planned)) ** 0.9,
        "The count goes on; it does not begin again at 0.",
    ),
)

loss = Exercise(
    solution=lambda parts: sum(total for total, _ in parts) / sum(count for _, count in parts),
    because="Every labelled pixel of the batch counts the same, wherever it was computed.",
    cases=(([(1200.0, 1000), (90.0, 100)],), ([(10.0, 10), (40.0, 20), (0.5, 1)],)),
    mistakes=in_pairs(
        lambda parts: sum(total / count for total, count in parts) / len(parts),
        "That is the mean of the parts' means: the pixels of a part with much void count more.",
        lambda parts: sum(total / count for total, count in parts),
        "Those are the parts' means, added.",
        lambda parts: sum(total for total, _ in parts) / len(parts),
        "Divide by labelled pixels, not by parts.",
        lambda parts: sum(total for total, _ in parts),
        "That is the sum. A step should not be larger because its pictures have less void.",
    ),
)


def _normed(batch_size, processes, accumulate, synchronised):
    return batch_size // accumulate // (1 if synchronised else processes)


normed = Exercise(
    solution=_normed,
    because="Only synchronising puts pictures together. Accumulating never does.",
    cases=(
        (16, 1, 1, False),
        (16, 4, 1, False),
        (16, 4, 1, True),
        (16, 4, 2, True),
        (10, 1, 2, False),
    ),
    mistakes=in_pairs(
        lambda n, processes, parts, synchronised: n,
        "The gradient is that of the whole batch. Batch norm sees only what goes through the "
        "network in one call.",
        lambda n, processes, parts, synchronised: n // parts // processes,
        "Synchronised batch norm asks the other processes for their sums.",
        lambda n, processes, parts, synchronised: n // (1 if synchronised else processes),
        "The parts of an accumulated batch go through one after the other: batch norm cannot wait "
        "for the next part.",
        lambda n, processes, parts, synchronised: n // parts,
        "Each process has its own share of the pictures, and without synchronising knows no other.",
    ),
)


def _softmax(logits):
    e = np.exp(logits - logits.max(0))
    return e / e.sum(0)


_RNG = np.random.default_rng(13)
views = Exercise(
    solution=lambda logits, mirrored: (_softmax(logits) + _softmax(mirrored)[:, :, ::-1]) / 2,
    because="Mirrored back, made probabilities, then averaged.",
    cases=tuple((_RNG.normal(0, 2, (3, 4, 5)), _RNG.normal(0, 2, (3, 4, 5))) for _ in range(2)),
    mistakes=in_pairs(
        lambda a, b: (_softmax(a) + _softmax(b)) / 2,
        "The second answer is for the mirrored image: its left is your right. Mirror it back.",
        lambda a, b: (_softmax(a) + _softmax(b)[:, ::-1]) / 2,
        "That turns it upside down. Mirror the last axis, the columns.",
        lambda a, b: _softmax((a + b[:, :, ::-1]) / 2),
        "That averages logits. The papers average probabilities, so that no view can shout.",
        lambda a, b: np.maximum(_softmax(a), _softmax(b)[:, :, ::-1]),
        "That is the maximum, as DeepLab v2 took it over scales. It does not add up to 1.",
        lambda a, b: _softmax(a) + _softmax(b)[:, :, ::-1],
        "Divide by the number of views.",
        lambda a, b: (a + b[:, :, ::-1]) / 2,
        "Logits are not probabilities: take the softmax over the classes, the first axis.",
    ),
)


def _chance(first, second):
    wins = sum(a > b for a, b in zip(first, second, strict=True))
    return _at_least(wins, len(first))


def _at_least(wins, seeds):
    return sum(comb(seeds, heads) for heads in range(wins, seeds + 1)) / 2**seeds


def _exactly(first, second):
    wins = sum(a > b for a, b in zip(first, second, strict=True))
    return comb(len(first), wins) / 2 ** len(first)


def _ties(first, second):
    wins = sum(a >= b for a, b in zip(first, second, strict=True))
    return _at_least(wins, len(first))


def _sorted(first, second):
    return _chance(sorted(first), sorted(second))


chance = Exercise(
    solution=_chance,
    because="Pairs of one seed share their start and their scenes. If the networks were equally "
    "good, each pair would be a coin, and coins fall in 2 to the number of seeds ways.",
    cases=(
        ([0.52, 0.47, 0.50, 0.55, 0.49], [0.51, 0.44, 0.48, 0.52, 0.47]),
        ([0.52, 0.47, 0.50, 0.55, 0.49], [0.51, 0.48, 0.48, 0.52, 0.47]),
        ([0.30, 0.31, 0.29, 0.32, 0.30], [0.33, 0.34, 0.30, 0.35, 0.31]),
        ([0.50, 0.51, 0.52, 0.40, 0.41, 0.45], [0.49, 0.50, 0.51, 0.60, 0.41, 0.44]),
        ([0.6 + 0.01 * seed for seed in range(10)], [0.59] * 10),
    ),
    mistakes=in_pairs(
        _exactly,
        "That is the chance of just so many wins. As many or more would have convinced you too.",
        lambda first, second: 1 - _chance(first, second),
        "That is the chance of fewer wins.",
        _ties,
        "A tie is no win.",
        _sorted,
        "Do not sort them: the first of one belongs to the first of the other, by its seed.",
        lambda first, second: min(1, 2 * _chance(first, second)),
        "Two-sided: the claim says which of the two is better, so only one side counts.",
        lambda first, second: 2.0 ** -len(first),
        "That is the chance to win on every seed. Here the first may have lost on some.",
    ),
)


def _fitting(height, width, output_stride, share):
    rows, columns = -(-height // output_stride), -(-width // output_stride)
    left = [max(0, rows - 2 * rate) * max(0, columns - 2 * rate) for rate in range(rows)]
    return max(rate for rate, units in enumerate(left) if units >= share * rows * columns)


fitting = Exercise(
    solution=_fitting,
    because="A rate is large or small for a map, never in itself.",
    cases=((180, 240, 16, 0.39), (513, 513, 16, 0.39), (513, 513, 8, 0.39), (97, 1025, 16, 0.1)),
    mistakes=in_pairs(
        lambda h, w, stride, share: _fitting(h, w, 1, share),
        "A rate counts units of the map, of which there is one for each `output_stride` pixels.",
        lambda h, w, stride, share: _fitting(2 * h, 2 * w, stride, share),
        "The taps lie `rate` units away on both sides: a map of n rows leaves n - 2 * rate.",
        lambda h, w, stride, share: _fitting(w, w, stride, share),
        "The image is not square, and neither is the map.",
        lambda h, w, stride, share: _fitting(h, w, stride, share) + 1,
        "That rate leaves fewer than `share`; the one before it is the largest that does not.",
        lambda h, w, stride, share: _fitting(h, w, stride, 1 - share),
        "`share` is what must be left, not what may be lost.",
    ),
)
