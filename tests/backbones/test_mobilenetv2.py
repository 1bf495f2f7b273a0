"""MobileNetV2 against torchvision and timm, its published numbers, and itself at stride 32."""

from functools import partial

import pytest
import torch
from torch import nn

from dlseg.arithmetic import (
    conv_multiply_adds,
    inverted_residual_multiply_adds,
    inverted_residual_parameters,
    round_channels,
)
from dlseg.backbones import InvertedResidual, LastMap, MobileNetV2
from dlseg.backbones.mobilenetv2 import ROWS
from dlseg.inspect import gradient_support, receptive_field
from tests.backbones.counting import multiply_adds, parameters, without_weights
from tests.peers import load_timm, load_torchvision, randomise

on_meta = partial(without_weights, MobileNetV2)

OUTPUT_STRIDES = (32, 16, 8)


def image(*shape, seed=1, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def blocks(model):
    """The 17 blocks, `features.1` to `features.17`, which the papers' code numbers from 0."""
    return model.features[1:18]


def rates(model):
    depthwise = (conv for block in blocks(model) for conv in block.modules() if is_depthwise(conv))
    return [conv.dilation[0] for conv in depthwise]


def is_depthwise(module):
    return isinstance(module, nn.Conv2d) and module.groups > 1


def test_torchvision(width=0.75):
    torch.manual_seed(0)
    peer = load_torchvision().models.mobilenet_v2(width_mult=width)
    randomise(peer)
    model = MobileNetV2(output_stride=32, width=width, num_classes=1000).eval()
    model.load_state_dict(peer.state_dict(), strict=True)
    assert list(model.state_dict()) == list(peer.state_dict())
    x = image(2, 3, 97, 130)
    with torch.no_grad():
        low_level, last = model(x)
        torch.testing.assert_close(low_level, peer.features[:4](x), rtol=0, atol=1e-5)
        torch.testing.assert_close(last, peer.features[:18](x), rtol=0, atol=1e-5)
        torch.testing.assert_close(model.classify(x), peer(x), rtol=0, atol=1e-5)
    assert last.std() > 0.1  # the maps did not vanish, so the comparison says something


@pytest.mark.parametrize("output_stride", OUTPUT_STRIDES)
def test_timm_at_every_output_stride(output_stride):
    options = {"features_only": True, "output_stride": output_stride, "pretrained": False}
    torch.manual_seed(0)
    peer = load_timm().create_model("mobilenetv2_100", **options)
    randomise(peer)
    model = MobileNetV2(output_stride).eval()
    # timm has other names for the same tensors in the same order.
    values = peer.state_dict().values()
    model.load_state_dict(dict(zip(model.state_dict(), values, strict=True)), strict=True)
    x = image(1, 3, 97, 130)
    with torch.no_grad():
        maps, found = peer(x), model(x)
    torch.testing.assert_close(found.low_level, maps[1], rtol=0, atol=1e-5)
    torch.testing.assert_close(found.last, maps[-1], rtol=0, atol=1e-5)


def test_published_parameters():
    assert parameters(on_meta()) == 1_811_712
    model = on_meta(num_classes=1000)
    assert parameters(model) == 3_504_872
    assert parameters(model.features) == 2_223_872
    head = 2 * (320 * 256 + 2 * 256) + 512 * 256 + 2 * 256 + 256 * 21 + 21
    assert parameters(on_meta()) + head == 2_113_557  # published, table 7: 2.11 million


def test_published_multiply_adds():
    model = on_meta(output_stride=32, num_classes=1000)
    assert round(multiply_adds(model.classify, 224) / 1e9, 4) == 0.3008
    # With DeepLab's head of two branches: published 2.75 billion, measured before 2.741.
    for output_stride, side, total in ((16, 33, 2.741), (8, 65, 8.826)):
        head = 320 * 256 + side**2 * (320 * 256 + 512 * 256 + 256 * 21)
        backbone = multiply_adds(on_meta(output_stride=output_stride), 513)
        assert round((backbone + head) / 1e9, 3) == total


@pytest.mark.parametrize("output_stride", OUTPUT_STRIDES)
@pytest.mark.parametrize("size", [224, 513])
def test_multiply_adds_as_the_formulas_say(output_stride, size):
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2))
    rows += ((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    total, channels, jump = conv_multiply_adds(3, 32, size, 3, 2), 32, 2
    side = -(-size // 2)
    for expansion, out, count, stride in rows:
        for unit in range(count):
            step = stride if unit == 0 and jump < output_stride else 1
            total += inverted_residual_multiply_adds(channels, out, side, expansion, 3, step)
            side, jump, channels = -(-side // step), jump * step, out
    assert multiply_adds(on_meta(output_stride=output_stride), size) == total


def test_rates():
    assert rates(on_meta(output_stride=32)) == [1] * 17
    assert rates(on_meta(output_stride=16)) == [1] * 14 + [2] * 3
    assert rates(on_meta(output_stride=8)) == [1] * 7 + [2] * 7 + [4] * 3
    assert rates(on_meta(output_stride=8, first_unit="whole")) == [1] * 6 + [2] * 7 + [4] * 4


@pytest.mark.parametrize("width", [1.0, 0.05])
@pytest.mark.parametrize("output_stride", OUTPUT_STRIDES)
def test_a_removed_stride_brings_no_shortcut(width, output_stride):
    """At width 0.05 the blocks 6 and 13 keep their 8 channels, and still must not have one."""
    found = [block.shortcut for block in blocks(on_meta(output_stride=output_stride, width=width))]
    strided = {1, 3, 6, 13}
    assert not any(found[number] for number in strided)
    if width == 1:
        assert [number for number in range(17) if found[number]] == [
            2,
            4,
            5,
            7,
            8,
            9,
            11,
            12,
            14,
            15,
        ]
    else:
        assert sum(found) == 17 - len(strided) - 1  # the last block goes from 8 to 16 channels


def test_a_whole_stage_at_the_new_rate_is_another_function():
    torch.manual_seed(0)
    strided = MobileNetV2(32, width=0.25).double()
    randomise(strided)
    whole = MobileNetV2(16, width=0.25, first_unit="whole").double().eval()
    whole.load_state_dict(strided.state_dict())
    x = image(1, 3, 65, 65, dtype=torch.float64)
    with torch.no_grad():
        difference = whole(x).last[:, :, ::2, ::2] - strided(x).last
    assert difference.abs().max() > 0.1


@pytest.mark.parametrize("output_stride", OUTPUT_STRIDES)
def test_field(output_stride):
    report = receptive_field(LastMap(MobileNetV2(output_stride)), 513)
    assert (report.size, report.stride, report.padding) == (491, output_stride, 245)
    assert report.aligned


def test_field_measured_by_gradients():
    rows, columns, _ = gradient_support(LastMap(MobileNetV2(16, width=0.05)), 609, (19, 19))
    assert rows == columns == (19 * 16 - 245, 19 * 16 + 245)


@pytest.mark.parametrize("size", [(513, 513), (512, 769), (1, 1), (2, 31)])
@pytest.mark.parametrize("output_stride", OUTPUT_STRIDES)
def test_sizes(size, output_stride):
    model = on_meta(output_stride=output_stride)
    low_level, last = model(torch.empty(2, 3, *size, device="meta"))
    assert low_level.shape == (2, model.low_level_channels, *(-(-side // 4) for side in size))
    assert last.shape == (2, model.channels, *(-(-side // output_stride) for side in size))
    assert (model.low_level_stride, model.low_level_channels, model.channels) == (4, 24, 320)
    assert model.output_stride == output_stride


def test_width_rounds_as_the_authors_do():
    assert [round_channels(c) for c in (1, 11.2, 12, 18, 24, 33.6, 120)] == [
        8,
        16,
        16,
        24,
        24,
        32,
        120,
    ]
    model = on_meta(width=0.75)
    assert (model.low_level_channels, model.channels) == (24, 240)
    assert on_meta(width=1.4, num_classes=10).features[18][0].out_channels == 1792
    assert on_meta(width=0.5, num_classes=10).features[18][0].out_channels == 1280


def test_half_network_of_the_authors():
    """DeepLab's authors round to multiples of 8 at width 1 alone: 12 channels at stride 4."""
    model = on_meta(width=0.5, divisor=1)
    assert (model.low_level_channels, model.channels) == (12, 160)
    widths = [block.conv[-1].num_features for block in blocks(model)]
    assert [width for place, width in enumerate(widths) if width not in widths[:place]] == [
        *(8, 12, 16, 32, 48, 80, 160)
    ]
    total, given = 3 * 9 * 16, 16  # of the stem
    for expansion, out, count, _ in ROWS:
        for _ in range(count):
            total += inverted_residual_parameters(given, out // 2, expansion)
            given = out // 2
    assert sum(w.numel() for w in model.parameters() if w.dim() == 4) == total
    assert on_meta(width=0.5).low_level_channels == 16


def test_block_adds_its_input_only_where_shapes_agree():
    assert InvertedResidual(8, 8, 1, 6).shortcut
    assert not InvertedResidual(8, 16, 1, 6).shortcut
    assert not InvertedResidual(8, 8, 2, 6).shortcut
    plain = InvertedResidual(8, 8, 1, 6, shortcut=False).eval()
    added = InvertedResidual(8, 8, 1, 6).eval()
    added.load_state_dict(plain.state_dict())
    x = image(1, 8, 7, 7)
    with torch.no_grad():
        torch.testing.assert_close(added(x), plain(x) + x)
        assert plain(x).min() < 0  # linear: nothing cuts off what is negative


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MobileNetV2(divisor=0), "divisor must be an integer >= 1, got 0"),
        (lambda: MobileNetV2(first_unit="last"), "first_unit must be .* got 'last'"),
        (lambda: InvertedResidual(8, 8, 2, 6, shortcut=True), "got stride 2 and 8 to 8 channels"),
        (lambda: InvertedResidual(8, 8, 0, 6), "stride must be an integer >= 1, got 0"),
        (lambda: InvertedResidual(8, 8, 1, 0.5), "expansion must be an integer >= 1, got 0.5"),
        (lambda: InvertedResidual(8, 8, 1, 6, rate=0), "rate must be an integer >= 1, got 0"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
