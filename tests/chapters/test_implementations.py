"""Other people's DeepLabs: the same logits with the same random weights, or the same counts."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from dlseg.backbones import MobileNetV2, ResNet
from dlseg.layers import upsample
from dlseg.models import DeepLabV3Plus, convert, smp_backbone, smp_deeplabv3
from support.deeplab_v3plus.two_maps import TwoMaps
from support.implementations import (
    deeplab2_deeplabv3plus,
    smp_deeplabv3plus,
    vainf_deeplabv3plus,
    with_decoder,
)
from tests.backbones.counting import multiply_adds, parameters, without_weights
from tests.peers import distance, load_smp, randomise

smp = load_smp()

TOLERANCE = 1e-4  # relative; what was found is below 1e-5
PAIRS = {"v3": (smp_deeplabv3, smp.DeepLabV3), "v3+": (smp_deeplabv3plus, smp.DeepLabV3Plus)}
COUNTS = {  # parameters; 10^9 multiply-adds at 512 x 512 and output stride 16 and 8
    ("v3", "resnet50"): (39_638_869, (48.40, 163.58)),
    ("v3", "mobilenet_v2"): (12_653_077, (13.14, 50.71)),
    ("v3+", "resnet50"): (26_682_725, (36.65, 111.72)),
    ("v3+", "resnet101"): (45_674_853, (56.04,)),
    ("v3+", "mobilenet_v2"): (4_383_653, (6.01, 17.91)),
}


def peer_of(which, backbone, output_stride):
    """Theirs, its rates as they are by default: the same at both output strides."""
    build = PAIRS[which][1]
    return build(backbone, encoder_weights=None, encoder_output_stride=output_stride, classes=21)


@pytest.mark.parametrize(
    ("which", "backbone", "output_stride"),
    [
        ("v3", "resnet18", 8),
        ("v3", "resnet18", 16),
        ("v3", "mobilenet_v2", 16),
        ("v3+", "resnet50", 16),
        ("v3+", "resnet18", 8),
        ("v3+", "mobilenet_v2", 8),
    ],
)
def test_logits(which, backbone, output_stride):
    peer = peer_of(which, backbone, output_stride)
    randomise(peer, 64)
    ours = PAIRS[which][0](backbone, 21, output_stride).eval()
    ours.load_state_dict(convert(peer.state_dict(), "smp").state)
    x = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert distance(ours(x), peer(x)) < TOLERANCE


def test_any_size_where_the_peer_takes_multiples_only():
    """513 pixels, the paper's crop, are refused there."""
    peer = without_weights(peer_of, "v3+", "resnet18", 16)
    ours = without_weights(smp_deeplabv3plus, "resnet18", 21, 16)
    x = torch.empty(1, 3, 513, 513, device="meta")
    with pytest.raises(RuntimeError, match="divisible by 16"):
        peer(x)
    assert ours(x).shape == (1, 21, 513, 513)


@pytest.mark.parametrize(("which", "backbone"), COUNTS)
def test_counts(which, backbone):
    count, work = COUNTS[which, backbone]
    for output_stride, expected in zip((16, 8), work, strict=False):
        ours = without_weights(PAIRS[which][0], backbone, 21, output_stride)
        assert parameters(ours) == count
        assert round(multiply_adds(ours, 512) / 1e9, 2) == expected
    peer = without_weights(peer_of, which, backbone, output_stride)
    renamed = convert(peer.state_dict(), "smp").state
    assert {key: value.shape for key, value in renamed.items()} == {
        key: value.shape for key, value in ours.state_dict().items()
    }


def test_rate_of_the_first_unit_is_another_network():
    """The deviation that the option is for: without it, the same weights give other scores."""
    peer = peer_of("v3+", "resnet18", 8)
    randomise(peer, 64)
    ours = smp_deeplabv3plus("resnet18", 21, 8).eval()
    ours.load_state_dict(convert(peer.state_dict(), "smp").state)
    ours.backbone.layer3[0].conv1.dilation = ours.backbone.layer3[0].conv1.padding = (1, 1)
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert distance(ours(x), peer(x)) > 0.01


def test_bad_input_says_what_to_do():
    with pytest.raises(ValueError, match="no ResNet 18 to 101, and no mobilenet_v2: 'vgg16'"):
        smp_backbone("vgg16", 16)


@pytest.mark.parametrize(
    ("backbone", "count", "work"),
    [
        (ResNet, 39_761_845, (62.38, 178.09)),
        (partial(ResNet, depth=101), 58_753_973, (83.01,)),
        (MobileNetV2, 5_225_717, ()),
    ],
)
def test_vainf(backbone, count, work):
    def build(output_stride):
        return without_weights(lambda: vainf_deeplabv3plus(backbone(output_stride)))

    for output_stride, expected in zip((16, 8), work, strict=False):
        assert round(multiply_adds(build(output_stride), 513) / 1e9, 2) == expected
    assert parameters(build(16)) == count


def test_vainf_joins_the_maps_in_the_other_order():
    """Its 304 input channels in our order: the same map."""
    torch.manual_seed(0)
    model = vainf_deeplabv3plus(ResNet(depth=18, width=0.1), 4).eval()
    x, low_level = torch.randn(1, 256, 5, 5), torch.randn(1, 8, 17, 17)
    conv = model.decoder.layers[0][0]
    theirs = torch.randn(256, 304, 3, 3) / 50
    with torch.no_grad():
        conv.weight.copy_(torch.cat([theirs[:, 48:], theirs[:, :48]], dim=1))
        joined = torch.cat([model.decoder.project(low_level), upsample(x, (17, 17))], dim=1)
        expected = model.decoder.layers[0][1:](F.conv2d(joined, theirs, padding=1))
        torch.testing.assert_close(model.decoder(x, low_level), expected)


def test_deeplab2_has_plain_aspp_and_separable_decoder():
    model = without_weights(lambda: deeplab2_deeplabv3plus(ResNet(depth=18)))
    assert [conv[0].groups for conv in model.aspp.convs[1:4]] == [1, 1, 1]
    assert [layer.conv_dw.groups for layer in model.decoder.layers] == [304, 256]
    assert model.align_corners and model.decoder.align_corners


@pytest.mark.parametrize(
    "layers", [((3, 256),), ((3, 256),) * 2, ((3, 256),) * 3, ((3, 128),), ((1, 256),)]
)
def test_decoders_of_table_2(layers):
    model = without_weights(lambda: with_decoder(DeepLabV3Plus("resnet50"), layers=layers))
    convs = [layer[0] for layer in model.decoder.layers]
    assert [(conv.kernel_size[0], conv.out_channels) for conv in convs] == list(layers)
    assert convs[0].in_channels == 304
    assert model.classifier.in_channels == layers[-1][1]
    assert model.scores(torch.empty(1, 3, 65, 65, device="meta")).shape == (1, 21, 17, 17)


def test_conv2_and_conv3_of_table_2():
    model = without_weights(lambda: TwoMaps(ResNet()))
    assert model.decoder3.project[0].in_channels == 512
    assert model.decoder.project[0].in_channels == 256
    sizes = []
    for decoder in (model.decoder3, model.decoder):
        decoder.register_forward_hook(lambda _m, _x, y: sizes.append(tuple(y.shape[1:])))
    assert model(torch.empty(1, 3, 513, 513, device="meta")).shape == (1, 21, 513, 513)
    assert sizes == [(256, 65, 65), (256, 129, 129)]
