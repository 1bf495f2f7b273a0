"""`--weights`: every layer that fits is kept and the others are named; none is an error."""

from pathlib import Path

import pytest
import torch

from dlseg import models
from dlseg.backbones import ResNet
from dlseg.checks import CommandError
from dlseg.commands import start
from dlseg.commands.start import start_from
from dlseg.models import DeepLabV3, build_model, describe
from dlseg.training import CheckpointError, take_fitting
from tests.commands.checkpoints import write_checkpoint
from tests.training.toys import Net


def network(num_classes: int = 4, name: str = "fcn-resnet18", seed: int = 1, width: float = 0.125):
    torch.manual_seed(seed)
    return build_model(describe(name, num_classes, 32, width))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def same(model, state, inside: str = "") -> set[str]:
    """The names of which a model has the values of a state dict."""
    return {
        name
        for name, value in model.state_dict().items()
        if name.startswith(inside)
        and name.removeprefix(inside) in state
        and torch.equal(value, state[name.removeprefix(inside)])
    }


def test_a_checkpoint_of_other_classes_gives_all_but_the_classifier():
    path = write_checkpoint(Path("last.pt"))  # of 10 classes
    state = torch.load(path, weights_only=True)["weights"]
    model = network()
    words = str(start_from(model, str(path)))
    assert same(model, state) == {name for name in state if not name.startswith("classifier.")}
    source = "last.pt (a checkpoint of dlseg, fcn-resnet18 of 10 classes)"
    assert f"layers start from {source}; begun anew: classifier; left in the file 1: " in words
    kept, everything = map(int, words.partition(" layers")[0].split(" of "))
    assert everything == kept + 1 == len({name.rpartition(".")[0] for name in state})
    again = network(10)
    assert str(start_from(again, str(path))).endswith(f"layers start from {source}; all are kept")
    assert same(again, state) == set(state)


def test_what_is_begun_anew_stays_as_it_was():
    path, model = write_checkpoint(Path("last.pt")), network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    start_from(model, str(path))
    assert {"classifier.weight", "classifier.bias"} <= same(model, before)


def test_another_head_on_the_same_backbone():
    path, model = write_checkpoint(Path("last.pt")), network(name="deeplabv3plus-resnet18")
    words = str(start_from(model, str(path)))
    assert "begun anew: aspp (all " in words and ", decoder (all " in words
    state = torch.load(path, weights_only=True)["weights"]
    assert {name for name in state if name.startswith("backbone.")} <= same(model, state)


@pytest.mark.parametrize("prefix", ["", "imagenet:"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_plain_file_of_a_backbone(prefix, zipped):
    """As torchvision's: its names without "backbone.", and a head for 1000 classes."""
    torch.manual_seed(3)
    state = ResNet(depth=18, width=0.125).state_dict() | {"fc.weight": torch.ones(1000, 64)}
    torch.save(state, "resnet.pth", _use_new_zipfile_serialization=zipped)
    model = network()
    words = str(start_from(model, f"{prefix}resnet.pth"))
    assert same(model, state, "backbone.") == {f"backbone.{n}" for n in state if n != "fc.weight"}
    assert "begun anew: classifier" in words


def test_a_plain_file_of_a_whole_network():
    state = network(seed=5).state_dict()
    torch.save(state, "mine.pth")
    model = network()
    start_from(model, "mine.pth")
    assert same(model, state) == set(state)


def test_a_layer_is_kept_whole_or_not_at_all():
    """The classifier's bias alone would fit here."""
    trained, model = Net(seed=1), Net(seed=2)
    trained.classifier = torch.nn.Conv2d(16, 3, 1)
    before = model.classifier.bias.clone()
    taken = take_fitting(model, trained.state_dict(), "a toy")
    assert taken.begun == ("classifier",) and len(taken.kept) == 3
    assert torch.equal(model.classifier.bias, before)


def test_files_without_the_counter_of_batches():
    state = {n: v for n, v in network(seed=5).state_dict().items() if not n.endswith("_tracked")}
    taken = take_fitting(network(), state, "a file")
    assert taken.kept and not taken.begun


def test_what_fits_nothing():
    write_checkpoint(Path("last.pt"))
    for model in (network(width=0.25), Net()):
        before = {name: value.clone() for name, value in model.state_dict().items()}
        with pytest.raises(CommandError, match=r"of last\.pt .* do not fit this network, not one"):
            start_from(model, "last.pt")
        assert same(model, before) == set(before)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no checkpoint odd"),
        ("text", "odd is no good checkpoint: it is damaged, or no file that PyTorch wrote"),
        ([1, 2], "odd: no state dict is in it"),
        ({"a": torch.tensor([float("nan")])}, "odd: weights.a holds 1 of 1 values"),
    ],
    ids=str,
)
def test_a_file_of_anything_else(content, words):
    if content == "text":
        Path("odd").write_text(content)
    elif content is not None:
        torch.save(content, "odd")
    with pytest.raises(CheckpointError, match=words):
        start_from(network(), "odd")


def test_a_released_network_by_name(monkeypatch):
    """Without its file: what stands for it has the same layers."""
    torch.manual_seed(7)
    theirs = DeepLabV3("mobilenetv2", 21, output_stride=16, atrous_rates=()).state_dict()
    monkeypatch.setattr(start, "released_weights", lambda name: theirs)
    model = network(11, "deeplabv3-mobilenetv2", width=1.0)
    assert "deeplabv3-mobilenetv2-voc" in models.RELEASED
    words = str(start_from(model, "deeplabv3-mobilenetv2-voc"))
    assert "; begun anew: classifier.1; left in" in words
    assert len(same(model, theirs)) == len(theirs) - 2
