"""Checkpoints of any network: of a call, of a module of one's own, of an encoder of timm."""

import sys
from pkgutil import resolve_name

import pytest
import torch

from dlseg.doors import main_tensor
from dlseg.models import DeepLabV3Plus, Guest, build_model, describe, described
from dlseg.training import (
    CheckpointError,
    load_checkpoint,
    load_network,
    save_checkpoint,
    save_network,
    train,
)
from tests.models.test_calls import own  # noqa: F401, a fixture
from tests.peers import load_smp, load_timm, load_torchvision
from tests.training.toys import Blocks, blank, tiny

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def of_a_call(tmp_path_factory):
    """A network by its class and arguments, and its checkpoint."""
    path = tmp_path_factory.mktemp("call") / "net.pt"
    torch.manual_seed(0)
    model, description = described(
        *(DeepLabV3Plus, "resnet18", 3), width=0.125, channels=16, atrous_rates=(2, 4, 6)
    )
    save_network(path, model.eval(), description)
    return model, path


def test_a_class_with_arguments(of_a_call):
    model, path = of_a_call
    again, entries = load_network(path)
    assert entries["model"]["arguments"]["channels"] == 16 and not again.training
    with torch.no_grad():
        assert torch.equal(again(IMAGES), model(IMAGES))
    dense, _ = load_network(path, output_stride=8)
    assert (again.output_stride, dense.output_stride) == (16, 8)
    assert [conv[0].dilation[0] for conv in dense.aspp.convs[1:4]] == [4, 8, 12]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("channels", 10**6, "larger than the weights in the file"),
        ("atrous_rates", [2] * 50_000, "larger than the weights in the file"),
        ("backbone", "resnet34", "weights are not those of model, .*missing: backbone.layer1.2"),
        ("channels", 8, "weights are not those of model, dlseg.models.DeepLabV3Plus of 3 classes"),
        ("odd", 1, "no network can be as model says"),
        ("num_classes", 4, "the model has 4 classes and the data set 3"),
        ("weights", "imagenet", "model.arguments.weights must be None"),
    ],
)
def test_a_call_that_makes_another_network(of_a_call, tmp_path, name, value, words):
    """It is refused before it takes memory, and nothing is fetched for it."""
    _, path = of_a_call
    entries = load_checkpoint(path)
    entries["model"]["arguments"][name] = value
    torch.save(entries, tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match=words):
        load_network(tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"call": ""}, "model.call must be a text of one line"),
        ({"arguments": [1]}, "model.arguments must be a table"),
        ({"arguments": {"a": b"x"}}, "model.arguments.a must be a number, a text"),
        ({"arguments": {1: 2}}, "a key of model.arguments must be a text"),
        ({"num_classes": 0}, "model.num_classes must be an integer from 1"),
        ({"more": 1}, "model.more is unknown"),
    ],
)
def test_damage_of_a_call_is_told_by_name(of_a_call, tmp_path, changes, words):
    _, path = of_a_call
    entries = load_checkpoint(path)
    entries["model"] |= changes
    torch.save(entries, tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(tmp_path / "net.pt")


def test_a_network_of_ones_own(own, tmp_path):  # noqa: F811
    """Trained, then in another process: not imported unless it is trusted, and then the same."""
    model, description = described(resolve_name(f"{own}.Net"), channels=5)
    train(model, Blocks(), tiny(iterations=1), folder=tmp_path / "run", description=description)
    path = tmp_path / "run" / "last.pt"
    del sys.modules[own]
    (tmp_path / "imported").unlink()
    with pytest.raises(ValueError, match=rf"{path}: the network is made by {own}.Net, which is"):
        load_network(path)
    assert own not in sys.modules and not (tmp_path / "imported").exists()
    guest, entries = load_network(path, trust_imports=True)
    assert isinstance(guest, Guest) and guest.num_classes == 3 and not guest.training
    assert entries["model"]["arguments"] == {"channels": 5, "weights": None}
    with torch.no_grad():
        assert torch.equal(guest(IMAGES), model(IMAGES)["out"])
    with pytest.raises(ValueError, match=r"the output stride of .* is of its own arguments"):
        load_network(path, output_stride=8, trust_imports=True)
    entries["weights"].pop("head.bias")
    entries["weights"]["odd"] = torch.zeros(1)
    save_checkpoint(path, entries)
    with pytest.raises(ValueError, match=r"1 missing: head.bias; 1 unexpected: odd"):
        load_network(path, trust_imports=True)


def test_networks_of_other_programs(tmp_path):
    """The logits are theirs, on an image of a size that they refuse too."""
    smp, segmentation = load_smp(), load_torchvision().models.segmentation
    options = {"encoder_weights": None, "classes": 3}
    torch.manual_seed(0)
    for model, description in (
        described(smp.DeepLabV3Plus, "resnet18", **options),
        described(segmentation.lraspp_mobilenet_v3_large, num_classes=3, weights_backbone=None),
    ):
        save_network(tmp_path / "net.pt", model, description, ["a", "b", "c"])
        guest, entries = load_network(tmp_path / "net.pt", trust_imports=True)
        assert entries["extra"] == {"classes": ["a", "b", "c"]}
        with torch.no_grad():
            theirs = model.eval()(IMAGES)
            assert torch.equal(guest(IMAGES), main_tensor(theirs))
            assert guest(IMAGES[:, :, :51, :50]).shape == (2, 3, 51, 50)


def test_an_encoder_of_timm(tmp_path):
    load_timm()
    description = describe("fcn-timm:test_convnext", 3, 16)
    torch.manual_seed(0)
    model = build_model(description).eval()
    save_network(tmp_path / "net.pt", model, description)
    again, _ = load_network(tmp_path / "net.pt")
    with torch.no_grad():
        assert torch.equal(again(IMAGES[:1]), model(IMAGES[:1]))
    entries = load_checkpoint(tmp_path / "net.pt")
    for changes, words in (
        ({"num_classes": 4}, "weights are not those of model, fcn-timm:test_convnext of 4 classes"),
        ({"network": "fcn-timm:test_resnet"}, "weights are not those of model"),
        ({"network": "fcn-timm:hf-hub:a/b"}, "no network can be as model says .*has no 'hf-hub"),
    ):
        save_checkpoint(tmp_path / "other.pt", entries | {"model": description | changes})
        with pytest.raises(CheckpointError, match=words):
            load_network(tmp_path / "other.pt")


def test_what_is_saved_is_looked_at(tmp_path):
    model, description = build_model(describe("fcn-resnet18", 3, 32, 0.05)), describe("unet", 3)
    with pytest.raises(CheckpointError, match=r"model.network must be a network: no network is"):
        save_network(tmp_path / "net.pt", model, description)
    with pytest.raises(CheckpointError, match=r"extra.classes must be 3 names, as model.num_cl"):
        save_network(tmp_path / "net.pt", model, describe("fcn-resnet18", 3), ["a"])
    assert not (tmp_path / "net.pt").exists()


def test_a_checkpoint_without_description_says_what_to_do(tmp_path):
    save_checkpoint(tmp_path / "net.pt", blank(weights={"w": torch.zeros(1)}))
    with pytest.raises(CheckpointError, match=r"train with a description: see `dlseg.models.descr"):
        load_network(tmp_path / "net.pt")
