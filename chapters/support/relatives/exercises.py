"""Exercises of chapter 12."""

import numpy as np

from dlseg.book import Exercise, in_pairs

# U-Net, PSPNet, DeepLab v2 on three sizes, context module, SegNet, cascade of v3, ASPP, RefineNet.
ways = Exercise(
    solution="bdacbcdb",
    because="Ask what is done several times: the image (a), the way back up (b), a layer behind "
    "the other (c), or a look at one map (d).",
    mistakes=in_pairs(
        "bdadbcdb",
        "The layers of the context module stand behind each other; each reads the one before. "
        "Side by side would be d.",
        "bdacbddb",
        "Blocks 5 to 7 stand behind each other. The other network of DeepLab v3, ASPP, is side by "
        "side.",
        "bddcbcdb",
        "DeepLab v2 resizes the image and runs the whole network on each size. Pyramid pooling "
        "looks several times at one map.",
        "bbacbcdb",
        "PSPNet brings no early map back. It looks at its last map through grids of several sizes.",
        "ddacdcdd",
        "Networks that come down and go up again, joined with maps from the beginning, are "
        "encoder-decoders: b.",
        "bdaabcdb",
        "The context module sees the image once, at one size.",
    ),
)


def _offset(padding, kernel_size):
    first = 15.5 - (padding - 1) + 32 * (kernel_size - 1) / 2
    return 31.5 - first


offset = Exercise(
    solution=_offset,
    because="With 100 pixels and a 7x7 kernel it is 19, the number in the released FCN-32s.",
    cases=((100, 7), (100, 1), (81, 7), (68, 5)),
    mistakes=in_pairs(
        lambda padding, kernel_size: 31.5 - (15.5 - (padding - 1)),
        "fc6 has no padding: its first unit is (k - 1) / 2 units of pool5 further inside, 32 "
        "pixels each.",
        lambda padding, kernel_size: _offset(padding, kernel_size) + 1,
        "A 3x3 convolution needs one pixel of padding to stay where it is. Only the other padding "
        "- 1 pixels move the first unit.",
        lambda padding, kernel_size: 31.5 - (15.5 - (padding - 1) + (kernel_size - 1) / 2),
        "fc6 works on pool5, where a step from unit to unit is 32 pixels.",
        lambda padding, kernel_size: -_offset(padding, kernel_size),
        "The other way round: how many pixels of the large map lie before the image's first.",
        lambda padding, kernel_size: 15.5 - (padding - 1) + 16 * (kernel_size - 1),
        "That is where the first unit of fc6 lies in the image. On the large map it lies at 31.5; "
        "the crop is what makes up the difference.",
    ),
)


def _side(side, lost=4, odd=False):
    for _ in range(4):
        side -= lost
        if side <= 0 or (side % 2 and not odd):
            return 0
        side //= 2
    side -= lost
    for _ in range(4):
        side = 2 * side - lost
    return max(0, side)


side = Exercise(
    solution=_side,
    because="Nine pairs of convolutions take 184 pixels; only sides of 16 k + 12 pixels, 188 at "
    "least, halve evenly four times.",
    cases=((572,), (188,), (570,), (172,), (396,), (256,)),
    mistakes=in_pairs(
        lambda side: side - 184,
        "True where the side fits. But a pool must halve an even number, and something must be "
        "left.",
        lambda side: _side(side, odd=True),
        "Where a pool drops a row, the map that comes back does not fit the one it is joined "
        "with: return 0.",
        lambda side: _side(side, lost=2),
        "Each level has two 3x3 convolutions, and each of them takes a pixel from both ends.",
        lambda side: _side(side, lost=0),
        "That is the U-Net with padding. Here every 3x3 convolution takes two pixels.",
        lambda side: side if side % 16 == 12 else 0,
        "The right sides, but valid convolutions make the result smaller.",
    ),
)


def _unpool(values, places, size):
    result = np.zeros(size)
    result.flat[places.ravel()] = values.ravel()
    return result


def _corners(values, places, size):
    result = np.zeros(size)
    result[::2, ::2] = values
    return result


def _kept(change):
    """A mistake that puts other values into the right places."""
    return lambda values, places, size: _unpool(change(values), places, size)


_CASES = (
    (np.array([[5.0, 2.0], [3.0, 4.0]]), np.array([[5, 2], [8, 15]]), (4, 4)),
    (np.array([[1.0, 7.0]]), np.array([[1, 7]]), (2, 4)),
)

