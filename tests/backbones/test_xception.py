"""Modified aligned Xception against timm, its published numbers, and itself at stride 32."""

import itertools
from functools import cache, partial

import pytest
import torch

from dlseg.arithmetic import round_channels
from dlseg.arithmetic.counting import conv_multiply_adds, separable_multiply_adds
from dlseg.backbones.features import LastMap
from dlseg.backbones.xception import Xception, XceptionBlock
from dlseg.inspect import receptive_field
from tests.backbones.counting import multiply_adds, parameters, without_weights
from tests.peers import load_timm, randomise
from tests.sampling import sampled

on_meta = partial(without_weights, Xception)

DEPTHS = (41, 65, 71)
OUTPUT_STRIDES = (32, 16, 8)


def image(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(1))


def rates(model):
    """Of each block; its three convolutions have the same."""
    found = [{conv.conv_dw.dilation[0] for conv in block.stack} for block in model.blocks]
    assert all(len(block) == 1 for block in found)
    return [block.pop() for block in found]


def load_peer(depth, output_stride, state):
    """timm's network with these weights.

    Where the fifth block of its xception71 loses its stride, it loses its shortcut's weights too
    (timm 1.0.31, output stride 8); here it gets them back.
    """
    timm = load_timm()
    name = f"xception{depth}"
    peer = timm.create_model(name, output_stride=output_stride, num_classes=10).eval()
    if depth == 71 and peer.blocks[4].shortcut is None:
        peer.blocks[4].shortcut = timm.create_model(name, num_classes=10).eval().blocks[4].shortcut
        peer.blocks[4].shortcut.conv.stride = (1, 1)
    peer.load_state_dict(state, strict=True)
    return peer


@cache
def weights(depth):
    """Weights for it under our names."""
    torch.manual_seed(0)
    # Dense, because statistics of a handful of pixels would blow up other images.
    model = Xception(8, depth=depth, num_classes=10)
    randomise(model)
    return model.state_dict()


TIMM = list(itertools.product(DEPTHS, OUTPUT_STRIDES))


