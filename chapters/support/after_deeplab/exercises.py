"""Exercises of chapter 17."""

from math import floor

import numpy as np

from dlseg.book import Exercise, in_pairs


def _field(kernel_size, rates, convolutions):
    return 1 + convolutions * (kernel_size - 1) * sum(rates)


field = Exercise(
    solution=_field,
    because="Every layer adds (k - 1) r steps; 8 with rates 1, 2, 4, 8 three times over is 316, or "
    "631 with two convolutions in each block.",
    cases=((8, [1, 2, 4, 8] * 3, 1), (8, [1, 2, 4, 8] * 3, 2), (2, [1, 2, 4], 1), (3, [1], 2)),
    mistakes=in_pairs(
        lambda k, rates, n: k * max(rates) * rates.count(max(rates)),
        "That is the first answer of the library, 192: kernel times largest rate times stacks. "
        "Smaller rates add to the field too, and a kernel of k taps reaches (k - 1) r steps.",
        lambda k, rates, n: 1 + (k - 1) * sum(rates),
        "Each rate is met `convolutions` times.",
        lambda k, rates, n: n * (k - 1) * sum(rates),
        "The output's own step belongs to the field: add 1.",
        lambda k, rates, n: 1 + n * k * sum(rates),
        "Between k taps there are k - 1 gaps.",
        lambda k, rates, n: 1 + n * (k - 1) * len(rates),
        "Each gap is as long as the rate.",
        lambda k, rates, n: 1 + 2 * n * (k - 1) * sum(rates),
        "It reaches to one side only, into the past. A kernel of 3 on a picture has one gap on "
        "each side, (k - 1) / 2.",
    ),
)


