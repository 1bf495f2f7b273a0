"""Exercises of chapter 08."""

import numpy as np

from dlseg.book import Exercise, in_pairs


def _numbers(*shape: int) -> np.ndarray:
    """An array of that shape, no two values alike."""
    return np.arange(np.prod(shape), dtype=float).reshape(shape)


kernel = Exercise(
    solution=lambda weight, channels, size: weight.reshape(len(weight), channels, size, size),
    because="A map is flattened channel by channel, each row by row; so are the weights for it.",
    cases=((_numbers(2, 12), 3, 2), (_numbers(4, 18), 2, 3), (_numbers(3, 20), 5, 2)),
    mistakes=in_pairs(
        lambda w, c, s: w.reshape(len(w), s, s, c).transpose(0, 3, 1, 2),
        "That would be right for maps (H, W, C). Ours are (C, H, W): all of one channel comes "
        "first.",
        lambda w, c, s: w.reshape(len(w), c, s, s).swapaxes(2, 3),
        "Rows and columns of the kernel are swapped.",
        lambda w, c, s: w.reshape(len(w), c, s, s)[:, :, ::-1, ::-1],
        "No flip: the convolution of PyTorch, as that of the papers, multiplies tap by tap.",
        lambda w, c, s: w.reshape(len(w), c, s * s),
        "Right order, but a kernel has four axes: output, input, row, column.",
        lambda w, c, s: w.T.reshape(c, s, s, -1).transpose(0, 3, 1, 2),
        "The outputs come first in a kernel, then the inputs.",
    ),
)

rate = Exercise(
    solution=lambda kernel_size: 24 // (kernel_size - 1),
    because="From the first tap to the last: (7 - 1) 4 = 24 units, whatever the kernel.",
    cases=((7,), (4,), (3,), (5,), (13,), (25,)),
    mistakes=in_pairs(
        lambda k: 28 // k,
        "You kept kernel size times rate. Between k taps there are k - 1 steps.",
        lambda k: 24 // (k - 1) - 1,
        "That is the number of holes between two taps. The rate is the step from one tap to the "
        "next.",
        lambda k: 25 // (k - 1) + (25 % (k - 1) > 0),
        "25 units from end to end are 24 steps.",
        lambda k: 192 // (k - 1),
        "That counts pixels. The rate counts units of the map, 8 pixels each.",
        lambda k: 4,
        "With the rate of 4 a smaller kernel sees less.",
    ),
)


def _head(size: int, channels: int, classes: int) -> int:
    fc6 = 512 * size**2 * channels + channels
    return fc6 + channels**2 + channels + channels * classes + classes


head_parameters = Exercise(
    solution=_head,
    because="Every output has one weight per input and tap, and one bias; holes hold no weights.",
    cases=((7, 4096, 21), (4, 4096, 21), (3, 1024, 21), (3, 1024, 10)),
    mistakes=in_pairs(
        lambda k, c, n: 512 * k**2 * c + c**2 + c * n,
        "The biases are missing, one per output of each layer.",
        lambda k, c, n: 512 * k**2 * c + c + c * n + n,
        "fc7 is missing: a 1x1 from all channels to as many.",
        lambda k, c, n: 512 * k**2 * c + c + (c**2 + n * c) * k**2 + c + n,
        "fc7 and fc8 are 1x1. Only fc6 has a window.",
        lambda k, c, n: 512 * k * c + c + c**2 + c + c * n + n,
        "The kernel of fc6 has rows and columns: its size counts squared.",
        lambda k, c, n: c * k**2 * c + c + c**2 + c + c * n + n,
        "fc6 reads pool5, which has 512 channels.",
    ),
)


