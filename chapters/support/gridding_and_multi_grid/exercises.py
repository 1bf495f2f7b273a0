"""Exercises of chapter 04."""

from itertools import accumulate, pairwise
from math import gcd

from dlseg.arithmetic import hdc_distances
from dlseg.arithmetic import holes as _holes
from dlseg.book import Exercise, in_pairs


def _untouched(touched):
    edge = max(touched)
    return [offset for offset in range(-edge, edge + 1) if offset not in touched]


def _branches(rates):
    return sorted({0, *rates, *(-rate for rate in rates)})


def _without_the_middle_tap(rates):
    touched = {0}
    for rate in rates:
        touched = {offset + step for offset in touched for step in (-rate, rate)}
    return _untouched(touched)


holes = Exercise(
    solution=lambda rates: list(_holes(rates)),
    because="Every layer adds -r, 0 or r, and what no sum of such steps reaches is a hole.",
    cases=(([2],), ([2, 2, 2],), ([1, 2, 5],), ([1, 2, 9],), ([3, 4, 5],), ([2, 4, 8],)),
    order="sorted",
    mistakes=in_pairs(
        lambda rates: _untouched(_branches(rates)),
        "That is for layers side by side. Behind one another their steps add up, in every "
        "combination.",
        _without_the_middle_tap,
        "The middle tap is missing: a layer can also step by 0.",
        lambda rates: [o for o in _holes(rates) if o > 0],
        "The field has two sides. Count the offsets from -sum(rates) to sum(rates).",
        lambda rates: [o + sum(rates) for o in _holes(rates)],
        "You count pixels from the edge of the field. Offsets are counted from its centre.",
        lambda rates: _untouched(range(-sum(rates), sum(rates) + 1, min(rates))),
        "True if all rates are multiples of the smallest. Rates 1, 2, 9 have holes too.",
    ),
)

independent_maps = Exercise(
    solution=lambda rates: gcd(*rates) ** 2,
    because="All steps are multiples of the common factor, so each axis falls into that many.",
    cases=(([2, 2, 2],), ([2, 4, 8],), ([4, 4, 4],), ([3, 6, 9],), ([1, 2, 5],), ([4, 6],)),
    mistakes=in_pairs(
        lambda rates: gcd(*rates),
        "That is one axis. Rows and columns fall apart alike.",
        lambda rates: min(rates) ** 2,
        "Rates 4 and 6 have the smallest rate 4, but 6 - 4 = 2: every second pixel can be reached.",
        lambda rates: max(rates) ** 2,
        "A smaller rate in the stack reconnects what the largest one keeps apart.",
        lambda rates: len(rates),
        "The number of layers does not matter: ten layers of rate 2 make four maps as three do.",
    ),
)


def _without(terms):
    def distances(rates):
        gaps = [rates[-1]]
        for rate in reversed(rates[:-1]):
            after = gaps[0]
            gaps.insert(0, max(terms(after, rate)))
        return gaps

    return distances


hdc = Exercise(
    solution=hdc_distances,
    because="Start with the last rate and walk to the first; each layer splits the widest gap.",
    cases=(([1, 2, 5],), ([1, 2, 9],), ([2, 2, 2],), ([5, 9, 17],), ([2, 4, 8, 1],)),
    mistakes=in_pairs(
        lambda rates: hdc_distances(rates[::-1])[::-1],
        "The recursion starts at the last layer, M_n = r_n, and ends at M_1.",
        lambda rates: hdc_distances(rates)[::-1],
        "Right numbers, wrong order: M_1 is to come first.",
        _without(lambda after, rate: (after - 2 * rate, 2 * rate - after)),
        "The third candidate is missing: taps of this layer lie r_i apart.",
        _without(lambda after, rate: (after - 2 * rate, rate)),
        "The second candidate is missing. It counts where the rate is larger than the gap: 2, 4, "
        "8, 1 needs it.",
    ),
)


def _dense(rates):
    field = 1
    for rate in sorted(rates):
        if rate > field:
            return False
        field += 2 * rate
    return True


def _unsorted(rates):
    fields = accumulate((2 * rate for rate in rates), initial=1)
    return all(rate <= field for rate, field in zip(rates, fields, strict=False))


def _against_the_sum(rates):
    rates = sorted(rates)
    sums = accumulate(rates, initial=0)
    return all(rate <= 1 + before for rate, before in zip(rates, sums, strict=False))