causal_padding = Exercise(
    solution=lambda kernel_size, rate: (rate * (kernel_size - 1), 0),
    because="Then the last tap lies on the present, and all others before it.",
    cases=((2, 1), (3, 4), (5, 2), (1, 3), (4, 3)),
    mistakes=in_pairs(
        lambda k, r: (r * (k - 1) // 2, r * (k - 1) // 2),
        "As on pictures: half of each output's taps would lie in its future.",
        lambda k, r: (k - 1, 0),
        "The kernel has holes: its taps lie `rate` steps apart.",
        lambda k, r: (0, r * (k - 1)),
        "The other way round: that reads the future, and no past.",
        lambda k, r: (r * (k - 1) + 1, 0),
        "That is the effective kernel K. One of its taps is the present itself.",
        lambda k, r: (k * r, 0),
        "Between k taps there are k - 1 gaps.",
    ),
)


def _class(place, size, rate):
    return list(range(place % rate, size, rate))


def _keys(place, size, kernel_size, rate):
    same = _class(place, size, rate)
    first = min(max(same.index(place) - kernel_size // 2, 0), len(same) - kernel_size)
    return same[first : first + kernel_size]


def _wanted(place, kernel_size, rate):
    return [place + rate * (k - kernel_size // 2) for k in range(kernel_size)]


def _pushed(place, size, kernel_size, rate):
    """The window moved inside by as many places as it stands out, whatever its class."""
    keys = _wanted(place, kernel_size, rate)
    move = max(0, -keys[0]) - max(0, keys[-1] - size + 1)
    return [key + move for key in keys]


keys = Exercise(
    solution=_keys,
    because="Every query has as many keys, all of its own class; near an end it stands at the edge "
    "of its window.",
    cases=(
        (5, 12, 3, 2),
        (0, 12, 3, 2),
        (11, 12, 3, 2),
        (1, 11, 3, 3),
        (10, 11, 5, 1),
        (7, 11, 3, 3),
    ),
    order="sorted",
    mistakes=in_pairs(
        lambda place, size, k, r: _wanted(place, k, r),
        "Right in the middle. Near an end some of these places do not exist.",
        lambda place, size, k, r: [key for key in _wanted(place, k, r) if 0 <= key < size],
        "A convolution loses taps in its padding. Here the window moves inside, so that every "
        "query has kernel_size keys.",
        _pushed,
        "It may move only by whole rates, or it leaves the class of its query.",
        lambda place, size, k, r: _keys(place, size, k, 1),
        "Keys lie `rate` places apart.",
        lambda place, size, k, r: _class(place, size, r),
        "That is the whole class. A query asks only the nearest kernel_size of it.",
        lambda place, size, k, r: [one for one in _keys(place, size, k, r) if one != place],
        "The query itself is one of its keys.",
    ),
)


def _at(plane, row, column, outside=0.0):
    inside = 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]
    return float(plane[row, column]) if inside else outside


def _corners(row, column):
    upper, left = floor(row), floor(column)
    return [(i, j) for i in (upper, upper + 1) for j in (left, left + 1)]


def _bilinear(plane, row, column):
    return sum(
        (1 - abs(row - i)) * (1 - abs(column - j)) * _at(plane, i, j)
        for i, j in _corners(row, column)
    )


def _clamped(plane, row, column):
    row = min(max(row, 0), plane.shape[0] - 1)
    return _bilinear(plane, row, min(max(column, 0), plane.shape[1] - 1))


_PLANE = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0], [64.0, 128.0, 256.0]])

bilinear = Exercise(
    solution=_bilinear,
    because="The nearer of four pixels counts the more, in each direction by what is left to the "
    "other; beyond the edge there are zeros.",
    cases=(
        (_PLANE, 0.5, 0.5),
        (_PLANE, 1.25, 0.5),
        (_PLANE, 1.0, 2.0),
        (_PLANE, -0.5, 1.0),
        (_PLANE, 2.75, 1.5),
        (_PLANE, 5.0, 0.0),
    ),
    mistakes=in_pairs(
        lambda plane, row, column: _at(plane, floor(row + 0.5), floor(column + 0.5)),
        "The nearest pixel alone: its value does not change while the tap moves a little, so no "
        "gradient would ever move the tap.",
        lambda plane, row, column: np.mean([_at(plane, i, j) for i, j in _corners(row, column)]),
        "The four pixels do not count alike: weights depend on the distance.",
        lambda plane, row, column: _bilinear(plane, column, row),
        "Rows first: plane[row, column].",
        _clamped,
        "What lies outside counts as zero, as in the padding of a convolution.",
        lambda plane, row, column: sum(
            abs(row - i) * abs(column - j) * _at(plane, i, j) for i, j in _corners(row, column)
        ),
        "The other way round: the weight is 1 minus the distance.",
    ),
)


def _fold(large, small, factors, place=None):
    rim = (len(large) - len(small)) // 2 if place is None else place
    folded = factors[0] * large
    folded[rim : rim + len(small), rim : rim + len(small)] += factors[1] * small
    return folded


_LARGE = np.arange(25.0).reshape(5, 5)

fold = Exercise(
    solution=_fold,
    because="Both are linear, so that their sum is one convolution, and it costs what the large "
    "one costs alone.",
    cases=(
        (_LARGE, np.ones((3, 3)), (2.0, 10.0)),
        (_LARGE, np.array([[100.0]]), (1.0, 0.5)),
        (np.ones((3, 3)), np.eye(3), (0.5, -1.0)),
    ),
    mistakes=in_pairs(
        lambda large, small, factors: _fold(large, small, factors, 0),
        "Its middle belongs on the middle of the large kernel, or it looks elsewhere than before.",
        lambda large, small, factors: _fold(large, small, (1, 1)),
        "Each branch has a batch norm, which multiplies it by its factor.",
        lambda large, small, factors: _fold(large, small, factors) / sum(factors),
        "The branches are added, not averaged.",
        lambda large, small, factors: _fold(large, small, factors[::-1]),
        "The first factor is the large kernel's.",
        lambda large, small, factors: _fold(large, small, (factors[0], factors[0] * factors[1])),
        "The branches stand side by side: each has its own factor only.",
    ),
)


def _softmax(logits, axis=1):
    e = np.exp(logits - logits.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _squares(f):
    return ((f[:, None] - f[None]) ** 2).sum(2)


crf_attention = Exercise(
    solution=lambda f: _softmax(-_squares(f) / 2),
    because="Row i says how much pixel i listens to each pixel: a Gaussian of the difference of "
    "their features, and the sum of each row is 1.",
    cases=(
        (np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]]),),
        (np.array([[0.5], [3.0], [-1.0], [0.0]]),),
    ),
    mistakes=in_pairs(
        lambda f: _softmax(f @ f.T),
        "A dot product of features grows with their length. The kernel looks at their difference: "
        "-|f_i - f_j|^2 / 2.",
        lambda f: np.exp(-_squares(f) / 2),
        "That is the kernel. Attention divides each row by its sum.",
        lambda f: _softmax(-_squares(f) / 2, 0),
        "Each pixel asks all others: normalise along the row, over j.",
        lambda f: _softmax(-_squares(f)),
        "Half of the squared distance: the features are divided by their sigmas already.",
        lambda f: _softmax(-np.sqrt(_squares(f)) / 2),
        "The square of the distance, as in a Gaussian.",
        lambda f: _softmax(-_squares(f) / 2 - 1e9 * np.eye(len(f))),
        "Here a pixel listens to itself too, as in the authors' code.",
    ),
)