def _blocks(labels: np.ndarray) -> np.ndarray:
    """(H/8, W/8, 64): the labels of each square of 8 x 8."""
    height, width = labels.shape
    squares = labels.reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2)
    return squares.reshape(height // 8, width // 8, 64)


def _majority(labels: np.ndarray) -> np.ndarray:
    return np.apply_along_axis(lambda values: np.bincount(values).argmax(), 2, _blocks(labels))


_LABELS = (np.arange(16 * 24).reshape(16, 24) // 3 * 7) % 21
_STRIPES = np.indices((24, 16)).sum(0) % 10

shrunk = Exercise(
    solution=lambda labels: labels[4::8, 4::8],
    because="Unit i lies between pixels 8i + 3 and 8i + 4, so it takes the label that is there.",
    cases=((_LABELS,), (_STRIPES,), (_LABELS[:8, :16],)),
    mistakes=in_pairs(
        lambda labels: labels[::8, ::8],
        "That takes the corner of each square, 3.5 pixels from where its unit lies (as the "
        "released network did, whose units lie there).",
        lambda labels: labels[3::8, 3::8],
        "As near as pixel 4, but the other one: take the later of the two in the middle.",
        lambda labels: _blocks(labels).mean(2),
        "Labels are names. The mean of cat (8) and dog (12) is not cow (10).",
        _majority,
        "The paper takes one label out of each square and does not count votes. A vote would also "
        "decide between void and a class.",
        lambda labels: labels[4::8],
        "The columns are still there.",
    ),
)


def _summed(weight, bias, maps, starts):
    parts = (weight[:, at : at + len(x)] @ x for at, x in zip(starts, maps, strict=True))
    return sum(parts) + bias[:, None]


def _starts(maps):
    return np.cumsum([0, *(len(x) for x in maps[:-1])])


_MAPS = (_numbers(2, 4) % 5, _numbers(1, 4) + 1, _numbers(3, 4) % 7 - 3)
_WEIGHT = np.sin(_numbers(3, 6))
_BIAS = np.array([1.0, -2.0, 0.5])

joined = Exercise(
    solution=lambda weight, bias, maps: _summed(weight, bias, maps, _starts(maps)),
    because="Each map meets its own columns of the weights; a sum does not care for the order.",
    cases=((_WEIGHT, _BIAS, _MAPS), (_WEIGHT[:, :3], _BIAS, _MAPS[:2])),
    mistakes=in_pairs(
        lambda w, b, maps: _summed(w, len(maps) * b, maps, _starts(maps)),
        "The bias was added once for each map. One classifier has one bias.",
        lambda w, b, maps: _summed(w, b, maps, [0] * len(maps)),
        "Every map met the first columns of the weights. Each has its own.",
        lambda w, b, maps: _summed(w, 0 * b, maps, _starts(maps)),
        "The bias is missing.",
        lambda w, b, maps: _summed(w, 0 * b, maps, _starts(maps)) / len(maps) + b[:, None],
        "Add, do not average: the classifier on the joined maps adds.",
    ),
)

learning_rate = Exercise(
    solution=lambda iteration, head: 0.001 * 0.1 ** (iteration // 2000) * (10 if head else 1),
    because="A tenth after each 2000 iterations, and the new classifier learns ten times faster.",
    cases=((0, False), (1999, True), (2000, False), (4500, True), (5999, False)),
    mistakes=in_pairs(
        lambda i, head: 0.001 * 0.1 ** (i / 2000) * (10 if head else 1),
        "The rate stays the same for 2000 iterations, then falls at once: divide without "
        "remainder.",
        lambda i, head: 0.001 * 0.1 ** (i // 2000),
        "The new classifier learns ten times faster than the borrowed layers.",
        lambda i, head: 0.001 * 0.1 ** (i // 2000) * (1 if head else 10),
        "The other way: the borrowed layers are nearly right already and move slowly.",
        lambda i, head: 0.001 * (1 - i / 6000) ** 0.9 * (10 if head else 1),
        "That is poly, the schedule of DeepLab v2.",
        lambda i, head: 0.001 * 0.1 ** ((i + 1) // 2000) * (10 if head else 1),
        "One step too early: iterations count from 0, so 1999 is the last at the first rate.",
    ),
)
