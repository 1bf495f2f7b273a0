"""Weights for a network that is there: all of a file, or what fits, and what does not by name."""

import re

import pytest
import torch
from torch import nn

from dlseg.models import build_model, describe
from dlseg.training import CheckpointError, load_state, load_weights, save_checkpoint
from tests.training.toys import Net, blank, weights


class Head(nn.Module):
    """Of `classes` classes, its layers by the names of a dict."""

    def __init__(self, classes: int, **layers: nn.Module):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.classifier = nn.Conv2d(4, classes, 1)
        for name, layer in layers.items():
            self.add_module(name, layer)


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = Head(21, old=nn.Conv2d(1, 1, 1))
    torch.save(model.state_dict(), tmp_path / "net.pth")
    return tmp_path / "net.pth", model


def test_other_classes_keep_all_but_the_classifier(saved):
    path, trained = saved
    model = Head(3, new=nn.Conv2d(2, 2, 1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    taken = load_weights(model, path, partial=True)
    assert len(taken.kept) == 2 and taken.begun == ("classifier", "new")
    assert taken.left == ("classifier", "old")
    for name, value in model.state_dict().items():
        expected = trained.state_dict()[name] if name.startswith("body.") else before[name]
        assert torch.equal(value, expected), name
    words = f"2 of 4 layers start from {path} (a state dict); begun anew: classifier, new"
    assert str(taken) == f"{words}; left in the file 2: classifier, old"


def test_a_layer_is_taken_whole_or_not_at_all(saved):
    """The bias would fit where the kernel has another size."""
    path, _ = saved
    model = Head(21)
    model.classifier = nn.Conv2d(4, 21, 3)
    bias = model.classifier.bias.detach().clone()
    assert load_weights(model, path, partial=True).begun == ("classifier",)
    assert torch.equal(model.classifier.bias, bias)


def test_all_of_it(saved):
    path, trained = saved
    model = Head(21, old=nn.Conv2d(1, 1, 1))
    for partial in (True, False):
        taken = load_weights(model, path, partial)
        assert taken.begun == taken.left == () and "all are kept" in str(taken)
    assert torch.equal(weights(model), weights(trained))


def test_what_does_not_fit_is_counted_and_the_model_kept(saved):
    path, _ = saved
    for model, partial in ((Head(3, new=nn.Conv2d(2, 2, 1)), False), (nn.Linear(2, 2), True)):
        before = weights(model)
        with pytest.raises(ValueError, match="do not fit this network") as caught:
            load_weights(model, path, partial)
        assert torch.equal(weights(model), before)
    assert "2 missing: weight, bias; 11 unexpected: body.0.weight, " in str(caught.value)
    with pytest.raises(ValueError) as caught:
        load_weights(Head(3, new=nn.Conv2d(2, 2, 1)), path)
    shape = "classifier.weight is (21, 4, 1, 1) in the file and (3, 4, 1, 1) in the model"
    for words in (
        f"2 of another shape: {shape}, classifier.bias is (21,) in the file and (3,) in the model",
        "2 missing: new.weight, new.bias; 2 unexpected: old.weight, old.bias",
    ):
        assert words in str(caught.value)


def place(name: str):
    return lambda state: {name: state, "epoch": 3}


@pytest.mark.parametrize(
    ("wrap", "words"),
    [
        (lambda state: state, "a state dict"),
        (place("state_dict"), "a state dict under 'state_dict'"),
        (place("model_state"), "a state dict under 'model_state'"),
        (place("model"), "a state dict under 'model'"),
        (
            lambda state: {f"module.{name}": value for name, value in state.items()},
            "a state dict, its names without 'module.'",
        ),
        (lambda state: blank(version=1, weights=dict(state)), "a checkpoint of dlseg"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_where_programs_keep_a_state_dict(tmp_path, wrap, words, zipped):
    state = Net().state_dict()
    content = wrap(state)
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    found, said = load_state(tmp_path / "x.pth")
    assert said == words and found.keys() == state.keys()
    model = Net(seed=1)
    assert words in str(load_weights(model, tmp_path / "x.pth"))
    assert torch.equal(weights(model), weights(Net()))


def test_safetensors(tmp_path):
    file = pytest.importorskip("safetensors.torch")
    file.save_file(Net().state_dict(), tmp_path / "x.safetensors")
    model = Net(seed=1)
    load_weights(model, tmp_path / "x.safetensors")
    assert torch.equal(weights(model), weights(Net()))
    (tmp_path / "bad.safetensors").write_bytes(b"no such file")
    with pytest.raises(CheckpointError, match="damaged, or no file of safetensors"):
        load_state(tmp_path / "bad.safetensors")
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_state(tmp_path / "none.safetensors")


def test_safetensors_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    (tmp_path / "x.safetensors").write_bytes(b"x")
    with pytest.raises(ModuleNotFoundError, match=r"safetensors is not .*run: pip install safet"):
        load_state(tmp_path / "x.safetensors")


def test_the_checkpoint_of_dlseg_is_named(tmp_path):
    description = describe("fcn-resnet18", 3, 32, 0.125)
    entries = blank(model=description, weights=build_model(description).state_dict())
    save_checkpoint(tmp_path / "last.pt", entries)
    model = build_model(describe("fcn-resnet18", 5, 32, 0.125))
    taken = load_weights(model, tmp_path / "last.pt", partial=True)
    assert "(a checkpoint of dlseg, fcn-resnet18 of 3 classes)" in taken.source
    assert taken.begun == taken.left == ("classifier",)


def test_what_holds_no_weights_is_refused(tmp_path):
    for content, words in (
        ({"epoch": 3}, "no state dict is in it, alone or as one of state_dict, model_state"),
        ([torch.zeros(1)], "no state dict is in it"),
        ({"state_dict": {"a": 1}}, "no state dict is in it"),
        ({"a": torch.zeros(1), "b": 2}, "weights.b must be a tensor, got 2"),
        ({"a": torch.full((2,), torch.nan)}, "weights.a holds 2 of 2 values that are NaN"),
    ):
        torch.save(content, tmp_path / "x.pth")
        with pytest.raises(CheckpointError, match=re.escape(words)):
            load_state(tmp_path / "x.pth")
