"""Sequences and volumes: the formula, the traced model and its gradient say the same."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dlseg.arithmetic import Layer, coverage, field_closed_form
from dlseg.inspect import cost, effective_field, from_layers, gradient_support, receptive_field

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
some = settings(max_examples=25, derandomize=True, deadline=None)
windows = st.builds(
    Layer, st.integers(1, 4), st.integers(1, 2), st.integers(0, 2), st.integers(1, 3)
)


def stack(layers, axes: int) -> nn.Sequential:
    """The same window along every axis."""
    return nn.Sequential(
        *(CONVS[axes](1, 1, one.kernel_size, one.stride, one.padding, one.rate) for one in layers)
    )


class Apply(nn.Module):
    """A function behind a convolution of kernel 3, stride 2, that halves the map."""

    def __init__(self, axes: int, function):
        super().__init__()
        self.stem, self.function = CONVS[axes](2, 4, 3, 2, 1), function

    def forward(self, x):
        return self.function(self.stem(x))


@some
@given(st.lists(windows, min_size=1, max_size=4), st.sampled_from([1, 3]))
def test_formula_trace_and_gradient_agree(layers, axes):
    size = 40 if axes == 1 else 24
    field = field_closed_form(layers)
    try:
        report = receptive_field(stack(layers, axes), size)
    except ValueError as error:  # it does not fit
        assert "cannot compute an input" in str(error) or "an integer >= 1" in str(error)
        return
    expected = field.size, field.stride, field.padding, field.start
    assert (report.size, report.stride, report.padding, report.start) == expected
    unit = (report.output.output_size // 2,) * axes
    mask = gradient_support(stack(layers, axes), size, unit).mask
    flat = gradient_support(from_layers(layers), size, (unit[0],) * 2).mask  # of a picture
    assert mask.shape == (size,) * axes and mask.ndim == axes
    for axis, region in enumerate(report.region(*unit)):
        along = mask.any(tuple(other for other in range(axes) if other != axis))
        assert (along == flat.any(1)).all()
        touched = np.flatnonzero(along)
        if len(touched):
            assert region == (touched[0], touched[-1])


def test_dilated_sequence_sees_what_the_arithmetic_says():
    layers = [Layer(3, rate=rate) for rate in (1, 2, 9)]
    model = stack(layers, 1)
    report = receptive_field(model, (1, 100))
    assert (report.size, report.stride, report.start) == (25, 1, 12)
    assert [row.operation for row in report.layers] == [
        "conv 3",
        "conv 3 rate 2",
        "conv 3 rate 9",
    ]
    support = gradient_support(model, 25)
    assert support.mask.tolist() == [count > 0 for count in coverage([1, 2, 9])]
    assert (support.rows, support.columns) == ((0, 0), (0, 24))
    uniform = stack([Layer(3), Layer(3, rate=2)], 1).double()
    for conv in uniform:
        nn.init.ones_(conv.weight)
    assert effective_field(uniform, 7, samples=1).tolist() == coverage([1, 2])


def test_causal_padding_moves_the_field_into_the_past():
    pad = nn.ConstantPad1d((4, 0), 0.0)
    model = nn.Sequential(pad, nn.Conv1d(1, 1, 3, dilation=2))
    report = receptive_field(model, 20)
    assert (report.size, report.padding, report.start) == (5, 4, -2)
    assert report.region(10) == ((6, 10),)
    assert report.region(0) == ((0, 0),)
    mask = gradient_support(model, 20, (10,)).mask
    assert np.flatnonzero(mask).tolist() == [6, 8, 10]


def test_a_volume_with_an_axis_of_its_own():
    model = nn.Sequential(nn.Conv3d(1, 2, (1, 3, 3), padding=(0, 1, 1)), nn.MaxPool3d((2, 1, 1)))
    model.append(nn.Conv3d(2, 1, 3, dilation=(3, 1, 2)))
    report = receptive_field(model, (16, 12, 14))
    assert report.size == (14, 5, 7) and report.stride == (2, 1, 1)
    assert [row.operation for row in report.layers] == [
        "conv 1x3x3",
        "max pool 2x1x1 /2x1x1",
        "conv 3x3x3 rate 3x1x2",
    ]
    region = report.region(1, 3, 2)
    support = gradient_support(model, (16, 12, 14), (1, 3, 2))
    places = np.argwhere(support.mask)
    assert region == tuple(zip(places.min(0).tolist(), places.max(0).tolist(), strict=True))
    assert (support.rows, support.columns) == region[1:]


SEQUENCES = {
    "causal": (lambda x: F.conv1d(F.pad(x, (4, 0)), torch.ones(4, 1, 3), groups=4, dilation=2), 11),
    "max pool": (lambda x: F.max_pool1d(x, 3, 2, 1), 7),
    "average pool": (lambda x: F.avg_pool1d(x, 2), 5),
    "even bins": (lambda x: F.adaptive_avg_pool1d(x, 4), 9),
    "strongest of even bins": (lambda x: F.adaptive_max_pool1d(x, 4), 9),
    "halving": (lambda x: F.interpolate(x, scale_factor=0.5, mode="linear"), 5),
    "norm and tokens": (lambda x: F.layer_norm(x.mT, (4,)).mT, 3),
    "reflected": (lambda x: F.pad(x, (2, 2), mode="reflect"), 3),
    "replicated": (lambda x: F.pad(x, (2, 2), mode="replicate"), 3),
    "transposed": (lambda x: F.conv_transpose1d(x, torch.ones(4, 1, 3), padding=1), 7),
    "subsampled": (lambda x: x[:, :, ::2], 3),
    "residual": (lambda x: x + F.conv1d(x, torch.ones(4, 1, 5), padding=2, groups=4), 11),
    "batch norm": (lambda x: F.batch_norm(x, torch.zeros(4), torch.ones(4)), 3),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_operations_on_a_sequence(name):
    function, size = SEQUENCES[name]
    assert receptive_field(Apply(1, function), 32).size == size


VOLUMES = {
    "max pool": (lambda x: F.max_pool3d(x, 3, 2, 1), 7),
    "average pool": (lambda x: F.avg_pool3d(x, 2), 5),
    "even bins": (lambda x: F.adaptive_avg_pool3d(x, 4), 5),
    "halving": (lambda x: F.interpolate(x, scale_factor=0.5, mode="trilinear"), 5),
    "tokens and back": (lambda x: x.flatten(2).mT.mT.reshape(1, 4, 8, 8, 8), 3),
    "replicated": (lambda x: F.pad(x, (2,) * 6, mode="replicate"), 3),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_operations_on_a_volume(name):
    function, size = VOLUMES[name]
    assert receptive_field(Apply(3, function), 16).size == size


UNEVEN = {
    "stretched": (1, lambda x: F.interpolate(x, scale_factor=2, mode="linear")),
    "nearest": (1, lambda x: F.interpolate(x, scale_factor=2)),
    "uneven bins": (1, lambda x: F.adaptive_avg_pool1d(x, 7)),
    "strongest of uneven bins": (1, lambda x: F.adaptive_max_pool1d(x, 7)),
    "stretched volume": (3, lambda x: F.interpolate(x, scale_factor=2, mode="trilinear")),
    "uneven bins of a volume": (3, lambda x: F.adaptive_max_pool3d(x, 3)),
}


@pytest.mark.parametrize("name", UNEVEN)
def test_operations_without_a_single_field(name):
    axes, function = UNEVEN[name]
    size = {1: 32, 3: 16}[axes]
    report = receptive_field(Apply(axes, function), size)
    assert report.size is None and report.problem
    for place in (0, 1, 2):
        places = np.argwhere(gradient_support(Apply(axes, function), size, (place,) * axes).mask)
        expected = zip(places.min(0).tolist(), places.max(0).tolist(), strict=True)
        assert report.region(*(place,) * axes) == tuple(expected)


WHOLE = {
    "mean of a sequence": (1, lambda x: x.mean(2)),
    "attention weights alone": (1, lambda x: x.softmax(2)),
    "gate": (1, lambda x: x * x.amax(2, keepdim=True).sigmoid()),
    "group norm": (1, lambda x: F.group_norm(x, 2)),
    "mean of a volume": (3, lambda x: F.adaptive_avg_pool3d(x, 1)),
    "flatten and linear": (3, lambda x: F.linear(x.flatten(1), torch.ones(2, 2048))),
}


@pytest.mark.parametrize("name", WHOLE)
def test_operations_that_see_everything(name):
    axes, function = WHOLE[name]
    report = receptive_field(Apply(axes, function), {1: 32, 3: 16}[axes])
    assert report.whole_image


@pytest.mark.parametrize(
    ("axes", "function", "message"),
    [
        (1, lambda x: F.conv2d(x[:, :, None], torch.ones(1, 4, 1, 3)), "does not run along the"),
        (1, lambda x: F.pixel_unshuffle(x[:, :, None].repeat(1, 1, 2, 1), 2), "rows and columns"),
        (1, lambda x: F.scaled_dot_product_attention(x, x, x), "multiplies maps with each other"),
        (3, lambda x: x.flatten(3) + 1, "merged only in part|split into a tensor"),
    ],
)
def test_what_cannot_be_followed_is_refused(axes, function, message):
    with pytest.raises(ValueError, match=message):
        receptive_field(Apply(axes, function), 16)


def test_a_picture_stays_a_picture_with_a_convolution_over_its_channels():
    """Efficient channel attention has a Conv1d, along the channels of a mean."""

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix, self.conv = nn.Conv1d(1, 1, 3, padding=1), nn.Conv2d(3, 4, 3)

        def forward(self, x):
            y = self.conv(x)
            gate = self.mix(y.mean((2, 3))[:, None]).sigmoid()  # (B, 1, C)
            return y * gate[:, 0, :, None, None]

    assert receptive_field(Attention(), 16).whole_image
    assert gradient_support(Attention(), (16, 16)).mask.all()


@pytest.mark.parametrize(
    ("pool", "average"),
    [
        (nn.MaxPool1d(3, 2, 1), nn.AvgPool1d(3, 2, 1)),
        (nn.MaxPool1d(2, 2, ceil_mode=True), nn.AvgPool1d(2, 2, ceil_mode=True)),
        (nn.MaxPool3d(3, 2, 1), nn.AvgPool3d(3, 2, 1)),
        (nn.MaxPool3d((1, 2, 3), ceil_mode=True), nn.AvgPool3d((1, 2, 3), ceil_mode=True)),
    ],
)
def test_max_pooling_counts_all_of_its_window(pool, average):
    axes = int(type(pool).__name__[-2])
    conv = CONVS[axes](2, 2, 3, padding=1)
    for unit in (0, 2):
        masks = [
            gradient_support(nn.Sequential(conv, one), 11, (unit,) * axes).mask
            for one in (pool, average)
        ]
        assert np.array_equal(*masks)


def test_pooling_of_channels_and_pixels_at_once_is_seen_through():
    mask = gradient_support(nn.Sequential(nn.MaxPool3d((1, 3, 3))), 9, (1, 1)).mask
    assert np.argwhere(mask).min(0).tolist() == [3, 3] and mask.sum() == 9


def test_cost_of_a_sequence_and_of_a_volume():
    for axes, size in ((1, 50), (3, 9)):
        model = nn.Sequential(CONVS[axes](2, 4, 3, padding=1), CONVS[axes](4, 1, 1))
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 2, *(size,) * axes))
        paid = cost(model, size)
        assert paid.multiply_adds == counter.get_total_flops() // 2
        assert paid.multiply_adds == size**axes * (3**axes * 8 + 4)
        assert paid.field == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: receptive_field(m, (1, 2, 3)), r"\(length,\) or \(channels, length\), got \(1,"),
        (lambda m: receptive_field(m, 0), "length of input_size must be an integer >= 1, got 0"),
        (lambda m: receptive_field(m, 9).region(1, 2), r"is 1 numbers, got \(1, 2\)"),
        (lambda m: gradient_support(m, 9, (7,)), r"on the 7 output map, got \(7,\)"),
        (lambda m: gradient_support(m, 9, (1, 2)), r"unit must be \(place\), got \(1, 2\)"),
        (lambda m: gradient_support(m, 9, (-1,)), "place of unit must be an integer >= 0"),
        (
            lambda m: gradient_support(nn.Sequential(m, nn.Flatten()), 9, (0,)),
            r"an output map \(1, C, L\), got \(1, 7\)",
        ),
        (
            lambda m: receptive_field(nn.Conv3d(1, 1, 3), (9, 9)),
            r"\(depth, height, width\) or \(channels, depth, height, width\)",
        ),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call(nn.Conv1d(1, 1, 3))
