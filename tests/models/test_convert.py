"""Weights of other programs: the same logits from the same numbers."""

import re

import pytest
import torch
from torch import nn

from dlseg.data import MEAN, STD
from dlseg.models import SOURCES, build_model, convert
from tests.backbones.counting import without_weights
from tests.peers import distance, load_smp, load_torchvision, load_transformers, randomise
from tests.sampling import sampled

TOLERANCE = 1e-5  # relative; what was found is below 1e-6
TORCHVISION = ("deeplabv3_resnet50", "deeplabv3_resnet101", "deeplabv3_mobilenet_v3_large")
TORCHVISION += ("fcn_resnet50", "fcn_resnet101")
SMP = [
    (network, encoder, stride)
    for network in ("DeepLabV3", "DeepLabV3Plus")
    for encoder in ("resnet18", "resnet34", "resnet50", "resnet101", "mobilenet_v2")
    for stride in (8, 16)
]
SMP_OFTEN = [("DeepLabV3", "resnet18", 8), ("DeepLabV3Plus", "mobilenet_v2", 16)]
TRANSFORMERS = [(1.0, 8), (0.5, 16), (0.35, 32), (1.4, 16), (0.75, 8)]


def image(height, width):
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(1))


def converted(peer: nn.Module, source: str, output_stride: int | None = None) -> nn.Module:
    made = convert(peer.state_dict(), source, output_stride)
    model = build_model(made.description).eval()
    model.load_state_dict(made.state)
    assert model.num_classes == made.description["num_classes"] == 5
    return model


@pytest.mark.parametrize("name", sampled(TORCHVISION, TORCHVISION[2:4]))
def test_torchvision(name, record_property):
    torch.manual_seed(0)
    make = getattr(load_torchvision().models.segmentation, name)
    peer = make(weights=None, weights_backbone=None, num_classes=5, aux_loss=True)
    randomise(peer, 64)
    ours, x = converted(peer, "torchvision"), image(65, 97)
    with torch.inference_mode():
        found = distance(ours(x), peer(x)["out"])
    record_property("difference", found)
    assert found < TOLERANCE
    dropped = convert(peer.state_dict(), "torchvision").dropped
    assert dropped and all(key.startswith("aux_classifier.") for key in dropped)


@pytest.mark.parametrize(("network", "encoder", "stride"), sampled(SMP, SMP_OFTEN))
def test_smp(network, encoder, stride, record_property):
    torch.manual_seed(0)
    make = getattr(load_smp(), network)
    peer = make(encoder, encoder_weights=None, encoder_output_stride=stride, classes=5)
    randomise(peer, 64)
    ours, x = converted(peer, "smp", stride), image(64, 96)
    with torch.inference_mode():
        found = distance(ours(x), peer(x))
    record_property("difference", found)
    assert found < TOLERANCE


@pytest.mark.parametrize(("width", "stride"), sampled(TRANSFORMERS, TRANSFORMERS[1:2]))
def test_transformers(width, stride, record_property):
    """Its images are from -1 to 1, its logits coarse, its sides multiples of 32 and one more."""
    torch.manual_seed(0)
    transformers = load_transformers()
    config = transformers.MobileNetV2Config(
        depth_multiplier=width, output_stride=stride, num_labels=5
    )
    peer = transformers.MobileNetV2ForSemanticSegmentation(config)
    randomise(peer, 65)
    ours, x = converted(peer, "transformers", stride), image(65, 97)
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    with torch.inference_mode():
        found = distance(ours.scores(x), peer((x * std + mean) * 2 - 1).logits)
    record_property("difference", found)
    assert found < TOLERANCE
    assert convert(peer.state_dict(), "transformers").dropped[0].startswith("mobilenet_v2.conv_1x1")


@pytest.mark.parametrize("source", SOURCES)
def test_every_network_finds_itself(source):
    """By names and shapes alone: none of them is taken for another."""
    for theirs in SOURCES[source][:: 1 if source != "smp" else 3]:
        description = theirs.make(3, theirs.output_stride)
        if theirs.names:
            continue  # their names are those of a peer, and tested with it
        state = without_weights(build_model, description).state_dict()
        made = convert(state, source)
        assert made.description == description and made.state.keys() == state.keys()


def test_the_output_stride_is_the_programs_own_or_as_told():
    peer = without_weights(load_smp().DeepLabV3Plus, "resnet18", encoder_weights=None, classes=2)
    for told, expected in ((None, 16), (8, 8)):
        made = convert(peer.state_dict(), "smp", told)
        assert made.description == {
            "call": "dlseg.models.smp_deeplabv3plus",
            "arguments": {"backbone": "resnet18", "num_classes": 2, "output_stride": expected},
            "num_classes": 2,
        }


def test_what_is_known_of_none_is_refused():
    with pytest.raises(ValueError, match="source must be one of torchvision, smp, transformers"):
        convert({}, "keras")
    with pytest.raises(ValueError, match=r"no network of smp .* there is no classifier"):
        convert({"conv.weight": torch.zeros(1)}, "smp")
    peer = without_weights(load_smp().DeepLabV3Plus, "resnet18", encoder_weights=None, classes=2)
    state = dict(peer.state_dict())
    del state["decoder.block1.0.weight"]
    words = re.escape("1 missing: decoder.project.0.weight")
    with pytest.raises(ValueError, match=words):
        convert(state, "smp")
    unet = without_weights(load_smp().Unet, "resnet18", encoder_weights=None, classes=2)
    with pytest.raises(ValueError, match=r"missing.*unexpected"):
        convert(unet.state_dict(), "smp")
