"""Coverage, holes and valid taps: published values, and counting against gradients and torch."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from dlseg.arithmetic import (
    Layer,
    coverage,
    coverage_2d,
    field_closed_form,
    hdc_distances,
    holes,
    middle_part,
    no_holes,
    path_spread,
    valid_tap_fractions,
)
from dlseg.inspect import from_layers

# Rates, M_1..M_n of the HDC rule, covered pixels, field.
TABLE = [
    ((1, 2, 5), [1, 2, 5], 17, 17),
    ((1, 2, 3), [1, 2, 3], 13, 13),
    ((1, 2, 4), [1, 2, 4], 15, 15),
    ((1, 2, 9), [3, 5, 9], 21, 25),
    ((2, 2, 2), [2, 2, 2], 7, 13),
    ((2, 4, 8), [2, 4, 8], 15, 29),
    ((3, 4, 5), [3, 4, 5], 21, 25),
    ((5, 9, 17), [5, 9, 17], 27, 63),
]


@pytest.mark.parametrize(("rates", "distances", "covered", "field"), TABLE)
def test_table_of_hybrid_dilated_convolution(rates, distances, covered, field):
    counts = coverage(rates)
    assert hdc_distances(rates) == distances
    assert (sum(count > 0 for count in counts), len(counts)) == (covered, field)
    assert len(holes(rates)) == field - covered


def test_holes_of_1_2_9():
    assert holes((1, 2, 9)) == [-5, -4, 4, 5]


def test_rule_is_order_dependent_and_coverage_is_not():
    assert hdc_distances((2, 4, 8, 1))[0] > 1
    assert holes((2, 4, 8, 1)) == holes((1, 2, 4, 8)) == []


def test_one_rate_2_kernel_uses_9_of_25():
    counts = coverage_2d([2])
    assert sum(count > 0 for row in counts for count in row) == 9
    assert len(counts) == len(counts[0]) == 5


rate_lists = st.lists(st.integers(1, 9), min_size=1, max_size=4)


@given(rate_lists, st.randoms())
def test_order_does_not_matter(rates, random):
    shuffled = random.sample(rates, len(rates))
    assert coverage(rates) == coverage(shuffled)


@given(rate_lists, st.integers(2, 4))
def test_number_of_paths(rates, kernel_size):
    counts = coverage(rates, kernel_size)
    assert sum(counts) == kernel_size ** len(rates)
    assert counts == counts[::-1]


@pytest.mark.parametrize(
    "layers",
    [
        [Layer(3, rate=1), Layer(3, rate=2), Layer(3, rate=9)],
        [Layer(2, 2), Layer(3, 1, 1), Layer(4, 2), Layer(3, rate=3)],
    ],
)
def test_paths_are_the_gradient_of_a_network_of_ones(layers):
    size = field_closed_form([Layer(la.kernel_size, la.stride, 0, la.rate) for la in layers]).size
    unpadded = [Layer(la.kernel_size, la.stride, 0, la.rate) for la in layers]
    image = torch.zeros(1, 1, size, size, requires_grad=True)
    from_layers(unpadded)(image).sum().backward()
    assert image.grad[0, 0].tolist() == coverage_2d(layers)


# DeepLab v3, figure 4, exactly: rate, and the shares of 9, 6, 4, 2 and 1 valid taps.
FIGURE_4 = [
    (1, 0.9394, 0.0596, 0.0009, 0, 0),
    (6, 0.6649, 0.3011, 0.0341, 0, 0),
    (12, 0.3979, 0.4658, 0.1363, 0, 0),
    (18, 0.1991, 0.4942, 0.3067, 0, 0),
    (24, 0.0684, 0.3863, 0.5453, 0, 0),
    (32, 0.0002, 0.0303, 0.9695, 0, 0),
    (33, 0, 0, 0.9695, 0.0303, 0.0002),
    (48, 0, 0, 0.2736, 0.4989, 0.2275),
    (64, 0, 0, 0.0009, 0.0596, 0.9394),
    (65, 0, 0, 0, 0, 1),
    (100, 0, 0, 0, 0, 1),
]


@pytest.mark.parametrize(("rate", "nine", "six", "four", "two", "one"), FIGURE_4)
def test_valid_tap_fractions_of_a_65_map(rate, nine, six, four, two, one):
    shares = {key: round(share, 4) for key, share in valid_tap_fractions(65, rate).items()}
    assert shares == {9: nine, 6: six, 4: four, 3: 0, 2: two, 1: one}


def test_valid_taps_of_the_maps_that_a_513_crop_gives():
    at_16 = [round(valid_tap_fractions(33, rate)[9], 3) for rate in (6, 12, 18)]
    at_8 = [round(valid_tap_fractions(65, rate)[9], 3) for rate in (12, 24, 36)]
    assert (at_16, at_8) == ([0.405, 0.074, 0], [0.398, 0.068, 0])
    assert round(valid_tap_fractions(33, 18)[4], 3) == 0.826


@pytest.mark.parametrize(
    ("size", "rate", "kernel_size"), [(7, 1, 3), (9, 4, 3), (8, 2, 5), (5, 9, 3)]
)
def test_valid_taps_are_a_convolution_of_ones(size, rate, kernel_size):
    ones, weight = torch.ones(1, 1, size, size), torch.ones(1, 1, kernel_size, kernel_size)
    made = F.conv2d(ones, weight, padding=rate * (kernel_size // 2), dilation=rate)[0, 0]
    flat = made.flatten().tolist()
    for key, share in valid_tap_fractions(size, rate, kernel_size).items():
        assert share == flat.count(key) / size**2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: coverage([1, 0]), "rate must be an integer >= 1, got 0"),
        (lambda: no_holes([0]), "rate must be an integer >= 1, got 0"),
        (lambda: hdc_distances([1, 0]), "rate must be an integer >= 1, got 0"),
        (lambda: hdc_distances([]), "at least one rate, got none"),
        (lambda: valid_tap_fractions(0, 1), "size must be an integer >= 1, got 0"),
        (lambda: valid_tap_fractions(9, 1, 2), "an even number"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("layers", [[Layer(3)] * 5, [Layer(3, 2), Layer(5, rate=3), Layer(2)]])
def test_spread_of_paths_is_that_of_their_counts(layers):
    counts = coverage(layers)
    total = sum(counts)
    middle = sum(pixel * count for pixel, count in enumerate(counts)) / total
    variance = sum((pixel - middle) ** 2 * count for pixel, count in enumerate(counts)) / total
    assert path_spread(layers) == pytest.approx(variance**0.5)


def test_spread_of_equal_layers_is_that_of_the_closed_formula():
    """sigma = sqrt(n (k^2 - 1) / 12): Luo et al. 2016, for rate 1."""
    for count, sigma in ((5, 1.83), (10, 2.58), (20, 3.65), (40, 5.16)):
        assert round(path_spread([Layer(3)] * count), 2) == sigma


def test_middle_part_is_the_smallest_window_that_holds_enough():
    assert middle_part([1, 1, 1, 1, 1]) == 5
    assert middle_part([0, 0, 7, 0, 0]) == 1
    assert middle_part([1, 9, 80, 9, 1]) == 3
    assert middle_part([1, 48, 48, 1]) == 2
    assert middle_part([1, 1, 1, 1], share=0.5) == 2


def test_exact_rule_against_counting():
    for length in (1, 2, 3, 4):
        for rates in itertools.product(range(1, 8), repeat=length):
            assert no_holes(rates) == (not holes(rates)), rates


def test_an_even_kernel_may_miss_the_map():
    """Two taps, 12 apart, on a map of 9: three positions along each axis read nothing."""
    shares = valid_tap_fractions(9, 12, 2)
    assert shares == {0: 1 - (6 / 9) ** 2, 1: (6 / 9) ** 2, 2: 0, 4: 0}
    assert 0 not in valid_tap_fractions(9, 12, 3)
