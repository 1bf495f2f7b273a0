"""VGG-16: parity with torchvision, fields, rates, sizes, and errors."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from dlseg.arithmetic import networks, stack_fields, to_atrous
from dlseg.backbones.features import LastMap
from dlseg.backbones.vgg import VGG16
from dlseg.inspect import receptive_field
from tests.backbones.counting import parameters, without_weights
from tests.peers import distance, load_torchvision, randomise

on_meta = partial(without_weights, VGG16)

PARAMETERS = {False: (138_357_544, 14_714_688), True: (138_365_992, 14_723_136)}
KEYS = {False: 32, True: 97}


def convs_and_pools(model):
    """(rates of the convolutions of each stage, (stride, padding, rate) of each pool)."""
    stages, pools = [[]], []
    for layer in model.features:
        if isinstance(layer, nn.Conv2d):
            stages[-1].append(layer.dilation[0])
        elif isinstance(layer, nn.MaxPool2d):
            pools.append((layer.stride, layer.padding, layer.dilation))
            stages.append([])
    return stages[:-1], pools


def random_peer(batch_norm):
    """torchvision's network with random weights of the usual scale, its classifier included."""
    build = load_torchvision().models.vgg16_bn if batch_norm else load_torchvision().models.vgg16
    with torch.device("meta"):
        peer = build(weights=None)
    peer = peer.to_empty(device="cpu")
    torch.manual_seed(0)
    for module in peer.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            nn.init.normal_(module.bias, std=0.1)
        elif isinstance(module, nn.Linear):
            nn.init.uniform_(module.weight, -0.02, 0.02)
            nn.init.normal_(module.bias, std=0.1)
    randomise(peer.features)
    return peer.eval()


@pytest.mark.parametrize("batch_norm", [False, True])
def test_same_as_torchvision(batch_norm):
    peer = random_peer(batch_norm)
    state = peer.state_dict()
    assert len(state) == KEYS[batch_norm]
    ours = on_meta(32, batch_norm=batch_norm, num_classes=1000).eval()
    ours.load_state_dict(state, strict=True, assign=True)
    x = torch.randn(2, 3, 65, 97, generator=torch.Generator().manual_seed(1))
    pool3 = [place for place, la in enumerate(peer.features) if isinstance(la, nn.MaxPool2d)][2]
    with torch.no_grad():
        features = ours(x)
        assert distance(features.low_level, peer.features[:pool3](x)) <= 1e-5
        assert distance(features.last, peer.features(x)) <= 1e-5
        assert distance(ours.classify(x), peer(x)) <= 1e-5


def test_pools_have_torchvision_s_places():
    pools = [place for place, la in enumerate(on_meta().features) if isinstance(la, nn.MaxPool2d)]
    assert pools == [4, 9, 16, 23, 30]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_parameters(batch_norm):
    with_classifier, without = PARAMETERS[batch_norm]
    assert parameters(on_meta(batch_norm=batch_norm, num_classes=1000)) == with_classifier
    assert parameters(on_meta(batch_norm=batch_norm)) == without
    assert parameters(on_meta(8, pool_size=3, batch_norm=batch_norm)) == without


@pytest.mark.parametrize(
    ("width", "channels", "hidden"),
    [
        (1.0, [64, 128, 256, 512, 512], 4096),
        (0.25, [16, 32, 64, 128, 128], 1024),
        (0.01, [8] * 5, 40),
        (1.5, [96, 192, 384, 768, 768], 6144),
    ],
)
def test_width_scales_all_channels(width, channels, hidden):
    model = on_meta(width=width, num_classes=10)
    convs = [layer.out_channels for layer in model.features if isinstance(layer, nn.Conv2d)]
    assert [convs[place] for place in (1, 3, 6, 9, 12)] == channels
    assert [model.classifier[place].out_features for place in (0, 3, 6)] == [hidden, hidden, 10]
    features = model(torch.empty(1, 3, 64, 64, device="meta"))
    assert features.low_level.shape[1] == model.low_level_channels == channels[2]
    assert features.last.shape[1] == model.channels == channels[4]


def test_rates_and_pools_at_output_stride_8():
    """DeepLab v1, section 3.1: the last two pools lose their stride, conv5 gets rate 2."""
    stages, pools = convs_and_pools(on_meta(8))
    assert stages == [[1] * 2, [1] * 2, [1] * 3, [1] * 3, [2] * 3]
    assert pools == [(2, 0, 1)] * 3 + [(1, 0, 1), (1, 0, 2)]


def test_rates_and_pools_of_the_released_deeplab_v1():
    """Its prototxt: pools of 3x3 padded by 1, pool4 and pool5 of stride 1, none dilated."""
    stages, pools = convs_and_pools(on_meta(8, pool_size=3))
    assert stages == [[1] * 2, [1] * 2, [1] * 3, [1] * 3, [2] * 3]
    assert pools == [(2, 1, 1)] * 3 + [(1, 1, 1), (1, 1, 1)]