def _threefold(rates):
    rates = [1, *sorted(rates)]
    return all(after <= 3 * before for before, after in pairwise(rates))


_STACKS = "1 2 5; 1 2 9; 2 2 2; 3 4 5; 5 2 1; 2 4 8 1; 1 3 9; 1 3 10; 1 1 5; 2 6; 1 2 5 1 2 5"
exact_test = Exercise(
    solution=_dense,
    because="Copies of a solid field, moved by a rate, leave a gap only if the rate is larger than "
    "the field.",
    cases=tuple(([int(rate) for rate in stack.split()],) for stack in _STACKS.split("; ")),
    mistakes=in_pairs(
        lambda rates: gcd(*rates) == 1,
        "No common factor is needed, but not enough: rates 3, 4, 5 have none and miss 4 pixels of "
        "every row.",
        lambda rates: min(rates) == 1,
        "A rate of 1 is needed, but not enough: rates 1, 2, 9 have one and miss 4 pixels of every "
        "row.",
        lambda rates: hdc_distances(rates)[1] <= 3,
        "That is the published test. It lets 2, 2, 2 pass.",
        lambda rates: hdc_distances(rates)[0] == 1,
        "Safe, but too strict: 2, 4, 8, 1 has no holes. The order of the layers must not matter.",
        _unsorted,
        "Sort the rates first: 5, 2, 1 touches what 1, 2, 5 touches.",
        _against_the_sum,
        "The smaller layers reach out to both sides: their field is 1 + 2 times the sum of their "
        "rates. Rates 1, 3, 9 have no holes.",
        _threefold,
        "Three times the rate before is right for 1, 3, 9, but all smaller layers help: 1, 1, 5 "
        "has no holes.",
    ),
)


def _block_rates(unit_rates, block, output_stride):
    rate = max(1, 2 ** (block + 1) // output_stride)
    return [unit * rate for unit in unit_rates]


multi_grid = Exercise(
    solution=_block_rates,
    because="The rate of a block makes up for the strides that are gone; unit rates multiply it.",
    cases=(
        ((1, 2, 4), 4, 16),
        ((1, 2, 1), 7, 16),
        ((1, 1, 1), 5, 8),
        ((2, 2, 2), 4, 32),
        ((1, 2, 4), 4, 64),
    ),
    mistakes=in_pairs(
        lambda unit_rates, block, output_stride: list(unit_rates),
        "Those are the unit rates. They multiply the rate that the block has from its lost "
        "strides.",
        lambda unit_rates, block, o: [unit + max(1, 2 ** (block + 1) // o) for unit in unit_rates],
        "Unit rates multiply the rate of the block, they are not added to it.",
        lambda unit_rates, block, output_stride: [unit * 2 ** (block - 3) for unit in unit_rates],
        "That is right at output stride 16 only. At 8 one more stride is gone.",
        lambda unit_rates, block, o: [unit * 2 ** (block + 1) // o for unit in unit_rates],
        "A block that kept all its strides has rate 1, never less.",
        lambda unit_rates, block, o: [max(1, 2 ** (block + 1) // o)] * len(unit_rates),
        "Every unit of the block has the same rate there. That is multi-grid (1, 1, 1).",
    ),
)


def _stacked(rates):
    touched = {0}
    for rate in rates:
        touched = {offset + step for offset in touched for step in (-rate, 0, rate)}
    return sorted(touched)


branches = Exercise(
    solution=_branches,
    because="Side by side, each branch reads its own three pixels: steps do not add up.",
    cases=(([6, 12, 18],), ([12, 24, 36],), ([1, 2],)),
    order="sorted",
    mistakes=in_pairs(
        _stacked,
        "That is what the layers read behind one another. Branches do not pass their results on "
        "to each other.",
        lambda rates: _branches(rates)[: len(rates)] + _branches(rates)[len(rates) + 1 :],
        "The middle is missing: every branch reads it, and so does the 1x1.",
        lambda rates: [0, *sorted(rates)],
        "A kernel reaches to both sides.",
        lambda rates: list(range(-max(rates), max(rates) + 1)),
        "That is the whole field. Most of it is read by no branch.",
        lambda rates: sorted([0, *(o for r in rates for o in (-r, 0, r))]),
        "The middle is one pixel, though every branch reads it: list it once.",
    ),
)