def _masked(logits, mask, threshold=0.0):
    seen = mask >= threshold
    if not seen.any():
        seen = np.ones_like(seen)
    e = np.where(seen, np.exp(logits - logits[seen].max()), 0)
    return e / e.sum()


_LOGITS = np.array([0.0, 1.0, 2.0, 0.5])

masked = Exercise(
    solution=_masked,
    because="Only pixels of the mask share the weight; a query that has found nothing yet may look "
    "everywhere, or it never would.",
    cases=(
        (_LOGITS, np.array([1.0, -1.0, 3.0, -0.2])),
        (_LOGITS, np.array([-1.0, -2.0, -0.1, -5.0])),
        (_LOGITS, np.array([0.3, 0.0, -0.4, 0.4])),
    ),
    mistakes=in_pairs(
        lambda logits, mask: _softmax(logits[None])[0] * (mask >= 0),
        "Weights of what is left must have the sum 1: take pixels out before the softmax.",
        lambda logits, mask: np.where((mask >= 0).any(), _masked(logits, mask), 0),
        "An empty mask leaves the query with nothing, and 0 / 0 with NaN. Let it see all.",
        lambda logits, mask: _masked(logits, mask, 0.5),
        "The mask holds logits: probability 1/2 is where they are 0.",
        lambda logits, mask: _softmax(logits[None])[0],
        "That is plain cross-attention; it takes no notice of the mask.",
        lambda logits, mask: _softmax((logits + mask)[None])[0],
        "The mask is hard: a pixel outside counts nothing, however near it is to 0.",
        lambda logits, mask: np.where(
            (mask >= 0).any(), (mask >= 0) / max(1, (mask >= 0).sum()), np.full(len(mask), 0.25)
        ),
        "Inside the mask the weights still follow from query and key.",
    ),
)


def _nearest(places, offsets, middles, sign=1, order=2):
    hit = np.asarray(places) + sign * np.asarray(offsets)
    away = np.linalg.norm(hit[:, None] - np.asarray(middles)[None], order, 2)
    return (1 + away.argmin(1)).tolist()


_PLACES = [[0, 0], [2, 1], [5, 5], [4, 4]]
_ARROWS = [[1.5, 0.5], [2.5, 4.0], [-4.0, -4.0], [-2.5, 4.0]]
_MIDDLES = [[1, 1], [6, 6], [0, 8]]

group = Exercise(
    solution=_nearest,
    because="An arrow need not hit its middle: the nearest one takes the pixel.",
    cases=(
        (_PLACES, _ARROWS, _MIDDLES),
        ([[3, 3], [1, 1]], [[0.0, 3.0], [-1.0, -1.0]], [[3, 3.2], [0, 4]]),
    ),
    mistakes=in_pairs(
        lambda places, offsets, middles: _nearest(places, offsets, middles, 0),
        "That is the middle nearest to the pixel itself, which is of a small neighbour where a "
        "thing is large. Follow the arrow first.",
        lambda places, offsets, middles: _nearest(places, offsets, middles, -1),
        "An offset points from the pixel to the middle: add it.",
        lambda places, offsets, middles: [n - 1 for n in _nearest(places, offsets, middles)],
        "Numbers begin at 1, for 0 means that there is no thing.",
        lambda places, offsets, middles: _nearest(places, offsets, middles, 1, np.inf),
        "The distance is the straight line's, not that along the longer axis.",
        lambda places, offsets, middles: _nearest([[0, 0]] * len(places), offsets, middles),
        "The arrow begins at the pixel: add its place.",
    ),
)
