"""Fields measured by gradients: real stacks, max pooling, activations, effective fields."""

import numpy as np
import pytest
import torch
from torch import nn

from dlseg.arithmetic import Layer, coverage_2d, field_closed_form, resnet, vgg16
from dlseg.inspect import effective_field, from_layers, gradient_support


def extent(region):
    return region[1] - region[0] + 1


@pytest.mark.parametrize("output_stride", [32, 16, 8])
def test_resnet50_sees_427_pixels_at_any_output_stride(output_stride):
    layers = resnet(50, output_stride=output_stride)
    unit = (320 // output_stride,) * 2
    rows, columns, mask = gradient_support(from_layers(layers), 641, unit)
    # Away from the border the region is that of the formula, whose size is 427.
    assert rows == columns == field_closed_form(layers).region(unit[0]) == (107, 533)
    assert extent(rows) == 427
    assert mask.shape == (641, 641)


def test_placement_of_tf_slim_sees_483():
    rows, _, _ = gradient_support(from_layers(resnet(50, "last unit")), 641)
    assert extent(rows) == 483


def test_vgg16_sees_212():
    rows, columns, _ = gradient_support(from_layers(vgg16()), 320)
    assert extent(rows) == extent(columns) == 212


def test_holes_show_in_the_mask():
    layers = [Layer(3, rate=rate) for rate in (1, 2, 9)]
    _, _, mask = gradient_support(from_layers(layers), 25)
    assert mask.tolist() == [[count > 0 for count in row] for row in coverage_2d([1, 2, 9])]


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(3, 2, 1),
        nn.MaxPool2d((2, 3), (1, 2), ceil_mode=True),
        nn.MaxPool2d(2, 1, 1, dilation=3),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.AdaptiveMaxPool2d(7),
    ],
)
def test_max_pooling_counts_all_of_its_window(pool):
    """An average over the same window lets every pixel through, with any weights."""
    if isinstance(pool, nn.AdaptiveMaxPool2d):
        average = nn.AdaptiveAvgPool2d(7)
    elif pool.dilation == 1:
        average = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode)
    else:
        average = nn.Conv2d(2, 2, 2, 1, 1, dilation=3)
    conv = nn.Conv2d(2, 2, 3, padding=1)
    for unit in ((0, 0), (3, 4), (6, 6)):
        result = gradient_support(nn.Sequential(conv, pool), 17, unit)
        expected = gradient_support(nn.Sequential(conv, average), 17, unit)
        assert result[:2] == expected[:2]
        assert np.array_equal(result.mask, expected.mask)


@pytest.mark.parametrize(
    "activation",
    [nn.ReLU(), nn.ReLU6(True), nn.Hardswish(), nn.Sigmoid(), nn.SiLU(True), nn.PReLU(), nn.GELU()],
)
def test_activations_hide_nothing(activation):
    conv = nn.Conv2d(3, 3, 3, padding=1)
    with torch.no_grad():
        conv.bias.fill_(-100.0)  # in the model itself every unit is dead
    model = nn.Sequential(conv, nn.BatchNorm2d(3), activation, conv, activation)
    rows, columns, mask = gradient_support(model, 11)
    assert (rows, columns) == ((3, 7), (3, 7))
    assert mask.sum() == 25


def test_unit_and_shapes():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1))
    assert gradient_support(model, (9, 13), (0, 6))[:2] == ((0, 1), (11, 12))
    head = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert gradient_support(head, 9)[:2] == ((0, 8), (0, 8))


def test_effective_field_of_averages_is_the_number_of_paths():
    layers = [Layer(3), Layer(3, rate=2), Layer(3)]
    field = effective_field(from_layers(layers).double(), 9, samples=1)
    assert field.shape == (9, 9)
    assert field.tolist() == coverage_2d(layers)


def test_effective_field_of_random_weights_peaks_in_the_middle_and_repeats():
    torch.manual_seed(0)
    model = nn.Sequential(
        *(part for _ in range(6) for part in (nn.Conv2d(4, 4, 3, padding=1), nn.Tanh())),
    )
    first, again = (effective_field(model, 25, samples=4, seed=3) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, effective_field(model, 25, samples=4, seed=4))
    rows = np.flatnonzero(first.any(axis=1))
    assert (rows[0], rows[-1]) == (6, 18)
    middle = first[10:15, 10:15].sum() / first.sum()
    assert middle > 0.4  # 25 of the 169 pixels of the field
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training


@pytest.mark.parametrize("count", [5, 10, 20])
def test_effective_field_of_uniform_kernels_grows_with_the_root_of_the_depth(count):
    """Luo et al. 2016: variance n (k^2 - 1) / 12 for n uniform kernels of k taps."""
    model = from_layers([Layer(3)] * count).double()
    size = 2 * count + 1
    profile = effective_field(model, size, samples=1).sum(axis=0)
    offsets = np.arange(size) - count
    variance = (profile * offsets**2).sum() / profile.sum()
    assert variance == pytest.approx(count * 8 / 12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: gradient_support(m, 8, (6, 0)), r"on the 6x6 output map, got \(6, 0\)"),
        (lambda m: gradient_support(nn.Flatten(), 8, (0, 0)), r"\(1, C, H, W\), got \(1, 192\)"),
        (lambda m: gradient_support(nn.Flatten(0), 8), r"got \(192,\)"),
        (lambda m: effective_field(m, 8, samples=0), "samples must be an integer >= 1, got 0"),
        (lambda m: effective_field(m, -3), "height of input_size must be an integer >= 1, got -3"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call(nn.Sequential(nn.Conv2d(3, 3, 3)))