@pytest.mark.parametrize(("depth", "output_stride"), sampled(TIMM, [(41, 32), (65, 16), (71, 8)]))
def test_timm(depth, output_stride):
    peer = load_peer(depth, output_stride, weights(depth))
    model = Xception(output_stride, depth=depth, num_classes=10).eval()
    model.load_state_dict(peer.state_dict(), strict=True)
    x, taps = image(1, 3, 65, 50), []
    second = peer.blocks[model.tap].stack.conv2
    # A copy, because timm's ReLU behind it works in place.
    second.register_forward_hook(lambda module, arguments, y: taps.append(y.clone()))
    with torch.no_grad():
        low_level, last = model(x)
        expected, maps = peer.forward_intermediates(x)
        scores = peer.forward_head(expected)
        torch.testing.assert_close(last, expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(low_level, taps[0], rtol=0, atol=1e-5)
        torch.testing.assert_close(low_level.relu(), maps[1], rtol=0, atol=1e-5)
        torch.testing.assert_close(model.classify(x), scores, rtol=0, atol=1e-5)
    assert low_level.min() < 0  # before the ReLU
    assert last.std() > 0.1


def test_names_are_those_of_timm():
    for depth in DEPTHS:
        with torch.device("meta"):
            peer = load_timm().create_model(f"xception{depth}")
        assert list(on_meta(depth=depth, num_classes=1000).state_dict()) == list(peer.state_dict())


@pytest.mark.parametrize(
    ("depth", "whole", "features"),
    [
        (41, 26_969_560, 24_920_560),
        (65, 39_916_312, 37_867_312),
        (71, 42_338_736, 40_289_736),
    ],
)
def test_parameters(depth, whole, features):
    assert parameters(on_meta(depth=depth, num_classes=1000)) == whole
    for output_stride in OUTPUT_STRIDES:  # a removed stride removes no weights
        assert parameters(on_meta(output_stride, depth=depth)) == features


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("width", [1.0, 0.25, 0.05])
def test_width_scales_all_channels(depth, width):
    full, model = (
        on_meta(depth=depth, num_classes=10),
        on_meta(depth=depth, width=width, num_classes=10),
    )
    for wide, narrow in zip(full.modules(), model.modules(), strict=True):
        if isinstance(wide, torch.nn.Conv2d):
            assert narrow.out_channels == round_channels(wide.out_channels * width)
    low_level, last = model(torch.empty(1, 3, 65, 65, device="meta"))
    assert low_level.shape[1] == model.low_level_channels == round_channels(256 * width)
    assert last.shape[1] == model.channels == round_channels(2048 * width)
    assert model.classify(torch.empty(2, 3, 65, 65, device="meta")).shape == (2, 10)


def test_measured_multiply_adds():
    for depth, total in ((41, 9.204), (65, 13.853), (71, 17.947)):
        model = on_meta(32, depth=depth, num_classes=1000)
        assert round(multiply_adds(model.classify, 299) / 1e9, 3) == total
    for output_stride, total in ((32, 41.44), (16, 48.57), (8, 163.61)):
        assert round(multiply_adds(on_meta(output_stride, depth=65), 513) / 1e9, 2) == total


@pytest.mark.parametrize("depth", DEPTHS)
def test_multiply_adds_as_the_formulas_say(depth):
    """DeepLab v3+, figure 4, at output stride 16, block by block."""
    entry = ((128, 2), (256, 2), (728, 2))
    if depth == 71:
        entry = ((128, 2), (256, 1), (256, 2), (728, 1), (728, 2))
    blocks = [((width,) * 3, stride) for width, stride in entry]
    blocks += [((728,) * 3, 1)] * (8 if depth == 41 else 16)
    blocks += [((728, 1024, 1024), 1), ((1536, 1536, 2048), 1)]
    total = conv_multiply_adds(3, 32, 513, 3, 2) + conv_multiply_adds(32, 64, 257)
    channels, side = 64, 257
    for widths, stride in blocks:
        if widths[0] < 1536 and (channels, stride) != (widths[2], 1):
            total += conv_multiply_adds(channels, widths[2], side, 1, stride)
        for width, step in zip(widths, (1, 1, stride), strict=True):
            total += separable_multiply_adds(channels, width, side, 3, step)
            channels, side = width, -(-side // step)
    assert multiply_adds(on_meta(16, depth=depth), 513) == total


def test_rates():
    assert rates(on_meta(32, depth=65)) == [1] * 21
    assert rates(on_meta(16, depth=65)) == [1] * 20 + [2]
    assert rates(on_meta(8, depth=65)) == [1] * 3 + [2] * 17 + [4]
    assert rates(on_meta(8, depth=41)) == [1] * 3 + [2] * 9 + [4]
    assert rates(on_meta(8, depth=71)) == [1] * 5 + [2] * 17 + [4]
    assert rates(on_meta(8, depth=65, first_unit="whole")) == [1] * 2 + [2] * 17 + [4] * 2


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_stride_is_on_the_third_convolution(depth):
    for output_stride in OUTPUT_STRIDES:
        jump = 2
        for block in on_meta(output_stride, depth=depth).blocks:
            first, second, third = (conv.conv_dw.stride[0] for conv in block.stack)
            assert first == second == 1
            jump *= third
        assert jump == output_stride


def test_relu_stands_between_the_halves_of_the_last_block_alone():
    """DeepLab v3+, section 3.2, against the code that was released with it."""
    model = on_meta(depth=65)
    between = [conv.activate_between for block in model.blocks for conv in block.stack]
    assert between == [False] * 60 + [True] * 3
    assert [block.activate_first for block in model.blocks] == [True] * 20 + [False]
    assert {m.eps for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {1e-3}


def test_a_whole_block_at_the_new_rate_is_another_function():
    torch.manual_seed(0)
    strided = Xception(32, depth=41)
    randomise(strided, 33)
    whole = Xception(16, depth=41, first_unit="whole").eval()
    whole.load_state_dict(strided.state_dict())
    x = image(1, 3, 33, 33)
    with torch.no_grad():
        difference = whole(x).last[:, :, ::2, ::2] - strided(x).last
    assert difference.abs().max() > 0.1


def test_field_is_the_same_at_every_output_stride():
    # 3 and 4 of the stem; 3 convolutions of reach 2 j at j = 2, 4, 8, 16 (16 blocks, exit 1), 32.
    expected = 3 + 4 + 6 * (2 + 4 + 8 + 17 * 16 + 32)
    for output_stride in OUTPUT_STRIDES:
        report = receptive_field(LastMap(on_meta(output_stride, depth=65)), 513)
        assert (report.size, report.stride) == (expected, output_stride) == (1915, output_stride)
        assert report.aligned


SIZES = [(513, 513), (512, 769), (1, 1), (2, 31)]


@pytest.mark.parametrize(("depth", "size"), sampled(itertools.product(DEPTHS, SIZES), 5))
def test_sizes(size, depth):
    for output_stride in OUTPUT_STRIDES:
        model = on_meta(output_stride, depth=depth)
        low_level, last = model(torch.empty(2, 3, *size, device="meta"))
        assert low_level.shape == (2, 256, *(-(-side // 4) for side in size))
        assert last.shape == (2, 2048, *(-(-side // output_stride) for side in size))
        assert (model.low_level_stride, model.low_level_channels, model.channels) == (4, 256, 2048)
        assert model.output_stride == output_stride


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: on_meta(depth=50), "depth must be one of 41, 65, 71, got 50"),
        (lambda: on_meta(depth=65, first_unit="last"), "first_unit must be .* got 'last'"),
        (lambda: on_meta(weights="imagenet"), "no weights of Xception are published under a hash"),
        (lambda: XceptionBlock(8, (8, 8, 8), shortcut="add"), "conv, sum, none, got 'add'"),
        (
            lambda: XceptionBlock(8, (8, 8, 8), 2, shortcut="sum"),
            "got stride 2 and 8 to 8 channels",
        ),
        (lambda: XceptionBlock(8, (8, 8, 9), shortcut="sum"), "got stride 1 and 8 to 9 channels"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