@pytest.mark.parametrize(
    ("output_stride", "strides", "conv5"), [(32, [2] * 5, 1), (16, [2, 2, 2, 2, 1], 1)]
)
def test_rates_and_pools_at_larger_output_strides(output_stride, strides, conv5):
    stages, pools = convs_and_pools(on_meta(output_stride))
    assert [stride for stride, _, _ in pools] == strides
    assert {rate for rates in stages for rate in rates} == {conv5}


@pytest.mark.parametrize("output_stride", [32, 16, 8])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_field_is_that_of_the_stack(output_stride, batch_norm):
    report = receptive_field(LastMap(on_meta(output_stride, batch_norm=batch_norm)), 65)
    expected = stack_fields(to_atrous(networks.vgg16(), output_stride))[-1]
    assert (report.size, report.stride, report.padding) == (212, output_stride, 90)
    assert (expected.size, expected.stride, expected.padding) == (212, output_stride, 90)


@pytest.mark.parametrize("output_stride", [32, 16, 8])
def test_field_with_released_pools(output_stride):
    report = receptive_field(LastMap(on_meta(output_stride, pool_size=3)), 65)
    stack = to_atrous(networks.vgg16(3), output_stride)
    plain = [replace(la, rate=1, padding=1) if la.name == "pool5" else la for la in stack]
    expected = stack_fields(plain)[-1]
    found = (report.size, report.stride, report.padding)
    assert found == (expected.size, expected.stride, expected.padding)
    assert (report.size < stack_fields(stack)[-1].size) == (output_stride == 8)


@pytest.mark.parametrize(
    ("kernel_size", "rate", "field"), [(7, 4, 404), (4, 8, 404), (3, 12, 404), (4, 4, 308)]
)
def test_field_of_deeplab_v1(kernel_size, rate, field):
    """DeepLab v1, section 3.2, with fc6 of the four variants of its table 2 on top."""
    fc6 = nn.Conv2d(512, 8, kernel_size, dilation=rate, device="meta")
    assert receptive_field(nn.Sequential(LastMap(on_meta(8)), fc6), 513).size == field


def test_field_of_the_released_large_fov():
    head = nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(512, 8, 3, padding=12, dilation=12))
    model = nn.Sequential(LastMap(on_meta(8, pool_size=3)), head.to("meta"))
    assert receptive_field(model, 65).size == 435


@pytest.mark.parametrize(
    ("size", "pool_size", "low_level", "last"),
    [
        ((32, 32), 2, (8, 8), (1, 1)),
        ((65, 65), 2, (16, 16), (3, 3)),
        ((513, 513), 2, (128, 128), (31, 31)),
        ((512, 769), 2, (128, 192), (31, 47)),
        ((1, 1), 3, (1, 1), (1, 1)),
        ((32, 32), 3, (8, 8), (2, 2)),
        ((65, 65), 3, (17, 17), (5, 5)),
        ((513, 513), 3, (129, 129), (33, 33)),
        ((512, 769), 3, (128, 193), (32, 49)),
    ],
)
def test_sizes(size, pool_size, low_level, last):
    model = on_meta(pool_size=pool_size)
    features = model(torch.empty(1, 3, *size, device="meta"))
    assert features.low_level.shape == (1, model.low_level_channels, *low_level)
    assert features.last.shape == (1, model.channels, *last)
    assert (model.output_stride, model.low_level_stride) == (16, 4)


@pytest.mark.parametrize(("output_stride", "size"), [(8, 65), (16, 33), (32, 17)])
def test_released_pools_make_the_sizes_of_resnet(output_stride, size):
    image = torch.empty(1, 3, 513, 513, device="meta")
    assert on_meta(output_stride, pool_size=3)(image).last.shape == (1, 512, size, size)


@pytest.mark.parametrize("output_stride", [32, 16, 8])
def test_smallest_image_is_the_smallest_that_fits(output_stride):
    model = on_meta(output_stride)
    assert min(model(torch.empty(1, 3, 32, 40, device="meta")).last.shape) >= 1
    with pytest.raises(ValueError, match=r"at least 32x32 pixels, got \(1, 3, 31, 40\); enlarge"):
        model(torch.empty(1, 3, 31, 40, device="meta"))
    with pytest.raises(RuntimeError, match="too small"):
        model.features(torch.empty(1, 3, 31, 40, device="meta"))


def test_low_level_map_is_conv3_3():
    """conv3_3 of VGG sees 40 pixels; the pool behind it would see 44."""
    model = on_meta()
    report = receptive_field(model.features[: model.pool3], 65)
    assert (report.size, report.stride) == (40, 4)


def test_classify_at_any_size():
    """At 224 pixels the map is 7x7 already; other sizes are averaged to it."""
    model = on_meta(32, num_classes=5).eval()
    assert model(torch.empty(1, 3, 224, 224, device="meta")).last.shape == (1, 512, 7, 7)
    assert model.classify(torch.empty(2, 3, 65, 97, device="meta")).shape == (2, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: on_meta(pool_size=4), r"pool_size must be 2 \(VGG\) or 3 .* got 4"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
