"""ResNet: parity with torchvision, fields, rates, sizes, and errors."""

from functools import partial

import pytest
import torch

from dlseg.arithmetic import StagePlan, networks, stack_fields
from dlseg.backbones import BasicUnit, LastMap, ResNet
from dlseg.backbones.resnet import multi_grid_plans, shortcut
from dlseg.inspect import receptive_field
from tests.backbones.counting import parameters, without_weights
from tests.peers import distance, load_torchvision, randomise
from tests.sampling import sampled

on_meta = partial(without_weights, ResNet)

PARAMETERS = {  # with the classifier of 1000 classes, and without
    18: (11_689_512, 11_176_512),
    34: (21_797_672, 21_284_672),
    50: (25_557_032, 23_508_032),
    101: (44_549_160, 42_500_160),
}
DILATED = {32: (False, False, False), 16: (False, False, True), 8: (False, True, True)}
OFFERED = [(18, 32), *((depth, stride) for depth in (50, 101) for stride in (16, 8))]


def rates_of(stage):
    return [unit.conv2.dilation[0] for unit in stage]


@pytest.fixture(scope="module")
def peers():
    """Peers by depth; the same weights serve every output stride."""
    made = {}

    def peer(depth):
        if depth not in made:
            torch.manual_seed(depth)
            made[depth] = getattr(load_torchvision().models, f"resnet{depth}")(weights=None)
            randomise(made[depth], seed=depth)
        return made[depth]

    return peer


