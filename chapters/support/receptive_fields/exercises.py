"""Exercises of chapter 03."""

from math import sqrt

from dlseg.arithmetic import Layer, field_closed_form
from dlseg.book import Exercise, in_pairs


def _field(layers):
    return field_closed_form([Layer(k, s, 0, r) for k, s, r in layers]).size


def _stride_too_early(layers):
    size, jump = 1, 1
    for k, s, r in layers:
        jump *= s
        size += (k - 1) * r * jump
    return size


def _holes_counted_as_taps(layers):
    size, jump = 1, 1
    for k, s, r in layers:
        size += (k * r - 1) * jump
        jump *= s
    return size


stack_field = Exercise(
    solution=_field,
    because="A layer adds K - 1 steps, and a step is as long as the strides before it multiply to.",
    cases=(
        ([(3, 1, 1), (3, 1, 1)],),
        ([(3, 2, 1), (3, 1, 1)],),
        ([(7, 2, 1), (3, 2, 1), (3, 1, 2)],),
        ([(2, 2, 1), (5, 1, 3), (1, 4, 1), (3, 1, 1)],),
        ([],),
    ),
    mistakes=in_pairs(
        lambda layers: _field([(k, 1, r) for k, s, r in layers]),
        "The strides are not used. Behind a stride of 2, one step is two pixels long.",
        lambda layers: _field([(k, s, 1) for k, s, r in layers]),
        "The rates are not used. Put the effective kernel where the kernel stands.",
        _stride_too_early,
        "A layer's own stride only counts for the layers behind it: add first, multiply "
        "afterwards.",
        lambda layers: _field(layers) - 1,
        "Start with 1: before the first layer a pixel sees itself.",
        _holes_counted_as_taps,
        "K is k + (k-1)(r-1), so a layer adds (k-1) r steps, not k r - 1.",
    ),
)


def _region(unit, size, stride, padding):
    first = unit * stride - padding
    return first, first + size - 1


region = Exercise(
    solution=_region,
    because="Unit 0 begins P pixels before the image, each further unit S pixels later.",
    cases=((0, 7, 2, 3), (5, 7, 2, 3), (3, 212, 32, 90), (16, 427, 32, 213)),
    mistakes=in_pairs(
        lambda unit, size, stride, padding: (unit * stride, unit * stride + size - 1),
        "Padding is not used. It moves every field towards the first pixel.",
        lambda unit, size, stride, p: (unit * stride - p, unit * stride - p + size),
        "One pixel too many: a field of 1 pixel begins and ends on the same one.",
        lambda unit, size, s, p: (unit * s - size // 2, unit * s - size // 2 + size - 1),
        "You put the centre on pixel i S. It is there only if P is (size - 1)/2.",
        lambda unit, size, stride, padding: _region(unit, size, size, padding),
        "Fields do not lie side by side: neighbours are S apart and overlap.",
    ),
)


def _centre(branch):
    size, _, padding = branch
    return (size - 1) / 2 - padding


alignment = Exercise(
    solution=lambda a, b: a[1] == b[1] and _centre(a) == _centre(b),
    because="Equal strides keep the centres together once the first two coincide.",
    cases=(
        ((3, 2, 1), (1, 2, 0)),
        ((3, 2, 1), (2, 2, 0)),
        ((7, 4, 3), (3, 4, 1)),
        ((5, 2, 1), (3, 2, 1)),
        ((3, 1, 1), (3, 2, 1)),
        ((4, 2, 1), (2, 2, 0)),
        ((427, 16, 213), (1003, 16, 501)),
    ),
    mistakes=in_pairs(
        lambda a, b: a[1:] == b[1:],
        "Different paddings are right if the sizes differ: compare the centres, (size - 1)/2 - "
        "padding.",
        lambda a, b: a == b,
        "Sizes may differ: a 1x1 shortcut goes well beside a 3x3.",
        lambda a, b: _centre(a) == _centre(b),
        "The first units agree, but with different strides the others drift apart.",
        lambda a, b: a[1] == b[1],
        "Equal strides keep the branches in step. Do they also start at the same place?",
        lambda a, b: a[1] == b[1] and (a[0] - 1) // 2 - a[2] == (b[0] - 1) // 2 - b[2],
        "You rounded half a pixel away. An even field has its centre between two pixels.",
    ),
)

whole_stage = Exercise(
    solution=971 + 2 * (2 - 1) * 8 + 2 * (4 - 2) * 8,
    because="The first 3x3 of stage 3 adds 2 more steps of 8 pixels, that of stage 4 adds 4 more.",
    mistakes=in_pairs(
        971,
        "That is the field if the first unit keeps the rate before. Here it does not.",
        1003,
        "At output stride 16 only one stage loses its stride: that is its answer. At 8 there are "
        "two.",
        971 + 2 * 8,
        "Stage 4 lost its stride as well: its first unit jumps from rate 2 to 4.",
        971 + 2 * 2 * 8 + 2 * 4 * 8,
        "Only what a rate grows by counts, and those 3x3 had the rates 1 and 2 already.",
        971 + 2 + 4,
        "Those are steps on the map. One step there is 8 pixels of the picture.",
    ),
)

nine_taps = Exercise(
    solution=lambda size, rate: max(0, size - 2 * rate) ** 2 / size**2,
    because="A border as wide as the rate is lost on all four sides. Nothing is left of the map if "
    "the rate is half its side.",
    cases=((65, 12), (33, 6), (33, 18), (21, 6), (65, 40), (9, 1)),
    mistakes=in_pairs(
        lambda size, rate: (size - 2 * rate) ** 2 / size**2,
        "For a rate above half the map, size - 2 rate is negative, and its square is not: stop at "
        "zero.",
        lambda size, rate: max(0, size - 2 * rate) / size,
        "That is one axis. The share of positions is its square.",
        lambda size, rate: max(0, size - rate) ** 2 / size**2,
        "Taps fall off on both sides of the map, not on one.",
        lambda size, rate: max(0, size - 2 * rate - 1) ** 2 / size**2,
        "The kernel spans 2 rate + 1 pixels, but it fits in size - 2 rate places: one more.",
    ),
)

used_width = Exercise(
    solution=lambda rates: sqrt(sum(2 / 3 * r**2 for r in rates)),
    because="Variances add up, and a rate multiplies the standard deviation of its layer.",
    cases=(([1],), ([1] * 10,), ([1, 2, 4],), ([2, 2, 2],), ([1, 2, 5, 1, 2, 5],)),
    mistakes=in_pairs(
        lambda rates: sqrt(2 / 3 * len(rates)),
        "That is the width at rate 1. Taps r pixels apart spread r times as far.",
        lambda rates: sqrt(2 / 3) * sum(rates),
        "Standard deviations do not add up; their squares do. Otherwise the used part would grow "
        "like the field.",
        lambda rates: sqrt(2 / 3 * sum(rates)),
        "A rate multiplies the deviation, so the variance grows with its square.",
        lambda rates: 2 / 3 * sum(r**2 for r in rates),
        "That is the variance. The width is its root.",
    ),
)
