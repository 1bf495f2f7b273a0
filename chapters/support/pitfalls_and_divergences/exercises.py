"""Exercises of chapter 14."""

import numpy as np

from dlseg.book import Exercise, in_pairs


def _moves(side, output_stride, align_corners):
    return (side - align_corners) % output_stride == 0


moves_along = Exercise(
    solution=_moves,
    because="Then neighbouring units lie exactly one output stride apart in the answer too.",
    cases=(
        (513, 16, True),
        (513, 16, False),
        (512, 16, True),
        (512, 16, False),
        (505, 8, True),
        (505, 16, True),
        (520, 16, False),
        (320, 8, False),
    ),
    mistakes=in_pairs(
        lambda side, s, align: _moves(side, s, not align),
        "The other way round: with aligned corners the last unit must lie on the last pixel.",
        lambda side, s, align: side % s == 0,
        "True without aligned corners. With them, n units have n - 1 gaps, from the first pixel "
        "to the last.",
        lambda side, s, align: side % s == 1,
        "True with aligned corners. Without, a unit is a square of side / units pixels: that must "
        "be the output stride.",
        lambda side, s, align: True,
        "At most sizes the stretch is by another factor than the output stride.",
        lambda side, s, align: align,
        "Aligned corners alone do not help: 512 pixels are stretched by 511/31 with them.",
    ),
)


_MASKS = (
    (np.array([[0, 40], [80, 255]]), 4),
    (np.array([[0, 20], [21, 255]]), 21),
    (np.array([[1, 2], [2, 1]]), 3),
    (np.array([[3, 147], [220, 147]]), 21),
)

mask_faults = Exercise(
    solution=lambda mask, n: sorted(set(mask.ravel().tolist()) - set(range(n)) - {255}),
    because="An empty list means that the loss, the metric and the picture will agree on it.",
    cases=_MASKS,
    order="sorted",
    mistakes=in_pairs(
        lambda mask, n: sorted(set(mask.ravel().tolist()) - set(range(n))),
        "255 is allowed: it is void.",
        lambda mask, n: sorted(set(mask.ravel().tolist()) - set(range(n + 1)) - {255}),
        "With n classes the largest label is n - 1.",
        lambda mask, n: sorted(set(range(n)) - set(mask.ravel().tolist())),
        "Those are classes that the mask does not show, which is no fault.",
        lambda mask, n: [v for v in mask.ravel().tolist() if v >= n and v != 255],
        "Name each value once, and sort them: `np.unique` does both.",
        lambda mask, n: sorted(set(mask.ravel().tolist())),
        "Those are all values. Leave out what is allowed.",
    ),
)

lonely = Exercise(
    solution=lambda pictures, sizes: [s for s in sizes if s == 1 or pictures % s == 1],
    because="Drop that batch, or let batches run on into the next epoch, as dlseg does.",
    cases=((2913, [8, 12, 16]), (10582, [1, 3, 16]), (1464, [7, 11, 16]), (5, [8, 4, 2])),
    mistakes=in_pairs(
        lambda pictures, sizes: [s for s in sizes if pictures % s == 1],
        "A batch size of 1 makes nothing but batches of one.",
        lambda pictures, sizes: [s for s in sizes if pictures % s],
        "A short batch is no error as long as it has two pictures.",
        lambda pictures, sizes: [s for s in sizes if s > 1 and pictures % s != 1],
        "Those are the sizes that are safe.",
        lambda pictures, sizes: [s for s in sizes if pictures % s == 0],
        "With those no batch is short at all.",
    ),
)


def _pyramid(*branches):
    """Branches added up; `without` leaves one out."""

    def result(x, without=None):
        return sum((f(x) for k, f in enumerate(branches) if k != without), np.zeros_like(x))

    return result


def _dead(pyramid, x, branches):
    full = pyramid(x)
    return [k for k in range(branches) if np.array_equal(pyramid(x, without=k), full)]