@pytest.mark.parametrize(("depth", "output_stride"), OFFERED)
def test_same_as_torchvision(peers, depth, output_stride):
    model = getattr(load_torchvision().models, f"resnet{depth}")
    dense = {} if depth < 50 else {"replace_stride_with_dilation": DILATED[output_stride]}
    state = peers(depth).state_dict()
    with torch.device("meta"):
        peer = model(weights=None, **dense).eval()
        ours = ResNet(output_stride, depth=depth, num_classes=1000).eval()
    peer.load_state_dict(state, assign=True)
    ours.load_state_dict(state, strict=True, assign=True)
    x = torch.randn(2, 3, 65, 97, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        low_level = peer.layer1(peer.maxpool(peer.relu(peer.bn1(peer.conv1(x)))))
        last = peer.layer4(peer.layer3(peer.layer2(low_level)))
        features = ours(x)
        assert distance(features.low_level, low_level) <= 1e-5
        assert distance(features.last, last) <= 1e-5
        assert distance(ours.classify(x), peer(x)) <= 1e-5


def test_the_comparison_sees_batch_norm(peers):
    """The same weights with fresh statistics make another map, so parity is no matter of course."""
    state = peers(18).state_dict()
    fresh = {key: value for key, value in state.items() if "running" not in key}
    ours = ResNet(32, depth=18, num_classes=1000).eval()
    ours.load_state_dict(fresh, strict=False)
    x = torch.randn(1, 3, 65, 65)
    with torch.no_grad():
        assert distance(ours.classify(x), peers(18)(x)) > 0.1


@pytest.mark.parametrize("depth", PARAMETERS)
def test_parameters(depth):
    with_classifier, without = PARAMETERS[depth]
    assert parameters(on_meta(depth=depth, num_classes=1000)) == with_classifier
    assert parameters(on_meta(depth=depth)) == without
    assert parameters(on_meta(8, depth=depth, style="slim")) == without


def test_parameters_of_the_beta_stem():
    """DeepLab v3 on ResNet-101 has 58,040,661 with one stem, 58,164,437 (58.16M) with the other.

    Sandler et al. 2018, table 7, prints 58.16M.
    """
    model = on_meta(depth=101, stem="beta")
    assert parameters(model) - parameters(on_meta(depth=101)) == 58_164_437 - 58_040_661
    convs = [module for module in model.conv1 if isinstance(module, torch.nn.Conv2d)]
    assert [(conv.out_channels, conv.stride[0]) for conv in convs] == [(64, 2), (64, 1), (128, 1)]
    assert receptive_field(LastMap(model), 65).size == 971 + 4  # 11 pixels of stem, not 7


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("stem", ["7x7", "beta"])
@pytest.mark.parametrize(
    ("width", "channels"),
    [(1.0, (64, 128, 256, 512)), (0.25, (16, 32, 64, 128)), (0.05, (8, 8, 16, 24))],
)
def test_width_scales_all_channels(depth, stem, width, channels):
    model = on_meta(depth=depth, stem=stem, width=width, num_classes=10)
    stages = (model.layer1, model.layer2, model.layer3, model.layer4)
    assert tuple(stage[-1].conv2.out_channels for stage in stages) == channels
    assert model.bn1.num_features == channels[1 if stem == "beta" else 0]
    features = model(torch.empty(1, 3, 65, 65, device="meta"))
    expansion = 1 if depth == 18 else 4
    assert features.low_level.shape[1] == model.low_level_channels == channels[0] * expansion
    assert features.last.shape[1] == model.channels == channels[3] * expansion
    assert model.classify(torch.empty(2, 3, 65, 65, device="meta")).shape == (2, 10)


@pytest.mark.parametrize("style", ["torchvision", "slim"])
def test_denser_maps_of_a_narrow_network_hold_the_strided_one(style):
    """At width 0.05 both first stages have 8 channels, and a shortcut without weights."""
    torch.manual_seed(0)
    strided = ResNet(32, depth=18, style=style, width=0.05).double()
    randomise(strided, 33)
    x = torch.randn(1, 3, 49, 65, dtype=torch.float64)
    for output_stride, step in ((16, 2), (8, 4)):
        dense = ResNet(output_stride, depth=18, style=style, width=0.05).double().eval()
        dense.load_state_dict(strided.state_dict())
        with torch.no_grad():
            difference = dense(x).last[:, :, ::step, ::step] - strided(x).last
        assert difference.abs().max() < 1e-10


@pytest.mark.parametrize(("size", "floor", "ceil"), [(512, 128, 129), (513, 129, 129), (5, 2, 2)])
def test_pool_of_caffe_rounds_sizes_up(size, floor, ceil):
    image = torch.empty(1, 3, size, size, device="meta")
    assert on_meta(depth=18)(image).low_level.shape[2:] == (floor, floor)
    assert on_meta(depth=18, style="caffe")(image).low_level.shape[2:] == (ceil, ceil)


PLACES = {"torchvision": "3x3", "caffe": "1x1", "slim": "last unit"}  # as the arithmetic has it
WAYS = [*((style, "previous") for style in PLACES), ("torchvision", "whole")]
GEOMETRIES = [
    (depth, style, output_stride, first_unit)
    for depth in PARAMETERS
    for style, first_unit in WAYS
    for output_stride in (32, 16, 8)
    if not (style == "caffe" and depth < 50)
]


@pytest.mark.parametrize(("depth", "style", "output_stride", "first_unit"), sampled(GEOMETRIES, 16))
def test_field_is_that_of_the_stack(depth, style, output_stride, first_unit):
    model = on_meta(output_stride, depth=depth, style=style, first_unit=first_unit)
    place = PLACES[style]
    report = receptive_field(LastMap(model), 65)
    expected = stack_fields(networks.resnet(depth, place, output_stride, first_unit))[-1]
    found = (report.size, report.stride, report.padding, report.aligned)
    assert found == (expected.size, expected.stride, expected.padding, True)


@pytest.mark.parametrize(
    ("depth", "torchvision", "original"),
    [(18, 435, None), (34, 899, None), (50, 427, 483), (101, 971, 1027)],
)
def test_published_fields(depth, torchvision, original):
    """Distill's table has 483 and 1027: TF-Slim's place of the stride, and Caffe's."""
    fields = {
        style: receptive_field(LastMap(on_meta(8, depth=depth, style=style)), 65).size
        for style in (PLACES if original else ("torchvision",))
    }
    assert fields.pop("torchvision") == torchvision
    assert set(fields.values()) <= {original}


@pytest.mark.parametrize(
    ("output_stride", "first_unit", "layer3", "layer4"),
    [
        (32, "previous", [1] * 6, [1, 1, 1]),
        (16, "previous", [1] * 6, [1, 2, 2]),
        (8, "previous", [1, 2, 2, 2, 2, 2], [2, 4, 4]),
        (16, "whole", [1] * 6, [2, 2, 2]),
        (8, "whole", [2] * 6, [4, 4, 4]),
    ],
)
def test_rates(output_stride, first_unit, layer3, layer4):
    model = on_meta(output_stride, first_unit=first_unit)
    assert (rates_of(model.layer3), rates_of(model.layer4)) == (layer3, layer4)


@pytest.mark.parametrize("style", ["caffe", "slim"])
def test_rates_where_the_stride_is_elsewhere(style):
    """No 3x3 has lost its stride but that of a last unit, so each stage has one rate throughout."""
    model = on_meta(8, style=style)
    assert (rates_of(model.layer3), rates_of(model.layer4)) == ([2] * 6, [4] * 3)


@pytest.mark.parametrize(
    ("output_stride", "multi_grid", "rates"),
    [
        (16, (1, 2, 4), [2, 4, 8]),  # DeepLab v3, section 3.2.1
        (8, (1, 2, 4), [4, 8, 16]),
        (32, (1, 2, 4), [1, 2, 4]),
        (16, (2, 2, 2), [4, 4, 4]),
    ],
)
@pytest.mark.parametrize("depth", [34, 50, 101])
def test_multi_grid(depth, output_stride, multi_grid, rates):
    model = on_meta(output_stride, depth=depth, multi_grid=multi_grid)
    assert rates_of(model.layer4) == rates
    assert rates_of(model.layer3)[1:] == [2 if output_stride == 8 else 1] * (len(model.layer3) - 1)
    if depth < 50:
        assert [unit.conv1.dilation[0] for unit in model.layer4] == rates


def test_multi_grid_of_ones_changes_nothing():
    assert rates_of(on_meta(16, multi_grid=(1, 1, 1)).layer4) == [1, 2, 2]
    assert rates_of(on_meta(16, depth=18, multi_grid=(1, 1)).layer4) == [2, 2]


def test_multi_grid_of_ones_is_the_paper_s_where_the_stride_is_in_the_last_unit():
    model = on_meta(16, style="slim", multi_grid=(1, 1, 1))
    assert rates_of(model.layer4) == [2, 2, 2]


@pytest.mark.parametrize(
    ("size", "low_level", "last"),
    [
        ((1, 1), (1, 1), (1, 1)),
        ((32, 32), (8, 8), (2, 2)),
        ((65, 65), (17, 17), (5, 5)),
        ((513, 513), (129, 129), (33, 33)),
        ((512, 769), (128, 193), (32, 49)),
    ],
)
@pytest.mark.parametrize("style", ["torchvision", "slim"])
def test_sizes(size, low_level, last, style):
    model = on_meta(style=style)
    features = model(torch.empty(1, 3, *size, device="meta"))
    assert features.low_level.shape == (1, model.low_level_channels, *low_level)
    assert features.last.shape == (1, model.channels, *last)
    assert (model.output_stride, model.low_level_stride) == (16, 4)


def test_tap_of_the_decoder_lies_before_the_stride():
    """TF-Slim strides in the third unit of layer1, so that the tap is behind the second."""
    model = on_meta(style="slim")
    stem = [model.conv1, model.bn1, torch.nn.ReLU(), torch.nn.MaxPool2d(3, 2, 1)]
    report = receptive_field(torch.nn.Sequential(*stem, *model.layer1[:2]), 65)
    assert (model.units_before_tap, report.stride, report.size) == (2, 4, 27)
    assert on_meta().units_before_tap == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: on_meta(depth=51), "depth must be one of 18, 34, 50, 101, got 51"),
        (lambda: on_meta(stem="v1c"), "stem must be one of 7x7, beta, got 'v1c'"),
        (
            lambda: on_meta(style="mxnet"),
            "style must be one of torchvision, .* got 'mxnet'",
        ),
        (
            lambda: on_meta(first_unit="none"),
            "first_unit must be one of previous, whole",
        ),
        (
            lambda: on_meta(style="caffe", first_unit="whole"),
            "needs style=\"torchvision\", got 'caffe'",
        ),
        (
            lambda: on_meta(stem="beta", weights="imagenet"),
            "weights were trained with stem=\"7x7\" .* got 'beta' and 'torchvision'",
        ),
        (lambda: on_meta(style="caffe", weights="imagenet"), "got '7x7' and 'caffe'; drop weights"),
        (
            lambda: on_meta(multi_grid=(1, 2)),
            r"a unit rate for each of the 3 units .* got \(1, 2\)",
        ),
        (lambda: on_meta(multi_grid=(1, 2, 0)), "multi_grid must be an integer >= 1, got 0"),
        (lambda: multi_grid_plans([], (2,)), "each of the 0 units"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_shortcut_without_weights_takes_every_second_pixel():
    """With its second BN at zero the unit is the ReLU of its shortcut."""
    unit = BasicUnit(4, 4, StagePlan(2, 1, 1), "torchvision").eval()
    torch.nn.init.zeros_(unit.bn2.weight)
    x = torch.randn(1, 4, 7, 7)
    assert torch.equal(unit(x), x[:, :, ::2, ::2].relu())


def test_a_shortcut_that_changes_nothing_is_no_layer():
    """A unit then adds x itself."""
    assert shortcut(8, 8, 1) is None
    x = torch.arange(2 * 8 * 5 * 4.0).view(2, 8, 5, 4)
    assert torch.equal(shortcut(8, 8, 2)(x), x[:, :, ::2, ::2])
    assert [shortcut(8, 16, stride)(x).shape for stride in (1, 2)] == [(2, 16, 5, 4), (2, 16, 3, 2)]