unpool = Exercise(
    solution=_unpool,
    because="Every value is back on its own pixel, and all others are empty until the "
    "convolutions fill them.",
    cases=_CASES,
    mistakes=in_pairs(
        lambda values, places, size: values.repeat(2, 0).repeat(2, 1),
        "That is nearest neighbour upsampling. It forgets where in its square the maximum was.",
        _corners,
        "Not always the upper left corner: `places` says which pixel it was.",
        _kept(np.ones_like),
        "The places alone are not enough; put the values there.",
        lambda values, places, size: _unpool(values, places, size).T,
        "Places count along the rows: place 5 of 4 columns is row 1, column 1.",
        _kept(lambda values: values.ravel()[::-1]),
        "Value and place belong together, in the same order.",
    ),
)


def _window(p, i, window):
    return p[max(0, i - window // 2) : i + window // 2 + 1]


def _each(measure):
    return lambda p, window: np.array([measure(_window(p, i, window), p[i]) for i in range(len(p))])


gate = Exercise(
    solution=_each(lambda near, own: near.max() - near.min()),
    because="Zero deep inside and far outside, where all agree; large where they change.",
    cases=(
        (np.array([0.1, 0.1, 0.2, 0.9, 1.0, 1.0, 1.0]), 3),
        (np.array([0.5, 0.5, 0.5, 0.4]), 3),
        (np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0]), 5),
    ),
    mistakes=in_pairs(
        _each(lambda near, own: 1 - own),
        "That opens the gate wherever the class is improbable, also where everybody agrees that "
        "it is not there.",
        _each(lambda near, own: 4 * own * (1 - own)),
        "That asks one place for its doubt. LRR asks whether its surroundings disagree.",
        _each(lambda near, own: near.max()),
        "Deep inside an object the largest is 1, and nothing is to be corrected there. Take off "
        "the smallest.",
        _each(lambda near, own: near.max() - own),
        "From the other side of a boundary it must be open too: largest minus smallest, not minus "
        "the place's own.",
        lambda p, window: gate.solution(p, 2 * window + 1),
        "The window is the whole width, window // 2 to each side.",
    ),
)


def _unit(a):
    return a / np.linalg.norm(a, axis=0, keepdims=True)


join = Exercise(
    solution=lambda a, b, scale: scale * np.concatenate([_unit(a), _unit(b)]),
    because="Both maps now speak equally loudly, place by place, however large they were.",
    cases=(
        (np.array([[3.0, 0.0], [4.0, 2.0]]), np.array([[300.0, 50.0]]), 10.0),
        (np.array([[1.0, 2.0, 2.0]]), np.array([[0.1, 0.2, 0.0], [0.0, 0.2, 0.3]]), 2.0),
    ),
    mistakes=in_pairs(
        lambda a, b, scale: scale * _unit(np.concatenate([a, b])),
        "Normalised together, the larger map still drowns the smaller one. Each by itself, then "
        "join.",
        lambda a, b, scale: scale * np.concatenate([a / np.linalg.norm(a), b / np.linalg.norm(b)]),
        "Each place has a vector of its own, a column. Do not mix places.",
        lambda a, b, scale: np.concatenate([_unit(a), _unit(b)]),
        "The length should be `scale`. At 1, every number is small and learning slow.",
        lambda a, b, scale: scale * np.concatenate([_unit(a.T).T, _unit(b.T).T]),
        "The vector of a place runs over the channels, the first axis.",
        lambda a, b, scale: scale * np.concatenate([a, b]),
        "Divide by the lengths first.",
    ),
)


def _bins(size, bins, end=lambda n, d: -(-n // d)):
    return [(i * size // bins, end((i + 1) * size, bins)) for i in range(bins)]


bins = Exercise(
    solution=_bins,
    because="Every unit is in a bin, and where the size does not divide, neighbours share one.",
    cases=((6, 3), (7, 3), (33, 6), (5, 1), (4, 6)),
    mistakes=in_pairs(
        lambda size, bins: _bins(size, bins, lambda n, d: n // d),
        "The end is rounded up: a bin that ends inside a unit takes all of it.",
        lambda size, bins: [(i * (size // bins), (i + 1) * (size // bins)) for i in range(bins)],
        "Bins of size // bins units leave the last units out.",
        lambda size, bins: [(a, b - 1) for a, b in _bins(size, bins)],
        "`stop` is the first unit behind the bin, as in a slice.",
        lambda s, bins: [(round(i * s / bins), round((i + 1) * s / bins)) for i in range(bins)],
        "Begin rounded down, end rounded up: bins may overlap by a unit.",
    ),
)