def _nothing(x):
    return 0 * x


_PYRAMIDS = (
    (_pyramid(lambda x: x, lambda x: 2 * x, _nothing, _nothing), np.array([1.0, -2.0, 4.0]), 4),
    # What this branch adds cancels in a sum.
    (_pyramid(lambda x: x, lambda x: x - x.mean(), _nothing), np.array([3.0, 1.0, 2.0]), 3),
    (_pyramid(lambda x: -x, lambda x: x**2), np.array([0.5, 2.0]), 2),
)

dead_branches = Exercise(
    solution=_dead,
    because="A branch that can be taken away unnoticed was never there.",
    cases=_PYRAMIDS,
    order="free",
    mistakes=in_pairs(
        lambda pyramid, x, n: [k for k in range(n) if k not in _dead(pyramid, x, n)],
        "Those are the branches that do have an influence.",
        lambda p, x, n: [k for k in range(n) if p(x, without=k).shape == p(x).shape],
        "The shape is the same with every branch left out. Compare values.",
        lambda p, x, n: [k for k in range(n) if np.isclose(p(x, without=k).sum(), p(x).sum())],
        "A change may cancel in the sum. Compare place by place.",
        lambda pyramid, x, n: [k for k in range(n) if not pyramid(x, without=k).any()],
        "Compare with the result of all branches, not with zero.",
    ),
)


def _gamma(gamma, variance, eps_there, eps_here):
    return gamma * ((variance + eps_here) / (variance + eps_there)) ** 0.5


_NORM = np.array([1.0, 0.5, 2.0]), np.array([1.0, 0.01, 0.0005])

converted_scale = Exercise(
    solution=_gamma,
    because="Scale over root is the same then, whatever comes in.",
    cases=((*_NORM, 1e-3, 1e-5), (*_NORM, 1e-5, 1e-3), (*_NORM, 1e-3, 1e-3)),
    mistakes=in_pairs(
        lambda gamma, variance, there, here: _gamma(gamma, variance, here, there),
        "Upside down: scale / sqrt(variance + epsilon) must stay, so the new root multiplies.",
        lambda gamma, variance, there, here: gamma * (variance + here) / (variance + there),
        "Batch norm divides by the root of variance plus epsilon.",
        lambda gamma, variance, there, here: gamma * (here / there) ** 0.5,
        "That holds for channels without any variance. For the others it matters how large it is.",
        lambda gamma, variance, there, here: gamma + here**0.5 - there**0.5,
        "Epsilon stands below a root, in a quotient: the correction is a factor.",
        lambda gamma, variance, there, here: gamma,
        "The file fits without a change, but its numbers mean something else here.",
    ),
)

whole_field = Exercise(
    solution=lambda field, output_stride: field + {32: 0, 16: 32, 8: 16 + 32}[output_stride],
    because="Each first unit of a stage that lost its stride looks one old rate farther, on both "
    "sides.",
    cases=((427, 32), (427, 16), (427, 8), (971, 8)),
    mistakes=in_pairs(
        lambda field, s: field + 32 * (s < 32),
        "At output stride 8 two stages have lost their stride, block3 and block4.",
        lambda field, s: field + {32: 0, 16: 16, 8: 24}[s],
        "A 3x3 has a tap on either side of its middle: count both.",
        lambda field, s: field + {32: 0, 16: 64, 8: 96}[s],
        "Count only what is new: the old rate was in the field already.",
        lambda field, s: field + {32: 0, 16: 2, 8: 2 + 4}[s],
        "Those are units. Each is `output_stride` pixels from the next.",
        lambda field, s: field + {32: 0, 16: 32, 8: 32 + 64}[s],
        "At output stride 8 the units are 8 pixels apart: block3 adds 16 pixels, block4 32.",
        lambda field, s: field,
        "That is the rule that keeps the first unit. Dilated as a whole, the stage sees more.",
    ),
)
