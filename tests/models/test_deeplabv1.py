"""DeepLab v1: the numbers of its table 2, where its units lie, and what reaches its scores."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from dlseg.arithmetic import networks, stack_fields
from dlseg.backbones import VGG16
from dlseg.inspect import cost, receptive_field
from dlseg.models import VARIANTS, DeepLabV1, ScoreMap
from dlseg.models.deeplabv1 import pad_for_pools
from tests.backbones.counting import parameters, without_weights

on_meta = partial(without_weights, DeepLabV1, "vgg16")

TABLE_2 = {  # parameters, printed in millions, field of view with padding and without
    "7x7": (134_346_581, 134.3, 404),
    "4x4 rate 4": (65_140_565, 65.1, 308),
    "4x4 rate 8": (65_140_565, 65.1, 404),
    "LargeFOV": (20_505_429, 20.5, 404),
}
NETWORKS = [
    *((name, released, None) for name in VARIANTS for released in (False, True)),
    ("LargeFOV", True, "concat"),
    ("LargeFOV", True, "sum"),
]


def narrow(variant="LargeFOV", released=False, msc=None, num_classes=4):
    torch.manual_seed(0)
    options = {"variant": variant, "released": released, "msc": msc}
    return DeepLabV1("vgg16", num_classes, width=0.02, **options)


def scores_of(model, image):
    with torch.no_grad():
        return model.eval().scores(image)


def image(*size, batch=1):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters_of_table_2(name):
    exact, printed, _ = TABLE_2[name]
    for released in (False, True):
        assert parameters(on_meta(variant=name, released=released)) == exact
    assert round(exact / 1e6, 1) == printed


def test_parameters_of_the_branches():
    plain = parameters(on_meta(released=True))
    inside = sum(9 * c * 128 + 128 + 128 * 128 + 128 for c in (3, 64, 128, 256, 512))
    classifiers = 5 * 128 * 21
    assert parameters(on_meta(released=True, msc="concat")) == plain + inside + classifiers
    assert parameters(on_meta(released=True, msc="sum")) == plain + inside + classifiers + 5 * 21


@pytest.mark.parametrize("name", VARIANTS)
def test_fields_of_view(name):
    """DeepLab v1, section 3.2: 404 pixels when run convolutionally, 308 with 4x4 at rate 4."""
    kernel_size, rate, _ = VARIANTS[name]
    report = receptive_field(ScoreMap(on_meta(variant=name)), 65)
    assert report.size == TABLE_2[name][2]
    assert report.size == stack_fields(networks.deeplab_v1(kernel_size, rate))[-1].size


@pytest.mark.parametrize("name", VARIANTS)
def test_fields_with_released_pools(name):
    report = receptive_field(ScoreMap(on_meta(variant=name, released=True)), 65)
    assert report.size == TABLE_2[name][2] + 31  # 435 for LargeFOV


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(("released", "start"), [(False, 3.5), (True, 0)])
def test_units_lie_where_forward_puts_them(name, released, start):
    """Unit i is the middle of pixels 8i to 8i + 7, or, with released pools, pixel 8i."""
    report = receptive_field(ScoreMap(on_meta(variant=name, released=released)), (70, 101))
    assert (report.start, report.stride) == (start, 8)


@pytest.mark.parametrize("msc", ["concat", "sum"])
def test_units_of_all_branches_lie_on_the_same_pixels(msc):
    report = receptive_field(ScoreMap(on_meta(released=True, msc=msc)), 65)
    assert (report.aligned, report.size, report.start, report.stride) == (True, 435, 0, 8)


@pytest.mark.parametrize(("name", "released", "msc"), NETWORKS)
def test_sizes(name, released, msc):
    model = on_meta(variant=name, released=released, msc=msc)
    for size, units in ((306, 39), (321, 41), (513, 65), (512, 64), (8, 1), (9, 2), (1, 1)):
        x = torch.empty(2, 3, size, 33, device="meta")
        assert model.scores(x).shape == (2, 21, units, 5)
        assert model(x).shape == (2, 21, size, 33)
    assert (model.num_classes, model.output_stride) == (21, 8)


def test_upsampling_leaves_units_in_the_middle_of_their_pixels(monkeypatch):
    """Scores that say where their unit lies make logits that say where their pixel lies."""
    model = narrow()
    columns = (8 * torch.arange(6.0) + 3.5).expand(1, 1, 3, 6)
    monkeypatch.setattr(model, "scores", lambda x: columns)
    logits = model(image(20, 41))
    assert logits.shape == (1, 1, 20, 41)
    torch.testing.assert_close(logits[..., 4:], torch.arange(4.0, 41).expand(1, 1, 20, 37))


def test_dense_scores_hold_the_classifier_of_vgg():
    """Section 3.1: with holes, the fully connected layers see what they saw at stride 32."""
    torch.manual_seed(0)
    vgg = VGG16(32, width=0.02, num_classes=4).double().eval()
    model = narrow("7x7").double().eval()
    state, classifier = vgg.state_dict(), vgg.classifier
    model.backbone.load_state_dict({k: v for k, v in state.items() if k.startswith("features")})
    fc6 = classifier[0].weight.reshape(model.fc6.weight.shape)
    x = image(224, 224).double()
    with torch.no_grad():
        y = F.conv2d(model.backbone(x).last, fc6, classifier[0].bias, dilation=model.fc6.dilation)
        assert y.shape[2:] == (1, 1)
        torch.testing.assert_close(y.flatten(1), classifier[0](vgg(x).last.flatten(1)))


def test_zeros_around_the_image():
    padded = pad_for_pools(torch.ones(1, 3, 20, 16))
    assert padded.shape == (1, 3, 12 + 24 + 12, 12 + 16 + 12)
    assert padded.sum() == 3 * 20 * 16 and padded[:, :, 12:32, 12:28].min() == 1


def test_summed_scores_equal_one_classifier_on_all_maps():
    """Section 4.3 joins the maps; the released models add the scores of the branches."""
    summed, joined = narrow(released=True, msc="sum"), narrow(released=True, msc="concat")
    for score in (summed.fc8, *summed.branch_scores):
        torch.nn.init.normal_(score.weight)
        torch.nn.init.normal_(score.bias)
    state = {k: v for k, v in summed.state_dict().items() if not k.startswith("branch_scores")}
    classifiers = (summed.fc8, *summed.branch_scores)
    state["fc8.weight"] = torch.cat([score.weight for score in classifiers], dim=1)
    state["fc8.bias"] = sum(score.bias for score in classifiers)
    joined.load_state_dict(state)
    x = image(57, 40)
    torch.testing.assert_close(scores_of(joined, x), scores_of(summed, x))
    assert scores_of(summed, x).std() > 0.1


@pytest.mark.parametrize("msc", ["concat", "sum"])
@pytest.mark.parametrize("branch", range(5))
def test_each_branch_reaches_the_scores(msc, branch):
    model, x = narrow(released=True, msc=msc), image(40, 40)
    before = scores_of(model, x)
    torch.nn.init.constant_(model.branches[branch][3].bias, 5.0)
    assert (scores_of(model, x) - before).abs().amax((2, 3)).min() > 1e-3


def test_batch_norm_is_an_option_of_the_backbone_alone():
    plain = on_meta(released=True)
    normed = without_weights(DeepLabV1, "vgg16_bn", released=True)
    added = set(normed.state_dict()) - set(plain.state_dict())
    assert added and all(name.startswith("backbone.features.") for name in added)
    assert parameters(normed) - parameters(plain) == 14_723_136 - 14_714_688
    x = torch.empty(1, 3, 40, 40, device="meta")
    assert normed.scores(x).shape == plain.scores(x).shape


def test_pool5a_is_there_only_in_the_released_network():
    """It averages, so that a map of noise loses most of its variance."""
    x = torch.randn(1, 8, 9, 9)
    assert torch.equal(narrow().pool5a(x), x)
    assert narrow(released=True).pool5a(x).std() < 0.5 * x.std()


def test_width_scales_all_channels():
    model = on_meta(variant="7x7", released=True, msc="concat", width=0.25)
    assert model.backbone.channels == 128
    assert model.fc6.out_channels == model.fc7.out_channels == 1024
    assert [branch[0].in_channels for branch in model.branches] == [3, 16, 32, 64, 128]
    assert {branch[3].out_channels for branch in model.branches} == {32}
    assert model.fc8.in_channels == 1024 + 5 * 32


def test_dropout_is_behind_fc6_and_fc7_and_every_layer_of_a_branch():
    model = narrow(released=True, msc="sum")
    layers = [type(layer).__name__ for layer in model.branches[0]]
    assert layers == 2 * ["Conv2d", "ReLU", "Dropout"]
    x = image(33, 33)
    assert not torch.equal(model.train().scores(x), model.scores(x))


@pytest.mark.parametrize("name", VARIANTS)
def test_multiply_adds_as_the_formulas_say(name):
    """306 pixels with released pools: maps of 306, 153, 77, 39, 39 units, and fc6 to fc8 at 39."""
    kernel_size, _, hidden = VARIANTS[name]
    total, given = 0, 3
    for side, (channels, count) in zip(
        (306, 153, 77, 39, 39), ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), strict=True
    ):
        for _ in range(count):
            total += side**2 * 9 * given * channels
            given = channels
    total += 39**2 * (kernel_size**2 * 512 * hidden + hidden**2 + hidden * 21)
    assert cost(on_meta(variant=name, released=True), 306).multiply_adds == total


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: on_meta(variant="5x5"), "variant must be one of 7x7, .* got '5x5'"),
        (
            lambda: on_meta(msc="add", released=True),
            "msc must be one of None, concat, sum, got 'add'",
        ),
        (lambda: on_meta(msc="sum"), "msc='sum' needs released=True"),
        (
            lambda: on_meta(output_stride=16),
            "VGG16 of output_stride=8, got VGG16 of output_stride=16",
        ),
        (lambda: DeepLabV1("resnet18"), "needs a VGG16 of output_stride=8, got ResNet"),
        (lambda: DeepLabV1(VGG16(16, width=0.02)), "got VGG16 of output_stride=16"),
        (
            lambda: DeepLabV1(VGG16(8, width=0.02), released=True),
            "pool_size of the VGG16 must be one of 3, got 2",
        ),
        (lambda: narrow()(torch.zeros(3, 8, 8)), r"image \(B, 3, H, W\), got .*\(3, 8, 8\)"),
        (lambda: narrow()(torch.zeros(1, 3, 0, 8)), r"image \(B, 3, H, W\), got .*\(1, 3, 0, 8\)"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
