"""Networks by name: the papers' layers, every parameter taught, loaded at another output stride."""

import json

import pytest
import torch
from torch import nn

from dlseg.models import at_output_stride
from dlseg.training import (
    NETWORKS,
    CheckpointError,
    build_model,
    describe,
    load_network,
    load_weights,
    save_checkpoint,
    segmentation_loss,
)
from dlseg.training.checkpoint import ENTRIES
from dlseg.training.losses import ScoreMaps
from tests.backbones.counting import parameters, without_weights
from tests.peers import randomise

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
LABELS = torch.randint(0, 3, (2, 64, 64), generator=torch.Generator().manual_seed(1))


def small(network: str, output_stride: int = 8) -> nn.Module:
    """The network with an eighth of its channels and three classes, as if it had been trained."""
    torch.manual_seed(0)
    model = build_model(describe(network, 3, output_stride, 0.125))
    randomise(model)
    return model


def rates(module: nn.Module) -> list[int]:
    """Those of its convolutions of 3 x 3, in order; 1 where there is no hole."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    return [layer.dilation[0] for layer in layers if layer.kernel_size == (3, 3)]


def gradient(parameter: nn.Parameter) -> bool:
    """Whether it has one, and not 0 alone."""
    return parameter.grad is not None and bool(parameter.grad.any())


def write(path, network: str, output_stride: int):
    """A checkpoint of `small`; returns the model."""
    model = small(network, output_stride)
    described = {"model": describe(network, 3, output_stride, 0.125), "extra": {}}
    save_checkpoint(path, dict.fromkeys(ENTRIES) | described | {"weights": model.state_dict()})
    return model


@pytest.mark.parametrize(
    ("network", "count"),
    [
        ("deeplabv1-vgg16", 20_505_429),
        ("deeplabv2-vgg16", 37_877_652),
        ("deeplabv2-resnet101", 44_048_532),
        ("deeplabv3-resnet50", 39_048_533),
        ("deeplabv3-resnet101", 58_040_661),
        ("deeplabv3-mobilenetv2", 2_113_557),
        ("deeplabv3plus-resnet101", 59_344_309),
        ("deeplabv3plus-xception65", 41_055_413),
    ],
)
def test_names_stand_for_the_networks_of_the_papers(network, count):
    assert parameters(without_weights(build_model, describe(network, 21))) == count


def coarse_side(network: str) -> int:
    """Units along a side of the map of scores, of 64 pixels at output stride 8."""
    if network.startswith("deeplabv3plus"):
        return 16  # the decoder's, at stride 4
    if network.startswith("deeplabv2-resnet"):
        return 9  # Caffe's pool rounds up
    return 5 if network.startswith("fcn-vgg") else 8  # VGG's pools have no padding


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_teaches_all_its_parameters(network):
    """A parameter without a gradient would stay as it is, and stop several processes."""
    model = small(network).train()
    for loss, side in (("upsampled", 64), ("shrunk", coarse_side(network))):
        model.zero_grad()
        maps = ScoreMaps(model, loss)(IMAGES)
        assert [tuple(scores.shape) for scores in maps] == [(2, 3, side, side)]
        segmentation_loss(maps, LABELS).backward()
        untaught = [name for name, p in model.named_parameters() if not gradient(p)]
        assert not untaught
    inside = {id(parameter) for parameter in model.backbone.parameters()}
    assert inside < {id(parameter) for parameter in model.parameters()}
    assert (model.num_classes, model.output_stride) == (3, 8)


def test_descriptions_are_plain_and_unchanged():
    for network in NETWORKS:
        description = describe(network, 3, 8, 0.125)
        assert json.loads(json.dumps(description)) == description
        build_model(description)
        assert description == describe(network, 3, 8, 0.125)


def test_rates_are_those_of_the_papers():
    v3, plus = (small(f"{family}-resnet50", 16) for family in ("deeplabv3", "deeplabv3plus"))
    for model, aspp in ((v3, v3.classifier), (plus, plus.aspp)):
        assert rates(model.backbone.layer4) == [2, 4, 8]  # multi-grid (1, 2, 4)
        assert rates(aspp) == [6, 12, 18]
    assert rates(small("deeplabv3-resnet18", 16).backbone.layer4) == [1, 2, 2, 2]
    assert rates(small("deeplabv2-resnet18").aspp) == [6, 12, 18, 24]
    assert small("deeplabv1-vgg16").fc6.dilation == (12, 12)
    assert rates(small("deeplabv3-mobilenetv2").classifier) == []
    assert rates(small("deeplabv3plus-mobilenetv2", 16).aspp) == [6, 12, 18]


def test_width_narrows_the_head_too():
    wide, narrow = (build_model(describe("deeplabv3plus-resnet18", 3, 16, w)) for w in (1, 0.25))
    for part in ("aspp", "decoder", "backbone"):
        ratio = parameters(getattr(wide, part)) / parameters(getattr(narrow, part))
        assert 14 < ratio < 17, part  # as the square of the channels
    assert narrow.decoder.project[0].out_channels == 16  # 48 / 4 as a multiple of 8


@pytest.mark.parametrize("network", ["deeplabv3-resnet50", "deeplabv3plus-mobilenetv2"])
def test_trained_at_16_evaluated_at_8(network, tmp_path):
    coarse = write(tmp_path / "last.pt", network, 16)
    dense, entries = load_network(tmp_path / "last.pt", output_stride=8)
    assert entries["model"]["output_stride"] == 16
    assert (dense.output_stride, dense.training) == (8, False)
    head, before = (m.classifier if "plus" not in network else m.aspp for m in (dense, coarse))
    assert rates(head) == [2 * rate for rate in rates(before)] == [12, 24, 36]
    expected = at_output_stride(coarse, lambda stride: small(network, stride), 8)
    with torch.no_grad():
        assert torch.equal(dense(IMAGES), expected(IMAGES))
        again, _ = load_network(tmp_path / "last.pt")
        assert torch.equal(again(IMAGES), coarse(IMAGES))
        assert not torch.allclose(dense(IMAGES), coarse(IMAGES), rtol=0.01)


@pytest.mark.parametrize("network", ["deeplabv1-vgg16_bn", "deeplabv2-resnet18"])
def test_v1_and_v2_have_one_output_stride(network, tmp_path):
    words = f"output_stride must be 8 with {network}, got 16; another can be chosen for fcn"
    with pytest.raises(ValueError, match=words):
        build_model(describe(network, 3, 16))
    model = write(tmp_path / "last.pt", network, 8)
    with pytest.raises(ValueError, match=words):
        load_network(tmp_path / "last.pt", output_stride=16)
    for stride in (None, 8):
        again, _ = load_network(tmp_path / "last.pt", stride)
        with torch.no_grad():
            assert torch.equal(again(IMAGES), model(IMAGES))


def test_a_name_that_does_not_exist_is_told_all_that_do():
    for name in ("unet", "deeplabv1-resnet18", "deeplabv3-vgg16", "fcn"):
        with pytest.raises(ValueError, match=f"no network is called '{name}'; there are fcn-") as e:
            build_model(describe(name, 3))
    told = str(e.value)
    assert "deeplabv1-{vgg16,vgg16_bn}, deeplabv2-{vgg16,vgg16_bn,resnet18," in told


@pytest.mark.parametrize(
    ("network", "changes", "words"),
    [
        ("deeplabv3-resnet50", {"output_stride": 12}, "output_stride must be"),
        ("deeplabv3plus-resnet18", {"num_classes": 0}, "num_classes must be an integer >= 1"),
        ("deeplabv1-vgg16", {"width": 0}, "width must be a number above 0, got 0"),
    ],
)
def test_a_senseless_description(network, changes, words):
    with pytest.raises(ValueError, match=words):
        build_model(describe(network, 3) | changes)


def test_published_weights_go_to_the_backbone(monkeypatch):
    """Each network asks for the file of its backbone, and for no other."""
    asked, rooms = [], ("resnet", "vgg", "mobilenetv2")
    for module in ("training.networks", *(f"backbones.{name}" for name in rooms)):
        monkeypatch.setattr(f"dlseg.{module}.load_into", lambda *given: asked.append(given))
    for network in NETWORKS:
        family, name = network.split("-")
        if name == "xception65" or (family == "deeplabv2" and name in ("resnet50", "resnet101")):
            continue
        model = without_weights(build_model, describe(network, 3), "imagenet")
        backbone, file = asked.pop()
        assert backbone is model.backbone and not asked
        assert file == {"mobilenetv2": "mobilenet_v2"}.get(name, name)


@pytest.mark.parametrize(
    ("network", "width", "weights", "words"),
    [
        ("deeplabv1-vgg16", 0.5, "imagenet", "published weights need width=1.0, got 0.5"),
        ("deeplabv3-resnet18", 0.5, "imagenet", "published weights need width=1.0, got 0.5"),
        ("deeplabv2-vgg16", 0.125, "coco", "width=1.0, got 0.125"),
        ("deeplabv2-vgg16", 1, "coco", "weights must be None or \"imagenet\", got 'coco'"),
        ("deeplabv3plus-xception65", 1, "imagenet", "no backbone 'xception65' with weights="),
        ("deeplabv2-resnet101", 1, "imagenet", "take deeplabv2-resnet34 or deeplabv3-resnet101"),
    ],
)
def test_weights_that_are_not_there(network, width, weights, words):
    with pytest.raises(ValueError, match=words):
        without_weights(build_model, describe(network, 3, 8, width), weights)


def test_weights_of_another_network_are_refused(tmp_path):
    write(tmp_path / "last.pt", "deeplabv3-resnet18", 16)
    model = small("deeplabv3plus-resnet18", 16)
    with pytest.raises(ValueError, match=r"do not fit this network: it holds.*deeplabv3-resnet18"):
        load_weights(model, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_weights(model, tmp_path / "none.pt")
    finer = small("deeplabv3-resnet18", 8)
    nn.init.zeros_(finer.classifier[1].weight)
    load_weights(finer, tmp_path / "last.pt")  # the weights do not depend on the stride
    assert finer.classifier[1].weight.any()
