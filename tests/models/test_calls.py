"""Networks described by the call that makes them, and what may be imported for it."""

import sys
from pkgutil import resolve_name

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlseg.models import (
    CALLS,
    FCN,
    DeepLabV3Plus,
    Guest,
    build_model,
    described,
    smp_deeplabv3plus,
    torchvision_deeplabv3,
)
from dlseg.models.calls import import_path
from tests.backbones.counting import without_weights
from tests.peers import load_smp, load_torchvision

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
# A module of somebody's; importing it leaves a file behind.
OWN = """
from pathlib import Path

import torch
from torch import nn

Path("imported").touch()


class Net(nn.Module):
    def __init__(self, channels=4, classes=3, weights=None):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Conv2d(3, channels, 3, 1, 1)
        self.head = nn.Conv2d(channels, 7 if weights == "seven" else classes, 1)

    def forward(self, x):
        return {"out": self.head(self.backbone(x).relu())}


class Silent(nn.Module):
    def __init__(self, side=1):
        super().__init__()
        self.head = nn.Conv2d(3, 5, side)

    def forward(self, x):
        return self.head(x)


def make(**options):
    return Net(**options)


def many(*channels):
    return Net(channels[0])


number = 5
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The name of a module in the current folder that has not been imported."""
    name = f"networks_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(OWN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def same(one: nn.Module, other: nn.Module) -> bool:
    shapes = [{k: v.shape for k, v in model.state_dict().items()} for model in (one, other)]
    return shapes[0] == shapes[1]


def test_a_network_of_this_package_comes_back():
    model, description = described(
        *(DeepLabV3Plus, "resnet18", 3), width=0.125, channels=16, atrous_rates=(2, 4, 6)
    )
    arguments = {"backbone": "resnet18", "num_classes": 3, "width": 0.125, "channels": 16}
    assert description == {
        "call": "dlseg.models.DeepLabV3Plus",
        "arguments": arguments | {"atrous_rates": [2, 4, 6], "weights": None},
        "num_classes": 3,
    }
    again = build_model(description)
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(again.eval()(IMAGES), model.eval()(IMAGES))
    assert [conv[0].dilation for conv in again.aspp.convs[1:4]] == [(2, 2), (4, 4), (6, 6)]


@pytest.mark.parametrize("call", sorted(CALLS))
def test_every_call_is_where_its_name_says(call):
    make = resolve_name(call)
    assert import_path(make) == call
    assert callable(make) and make.__module__.startswith("dlseg.models.")


def test_paths_are_the_short_ones():
    segmentation = load_torchvision().models.segmentation
    path = "torchvision.models.segmentation.deeplabv3_resnet50"
    assert import_path(segmentation.deeplabv3_resnet50) == path
    assert import_path(load_smp().DeepLabV3Plus) == "segmentation_models_pytorch.DeepLabV3Plus"


def test_what_cannot_be_imported_again_is_refused(monkeypatch):
    class Local(FCN):
        pass

    def function():
        return FCN("resnet18", width=0.05)

    for make in (Local, function, lambda: None):
        with pytest.raises(ValueError, match=r"at the top of a module.* put it into a file of its"):
            described(make)
    monkeypatch.setattr(FCN, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "FCN", FCN, raising=False)
    with pytest.raises(ValueError, match="top of a module"):
        described(FCN, "resnet18")


def test_arguments_are_plain(own):
    with pytest.raises(ValueError, match=r"keep the arguments of FCN: arguments.backbone must be"):
        described(FCN, FCN("resnet18", width=0.05).backbone, 3)
    with pytest.raises(ValueError, match="give the arguments of many by name"):
        described(resolve_name(f"{own}.many"), 4, 5)
    _, description = described(resolve_name(f"{own}.make"), channels=2, classes=4)
    assert description["arguments"] == {"channels": 2, "classes": 4}


def test_nothing_is_imported_unless_it_is_trusted(own, tmp_path):
    description = {"call": f"{own}.Net", "arguments": {"channels": 6}, "num_classes": 3}
    words = rf"made by {own}.Net, which is not of dlseg.*--trust-imports .*trust_imports=True"
    with pytest.raises(ValueError, match=words):
        build_model(description)
    assert own not in sys.modules and not (tmp_path / "imported").exists()
    model = build_model(description, trust_imports=True)
    assert type(model).__name__ == "Net" and model.backbone.out_channels == 6
    assert (tmp_path / "imported").exists()


