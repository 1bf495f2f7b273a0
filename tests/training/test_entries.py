"""Every entry of a checkpoint, damaged in many ways, is refused by its name before it is used."""

import copy
import zipfile
from collections import OrderedDict

import pytest
import torch

from dlseg.models import build_model, describe
from dlseg.schema import Unfit
from dlseg.training import (
    CheckpointError,
    Recipe,
    load_checkpoint,
    load_network,
    save_checkpoint,
    train,
)
from dlseg.training.entries import check_entries
from dlseg.training.recipe import CHECKS, LATER
from tests.training.toys import Blocks, Net, blank, tiny

RECIPE = tiny(iterations=3, optimiser="adamw")
WEIGHT = "backbone.conv1.weight"
STATE = ("optimiser", "state", 0)
CLOSED = [("recipe",), ("model",), ("optimiser",), ("scaler",), ("weights",), STATE]
BN = "backbone.bn1.running_mean"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The entries of a true checkpoint; its model is not described truly, for it has no name."""
    folder = tmp_path_factory.mktemp("run")
    extra = {"data": "scenes", "split": "train", "classes": ["a", "b", "c"], "seconds": 1.5}
    extra["palette"] = Blocks.palette.tolist()
    options = {"extra": extra, "validate": lambda: {"mean IoU": 0.5}, "validate_every": 1}
    train(Net(), Blocks(), RECIPE, folder=folder, **options)
    entries = torch.load(folder / "last.pt", weights_only=True)
    return entries | {"model": describe("fcn-resnet18", 3, 8, 0.25, 16, (2, 4))}


def holder(entries: dict, path: tuple):
    for name in path[:-1]:
        entries = entries[name]
    return entries


TOP = sorted(blank())
PATHS = [
    ("version",),
    *((name,) for name in TOP),
    *(("recipe", name) for name in CHECKS),
    *(("model", name) for name in describe("", 1, channels=1, atrous_rates=())),
    ("model", "atrous_rates", 1),
    *(("extra", name) for name in ("data", "split", "classes", "palette")),
    ("extra", "classes", 1),
    ("extra", "palette", 7),
    ("extra", "palette", 7, 2),
    ("weights", WEIGHT),
    ("losses", 1),
    ("metrics", 2),
    ("metrics", 2, "mean IoU"),
    ("optimiser", "state"),
    STATE,
    *((*STATE, name) for name in ("step", "exp_avg", "exp_avg_sq")),
    ("optimiser", "param_groups"),
    ("optimiser", "param_groups", 0),
    ("optimiser", "param_groups", 0, "params"),
    ("optimiser", "param_groups", 0, "params", 0),
]
DAMAGES = {
    "bytes": lambda value: b"odd",
    "None": lambda value: None,
    "NaN": lambda value: float("nan"),
    "infinite": lambda value: float("inf"),
    "huge": lambda value: 10**400,
    "negative": lambda value: -1,
    "text": lambda value: "two\nlines",
    "nested": lambda value: [value],
    "in a table": lambda value: {"x": value},
    "complex": lambda value: 1j,
    "a tensor": lambda value: torch.tensor([1, 1]),
    "complex tensor": lambda value: torch.zeros(2, dtype=torch.complex64),
}
# What looks like damage and is not.
ALLOWED = {
    (("model",), "None"),
    (("recipe", "head_bias_multiplier"), "None"),
    (("losses", 1), "negative"),
    (("extra",), "in a table"),
    (("metrics", 2, "mean IoU"), "NaN"),
    (("metrics", 2, "mean IoU"), "infinite"),
}
MAY_LACK = {("metrics", 2, "mean IoU"), *(("recipe", name) for name in LATER)}
MAY_LACK |= {("extra", name) for name in ("data", "split", "classes", "palette")}
MAY_LACK |= {("model", "channels"), ("model", "atrous_rates")}


def spelt(path: tuple) -> str:
    return ".".join(map(str, path))


def refusal(entries: dict, folder) -> str:
    """The message with which reading it, or going on from it, is refused; "" if neither is."""
    torch.save(entries, folder / "last.pt")
    try:
        load_checkpoint(folder / "last.pt")
        train(Net(), Blocks(), RECIPE, folder=folder, resume=True)
    except (CheckpointError, ValueError) as error:  # the second for other weights or recipes
        return str(error)
    return ""


@pytest.mark.parametrize("path", PATHS, ids=spelt)
def test_damage_is_refused_by_name(tmp_path, good, path):
    entries = copy.deepcopy(good)
    place, name = holder(entries, path), path[-1]
    value = place[name]
    for kind, damage in DAMAGES.items():
        place[name] = damage(value)
        message = refusal(entries, tmp_path)
        if (path, kind) in ALLOWED:
            assert message == "", kind
        else:
            assert str(tmp_path / "last.pt") in message and "\n" not in message, kind
            assert path[0] in message and len(message) < 1500, kind
            assert type(name) is int or name in message, kind


@pytest.mark.parametrize("path", [path for path in PATHS if type(path[-1]) is str], ids=spelt)
def test_what_is_missing_is_named(tmp_path, good, path):
    entries = copy.deepcopy(good)
    del holder(entries, path)[path[-1]]
    if path == ("recipe", "optimiser"):  # then it was the only one there was
        assert Recipe(**entries["recipe"]).optimiser == "sgd"
        return
    message = refusal(entries, tmp_path)
    assert (message == "") == (path in MAY_LACK)
    assert path in MAY_LACK or path == ("version",) or path[-1] in message


@pytest.mark.parametrize("path", [(), *CLOSED], ids=spelt)
def test_what_is_too_much_is_named(tmp_path, good, path):
    entries = copy.deepcopy(good)
    (entries if path == () else holder(entries, path)[path[-1]])["too_much"] = 1
    assert "too_much" in refusal(entries, tmp_path)


@pytest.mark.parametrize(
    ("path", "least", "most"),
    [
        (("extra", "palette", 7, 2), 0, 255),
        (("model", "num_classes"), 1, 10**12),
        (("model", "width"), 1e-3, 1e3),
        (("model", "channels"), 1, 10**12),
        (("model", "atrous_rates", 1), 1, 10**12),
    ],
    ids=lambda value: spelt(value) if type(value) is tuple else None,
)
def test_the_bounds_belong_to_what_may_be(good, path, least, most):
    entries = copy.deepcopy(good)
    entries["extra"].pop("classes")  # or there must be as many as classes of the model
    place, step = holder(entries, path), least if type(least) is float else 1
    for value in (least, most):
        place[path[-1]] = value
        assert holder(check_entries(entries), path)[path[-1]] == value
    for value in (least - step, most + step):
        place[path[-1]] = value
        with pytest.raises(Unfit, match=f"{path[-1]}.* must be"):
            check_entries(entries)


def test_numbers_that_do_not_agree(tmp_path, good):
    recipe = good["recipe"]
    for changes, words in (
        ({"iteration": 2}, "losses must be one for each iteration, 2, got 3"),
        ({"iteration": 4, "losses": [0.1] * 4}, "iteration must be at most recipe.iterations, 3"),
        ({"metrics": {9: {}}}, "a key of metrics must be at most iteration, 3, got 9"),
        ({"extra": {"classes": ["a"]}}, "extra.classes must be 3 names, as model.num_classes"),
        ({"recipe": recipe | {"scale": [2.0, 1.0]}}, "recipe.scale must be two factors"),
    ):
        assert words in refusal(good | changes, tmp_path)


def circle() -> list:
    inner: list = []
    inner.append(inner)
    return inner


def laughs() -> list:
    """A list of ten of the same list, and so on: few bytes, 10^12 entries."""
    inner: list = [0]
    for _ in range(12):
        inner = [inner] * 10
    return inner


@pytest.mark.parametrize("make", [circle, laughs])
def test_endless_lists_have_an_end(tmp_path, good, make):
    message = refusal(good | {"extra": {"more": make()}}, tmp_path)
    assert "is more than 20 levels or 100000 entries" in message


def test_tensors_that_claim_more_than_they_hold(tmp_path, good):
    wide = torch.zeros(1).expand(10**12)
    message = refusal(good | {"weights": good["weights"] | {WEIGHT: wide}}, tmp_path)
    assert f"weights.{WEIGHT} has the shape (1000000000000,) and not as many numbers" in message
    twice = torch.zeros(2).expand(2, 2)
    message = refusal(good | {"weights": good["weights"] | {WEIGHT: twice}}, tmp_path)
    assert f"weights.{WEIGHT} has the shape (2, 2) and not as many numbers" in message
    message = refusal(good | {"weights": {WEIGHT: torch.zeros(2, 2).to_sparse()}}, tmp_path)
    assert f"weights.{WEIGHT} must be a tensor of real numbers" in message


def test_what_an_ordered_dict_hides(tmp_path, good):
    weights = OrderedDict(good["weights"])
    weights.__dict__.update(keys=5, _metadata=5)
    assert refusal(good | {"weights": weights}, tmp_path) == ""


NAN = torch.full((3, 8, 1, 1), float("nan"))


def test_weights_that_are_no_numbers_are_neither_read_nor_written(tmp_path, good):
    bad = good | {"weights": good["weights"] | {"classifier.weight": NAN}}
    words = "weights.classifier.weight holds 24 of 24 values that are NaN or infinite"
    assert words in refusal(bad, tmp_path)
    with pytest.raises(CheckpointError, match=words):
        save_checkpoint(tmp_path / "new" / "last.pt", bad)
    assert not (tmp_path / "new").exists()


def described(**changes) -> dict:
    model = describe("fcn-resnet18", 3, 32, 0.125)
    return blank(model=model | changes, weights=build_model(model).state_dict())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_classes": 10**12}, "num_classes must be an integer <= 4096, got 1000000000000"),
        ({"width": 90.0}, "larger than the weights in the file"),
        ({"network": "fcn-resnet34"}, "larger than the weights in the file"),
        ({"width": 0.1}, "weights are not those of model"),
        ({"network": "deeplabv2-resnet18"}, "no network can be as model says (output_stride"),
    ],
)
def test_a_description_of_another_network(tmp_path, changes, words):
    """It is built without memory first, or the first two would take it all."""
    save_checkpoint(tmp_path / "last.pt", described(**changes))
    with pytest.raises(CheckpointError) as caught:
        load_network(tmp_path / "last.pt")
    assert words in str(caught.value) and "take an older copy" in str(caught.value)


def test_a_state_dict_that_does_not_fit_says_how(tmp_path):
    entries = described()
    del entries["weights"][BN]
    entries["weights"]["odd"] = torch.zeros(1)
    save_checkpoint(tmp_path / "last.pt", entries)
    with pytest.raises(CheckpointError) as caught:
        load_network(tmp_path / "last.pt")
    assert f"1 missing: {BN}; 1 unexpected: odd; take" in str(caught.value)


def test_a_compressed_checkpoint_is_not_unpacked(tmp_path, good):
    """Or a small file could fill the memory."""
    torch.save(good, tmp_path / "stored.pt")
    stored, packed = zipfile.ZipFile(tmp_path / "stored.pt"), tmp_path / "last.pt"
    with stored, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for part in stored.namelist():
            file.writestr(part, stored.read(part))
    with pytest.raises(CheckpointError, match="its parts are larger than the file"):
        load_checkpoint(packed)
