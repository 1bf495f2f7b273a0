"""segmentation-models-pytorch's DeepLabs with random weights, taken over: the same logits."""

import pytest
import torch

from dlseg.models.implementations import (
    from_smp,
    smp_backbone,
    smp_deeplabv3,
    smp_deeplabv3plus,
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
    ours.load_state_dict(from_smp(peer.state_dict()))
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
    renamed = from_smp(peer.state_dict())
    assert {key: value.shape for key, value in renamed.items()} == {
        key: value.shape for key, value in ours.state_dict().items()
    }


def test_rate_of_the_first_unit_is_another_network():
    """The deviation that the option is for: without it, the same weights give other scores."""
    peer = peer_of("v3+", "resnet18", 8)
    randomise(peer, 64)
    ours = smp_deeplabv3plus("resnet18", 21, 8).eval()
    ours.load_state_dict(from_smp(peer.state_dict()))
    ours.backbone.layer3[0].conv1.dilation = ours.backbone.layer3[0].conv1.padding = (1, 1)
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert distance(ours(x), peer(x)) > 0.01


def test_bad_input_says_what_to_do():
    with pytest.raises(ValueError, match="no ResNet 18 to 101, and no mobilenet_v2: 'vgg16'"):
        smp_backbone("vgg16", 16)
    with pytest.raises(
        ValueError, match=r"segmentation-models-pytorch has a 'decoder\.blocks\.0\.w'"
    ):
        from_smp({"encoder.conv1.weight": torch.zeros(1), "decoder.blocks.0.w": torch.zeros(1)})