def test_what_is_no_network_is_not_called(own, monkeypatch):
    for call, words in (
        ("os.mkdir", "is no network and no function that makes one"),
        ("pathlib.Path", "is no network"),
        (f"{own}.number", "is no network"),
        (f"{own}.Other", "cannot be imported .*install its package, or run where its file lies"),
        ("no_such_package.Net", "cannot be imported"),
        ("not a name", "cannot be imported"),
    ):
        with pytest.raises(ValueError, match=words):
            build_model({"call": call, "arguments": {}, "num_classes": 3}, trust_imports=True)


def test_first_weights_are_no_part_of_it(own):
    """A checkpoint has its own; and what they decided beside must be said."""
    make = resolve_name(f"{own}.Net")
    _, description = described(make, weights="random")
    assert description["arguments"] == {"weights": None} and description["num_classes"] == 3
    with pytest.raises(ValueError, match=r"without its first weights: 2 of another shape: head"):
        described(make, weights="seven")


def test_describing_draws_no_random_numbers(own):
    def then(draw):
        torch.manual_seed(1)
        draw()
        return torch.rand(3)

    make = resolve_name(f"{own}.Silent")
    assert torch.equal(then(lambda: make()), then(lambda: described(make)))


def test_the_number_of_classes(own):
    """As the network says, or its arguments, or the logits of a small image."""
    net, silent = (resolve_name(f"{own}.{name}") for name in ("Net", "Silent"))
    assert described(FCN, "resnet18", width=0.05)[1]["num_classes"] == 21
    assert described(net, classes=4)[1]["num_classes"] == 4
    model, description = described(silent)
    assert description["num_classes"] == 5 and model.training
    with pytest.raises(ValueError, match=r"Silent does not say .*give it an attribute num_classes"):
        described(silent, side=99)
    wrong = {"call": "dlseg.models.FCN", "arguments": {"backbone": "resnet18"}, "num_classes": 3}
    with pytest.raises(ValueError, match="the model has 21 classes and the data set 3"):
        without_weights(build_model, wrong)


def test_networks_of_others(record_property):
    """Without their own code nothing is known of them; with it they are the same."""
    smp, segmentation = load_smp(), load_torchvision().models.segmentation
    for make, arguments in (
        (smp.DeepLabV3Plus, {"encoder_name": "resnet18", "encoder_weights": None, "classes": 3}),
        (segmentation.deeplabv3_mobilenet_v3_large, {"num_classes": 3, "weights_backbone": None}),
    ):
        model, description = described(make, **arguments)
        assert description["num_classes"] == 3
        assert same(build_model(description, trust_imports=True), model)
    assert description["arguments"]["weights"] is None
    record_property("description", description)


# Guests


class Picky(nn.Module):
    """Refuses sides that are no multiples of 8, as the encoders with a decoder of smp do."""

    def __init__(self, of=8, stride=1):
        super().__init__()
        self.of, self.conv = of, nn.Conv2d(3, 4, stride, stride)

    def forward(self, x):
        if x.shape[2] % self.of or x.shape[3] % self.of:
            raise RuntimeError(f"Wrong input shape, expected divisible by {self.of}")
        return {"logits": self.conv(x)}


def test_a_guest_takes_any_size():
    model = Picky()
    guest, x = Guest(model, 4), torch.randn(1, 3, 40, 48)
    assert guest.num_classes == 4 and guest.model is model
    with torch.no_grad():
        assert torch.equal(guest(x), model(x)["logits"])  # as it is, no padding to 64
        small = x[:, :, :33, :35]
        padded = F.pad(small, (0, 29, 0, 31))
        assert torch.equal(guest(small), model(padded)["logits"][..., :33, :35])
        coarse = Guest(Picky(1, 4), 4)
        scores = coarse.model(x)["logits"]
        assert scores.shape[2:] == (10, 12)
        assert torch.equal(coarse(x), F.interpolate(scores, (40, 48), mode="bilinear"))


def test_a_guest_passes_on_what_padding_does_not_mend():
    with pytest.raises(RuntimeError, match="divisible by 7"):
        Guest(Picky(7), 4)(torch.zeros(1, 3, 64, 64))
    with pytest.raises(RuntimeError, match="divisible by 7"):
        Guest(Picky(7), 4)(torch.zeros(1, 3, 63, 64))
    with pytest.raises(ValueError, match="the model has 4 classes and the data set 5"):
        Guest(Picky(), 5)(torch.zeros(1, 3, 64, 64))


def test_own_functions_for_others_networks_are_described():
    for make, arguments in (
        (smp_deeplabv3plus, {"backbone": "resnet18", "num_classes": 3}),
        (torchvision_deeplabv3, {"backbone": "resnet50", "num_classes": 3, "width": 0.05}),
    ):
        model, description = described(make, **arguments)
        assert description["call"] in CALLS and same(build_model(description), model)
