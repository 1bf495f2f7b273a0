"""DeepLab v2: its counts, that every rate and every scale counts, and where its maps lie."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlseg.backbones import BACKBONES, LastMap, ResNet
from dlseg.inspect import cost, receptive_field
from dlseg.layers import atrous_taps
from dlseg.models import (
    ASPP_L,
    ASPP_S,
    FAMILIES,
    FCN,
    LARGE_FOV,
    DeepLabV1,
    DeepLabV2,
    MultiScale,
    ScoreMap,
    SumASPP,
)
from dlseg.models.deeplabv2 import resized
from tests.backbones.counting import multiply_adds, parameters, without_weights


def on_meta(backbone="resnet101", *arguments, **options):
    return without_weights(DeepLabV2, backbone, *arguments, **options)


NAMES = [name for name, row in BACKBONES.items() if row.kind in FAMILIES["deeplabv2"].kinds]


def narrow(backbone="resnet18", rates=(1, 2), num_classes=4, seed=0):
    torch.manual_seed(seed)
    return DeepLabV2(backbone, num_classes, width=0.05, atrous_rates=rates)


def image(*size, batch=1):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1))


def convolutions(module):
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]


# The network


@pytest.mark.parametrize("rates", [ASPP_S, ASPP_L])
def test_parameters(rates):
    assert parameters(on_meta("resnet101", atrous_rates=rates)) == 44_048_532
    assert parameters(on_meta("vgg16", atrous_rates=rates)) == 37_877_652


def test_parameters_of_large_fov():
    assert parameters(on_meta("vgg16", atrous_rates=LARGE_FOV)) == 20_505_429
    bare = parameters(on_meta("resnet101").backbone)
    assert parameters(on_meta("resnet101", atrous_rates=LARGE_FOV)) == bare + 2048 * 21 * 9 + 21


def test_measured_multiply_adds():
    model = on_meta("resnet101")
    assert round(multiply_adds(model, 513) / 1e9, 3) == 188.886
    head = 4 * 65**2 * 2048 * 21 * 9
    assert cost(model, 513).multiply_adds == cost(model.backbone, 513).multiply_adds + head


@pytest.mark.parametrize(("rate", "field"), [(6, 323), (12, 419), (18, 515), (24, 611)])
def test_field_of_each_branch_on_vgg(rate, field):
    report = receptive_field(ScoreMap(on_meta("vgg16", atrous_rates=(rate,))), 65)
    assert (report.size, report.stride, report.start) == (field, 8, 0)


def test_field_is_that_of_the_largest_rate():
    """On the original ResNet-101, 1027 pixels, and 24 units of 8 pixels more on either side."""
    model = on_meta("resnet101")
    assert receptive_field(LastMap(model.backbone), 65).size == 1027
    report = receptive_field(ScoreMap(model), 65)
    assert (report.size, report.aligned) == (1027 + 2 * 24 * 8, True)


@pytest.mark.parametrize("backbone", NAMES)
@pytest.mark.parametrize(
    ("size", "units", "rounded_up"),
    [(1, 1, 1), (8, 1, 2), (321, 41, 41), (512, 64, 65), (513, 65, 65)],
)
def test_sizes(backbone, size, units, rounded_up):
    model, x = on_meta(backbone, 7), torch.empty(2, 3, size, 33, device="meta")
    expected = units if backbone.startswith("vgg") else rounded_up
    assert model.scores(x).shape == (2, 7, expected, 5)
    assert model(x).shape == (2, 7, size, 33)
    assert (model.num_classes, model.output_stride, model.backbone.output_stride) == (7, 8, 8)


def test_rates_of_the_backbone():
    """Section 4.1.2: rate 2 in conv4 and rate 4 in conv5, the stride on the first 1x1."""
    backbone = on_meta("resnet101").backbone
    assert {unit.conv2.dilation for unit in backbone.layer3} == {(2, 2)}
    assert {unit.conv2.dilation for unit in backbone.layer4} == {(4, 4)}
    assert backbone.layer2[0].conv1.stride == (2, 2)
    assert [conv.dilation[0] for conv in convolutions(on_meta().aspp)] == list(ASPP_L)


def test_branches_of_resnet_are_one_convolution_and_those_of_vgg_three():
    assert [[type(layer).__name__ for layer in branch] for branch in narrow().aspp.branches] == [
        ["Conv2d"]
    ] * 2
    vgg = on_meta("vgg16")
    for branch, rate in zip(vgg.aspp.branches, ASPP_L, strict=True):
        fc6, fc7, fc8 = convolutions(branch)
        assert (fc6.kernel_size, fc6.dilation, fc6.out_channels) == ((3, 3), (rate, rate), 1024)
        assert (fc7.kernel_size, fc7.out_channels) == ((1, 1), 1024)
        assert (fc8.kernel_size, fc8.out_channels) == ((1, 1), 21)


@pytest.mark.parametrize("hidden", [None, 64])
def test_scores_start_small(hidden):
    """N(0, 0.01), as in the released models, and no bias."""
    torch.manual_seed(0)
    for branch in SumASPP(256, 4, (1, 2), hidden).branches:
        assert abs(branch[-1].weight.std() - 0.01) < 1e-3
        assert branch[-1].bias.abs().max() == 0


# Spatial pyramid


def test_sum_of_four_atrous_convolutions():
    torch.manual_seed(0)
    aspp, x = SumASPP(3, 2, ASPP_S), image(20, 17)
    for (conv,) in aspp.branches:
        nn.init.normal_(conv.weight)
        nn.init.normal_(conv.bias)
    expected = sum(
        atrous_taps(x, conv.weight, rate, padding=rate) + conv.bias[:, None, None]
        for (conv,), rate in zip(aspp.branches, ASPP_S, strict=True)
    )
    torch.testing.assert_close(aspp(x), expected)


@pytest.mark.parametrize("hidden", [None, 8])
@pytest.mark.parametrize("branch", range(4))
def test_each_branch_reaches_the_scores(branch, hidden):
    """A `return` inside the loop over branches would leave out the last ones."""
    torch.manual_seed(0)
    aspp, x = SumASPP(3, 2, ASPP_L, hidden).eval(), image(9, 9)
    with torch.no_grad():
        before = aspp(x)
        aspp.branches[branch][-1].bias += 1
        torch.testing.assert_close(aspp(x) - before, torch.ones_like(before))


# Scales


def test_maximum_over_scales_at_the_size_of_scale_1():
    model, x = MultiScale(narrow().eval()), image(64, 96)
    with torch.no_grad():
        half, three_quarters, whole, surest = model.scores(x)
        assert torch.equal(whole, model.model.scores(x))
        assert torch.equal(half, model.model.scores(resized(x, 0.5)))
        maps = [F.interpolate(m, whole.shape[2:], mode="bilinear") for m in (half, three_quarters)]
        assert torch.equal(surest, torch.maximum(torch.maximum(*maps), whole))
        assert torch.equal(model(x), F.interpolate(surest, (64, 96), mode="bilinear"))


class Loud(nn.Module):
    """Its scores are 1 the n-th time it is asked, and 0 before and after."""

    def __init__(self, when):
        super().__init__()
        self.when, self.asked = when, 0

    def scores(self, x):
        self.asked += 1
        return F.avg_pool2d(x[:, :1], 8) * 0 + float(self.asked == self.when)


@pytest.mark.parametrize("when", [1, 2, 3])
def test_each_scale_reaches_the_result(when):
    assert MultiScale(Loud(when)).scores(image(64, 64))[-1].min() == 1


def test_sizes_of_the_scales():
    model = MultiScale(on_meta("resnet101"))
    maps = model.scores(torch.empty(1, 3, 321, 513, device="meta"))
    sizes = [tuple(scores.shape[2:]) for scores in maps]
    assert sizes == [(21, 33), (31, 49), (41, 65), (41, 65)]  # of 160, 241 and 321 rows
    assert model(torch.empty(1, 3, 321, 513, device="meta")).shape == (1, 21, 321, 513)


def test_one_set_of_weights_serves_all_scales():
    model = MultiScale(narrow())
    assert parameters(model) == parameters(model.model)
    assert {f"model.{name}" for name in model.model.state_dict()} == set(model.state_dict())
    maps = model.scores(image(48, 48, batch=2))
    sum(scores.square().mean() for scores in maps[:1]).backward()
    assert model.backbone.conv1.weight.grad.abs().max() > 0
    assert (model.num_classes, model.output_stride) == (4, 8)
    assert model.backbone is model.model.backbone


def test_other_models_take_scales_too():
    torch.manual_seed(0)
    for model in (FCN(narrow().backbone, 3), DeepLabV1("vgg16", 3, width=0.02)):
        assert MultiScale(model.eval(), (1, 2)).eval()(image(24, 16)).shape == (1, 3, 24, 16)


def test_resizing_rounds_and_never_loses_the_image():
    assert resized(image(5, 1), 0.5).shape == (1, 3, 2, 1)
    x = image(7, 9)
    assert resized(x, 1.0) is x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: on_meta(output_stride=16),
            "needs a Module of output_stride=8, got ResNet of output_stride=16",
        ),
        (
            lambda: on_meta(ResNet(16, depth=18)),
            "needs a Module of output_stride=8, got ResNet of output_stride=16",
        ),
        (lambda: on_meta(atrous_rates=()), "number of atrous_rates must be an integer >= 1, got 0"),
        (lambda: on_meta(atrous_rates=(6, 0)), "rate of atrous_rates must be an integer >= 1"),
        (lambda: SumASPP(8, 2, (1,), 0), "hidden must be an integer >= 1, got 0"),
        (lambda: MultiScale(narrow(), (0.5, 0.75)), r"with 1 among them, .* got \(0.5, 0.75\)"),
        (lambda: MultiScale(narrow(), (1, 0)), r"positive numbers .* got \(1, 0\)"),
        (lambda: MultiScale(narrow(), ()), r"got \(\)"),
        (lambda: narrow()(torch.zeros(1, 1, 8, 8)), r"image \(B, 3, H, W\), got .*\(1, 1, 8, 8\)"),
        (
            lambda: MultiScale(narrow())(torch.zeros(3, 8, 8)),
            r"image \(B, 3, H, W\), got .*\(3, 8, 8\)",
        ),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
