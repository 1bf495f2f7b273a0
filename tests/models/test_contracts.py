"""What every network promises: a new row of FAMILIES or BACKBONES is tested here as it is."""

import json
import sys
from inspect import Parameter, signature
from pathlib import Path

import pytest
import torch
from torch import nn

from dlseg.backbones import BACKBONES, ResNet, make_backbone
from dlseg.commands.main import main
from dlseg.data import registry
from dlseg.models import (
    FAMILIES,
    NETWORKS,
    DeepLabV2,
    DeepLabV3,
    DeepLabV3Cascade,
    DeepLabV3Plus,
    at_output_stride,
    build_model,
    describe,
    relatives,
)
from dlseg.training import (
    CheckpointError,
    load_network,
    load_weights,
    save_checkpoint,
    segmentation_loss,
)
from dlseg.training.losses import ScoreMaps
from tests.backbones.counting import parameters, without_weights
from tests.peers import randomise
from tests.sampling import sampled
from tests.training.toys import blank

ROOT = Path(__file__).parents[2]
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
LABELS = torch.randint(0, 3, (2, 64, 64), generator=torch.Generator().manual_seed(1))
every = pytest.mark.parametrize("network", NETWORKS)
# The network of each row that has the least work: of a family, and of a backbone the plain head.
CHEAP = ("vgg16_bn", "resnet50", "resnet18")
FIRST = {family: backbone for family, backbone in (n.rsplit("-", 1) for n in NETWORKS)}
FIRST |= {f: b for b in CHEAP for f in FAMILIES if f"{f}-{b}" in NETWORKS}
ROWS = [f"{family}-{backbone}" for family, backbone in FIRST.items()]
ROWS += [f"fcn-{backbone}" for backbone in BACKBONES if FIRST["fcn"] != backbone]
# Every family and every backbone each time, every pair of them at night.
rows = pytest.mark.parametrize("network", sampled(NETWORKS, ROWS))


def small(network: str, output_stride: int = 8, seed: int = 0) -> nn.Module:
    """The network with an eighth of its channels and three classes, as if it had been trained."""
    torch.manual_seed(seed)
    model = build_model(describe(network, 3, output_stride, 0.125))
    randomise(model)
    return model


def strides(network: str) -> tuple[int, ...]:
    return FAMILIES[network.rsplit("-", 1)[0]].output_strides


def rates(module: nn.Module) -> list[int]:
    """Those of its convolutions of 3 x 3, in order; 1 where there is no hole."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    return [layer.dilation[0] for layer in layers if layer.kernel_size == (3, 3)]


def write(path: Path, network: str, output_stride: int = 8) -> nn.Module:
    """A checkpoint of `small`; returns the model."""
    model = small(network, output_stride)
    described = {"model": describe(network, 3, output_stride, 0.125), "extra": {}}
    save_checkpoint(path, blank(**described, weights=model.state_dict()))
    return model


# Every network


WITH_BACKBONE = [family.make for family in FAMILIES.values()] + [DeepLabV3Cascade]
WITH_BACKBONE += [relatives.ParseNet, relatives.PSPNet, relatives.RefineNet]
ON_VGG = [relatives.SkipFCN, relatives.SegNet, relatives.LRR, relatives.DilatedNet]


@pytest.mark.parametrize("make", WITH_BACKBONE + ON_VGG, ids=lambda make: make.__name__)
def test_signature(make):
    """`Name(backbone, num_classes=21, *, output_stride, width, weights, ...)`: 8 options."""
    backbone, classes, *options = signature(make).parameters.values()
    assert (backbone.name, classes.name, classes.default) == ("backbone", "num_classes", 21)
    assert {option.kind for option in options} == {Parameter.KEYWORD_ONLY} and len(options) <= 8
    names = [option.name for option in options]
    first = ["output_stride", "width", "weights"]
    assert names[:3] == first or (make in ON_VGG and names[:2] == first[1:])


@rows
def test_every_network_teaches_all_its_parameters(network):
    """A parameter without a gradient would stay as it is, and stop several processes."""
    model = small(network).train()
    for loss in ("upsampled", "shrunk"):
        model.zero_grad()
        (scores,) = ScoreMaps(model, loss)(IMAGES)
        assert scores.shape[:2] == (2, 3)
        assert (scores.shape[2:] == (64, 64)) == (loss == "upsampled")
        segmentation_loss((scores,), LABELS).backward()
        missing = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        assert not missing
    inside = {id(parameter) for parameter in model.backbone.parameters()}
    assert inside < {id(parameter) for parameter in model.parameters()}
    assert (model.num_classes, model.output_stride) == (3, 8)


@rows
def test_logits_are_as_large_as_the_image(network):
    x = torch.empty(1, 3, 33, 98, device="meta")
    for output_stride in strides(network):
        model = without_weights(build_model, describe(network, 7, output_stride, 0.125))
        assert model.output_stride == model.backbone.output_stride == output_stride
    assert model(x).shape == (1, 7, 33, 98)
    assert model.scores(x).shape[:2] == (1, 7)


@rows
def test_the_output_stride_is_no_part_of_the_weights(network):
    """Names and shapes, and so the parameters, are the same; the work is not."""
    built = [without_weights(build_model, describe(network, 3, os)) for os in strides(network)]
    shapes = [{k: v.shape for k, v in model.state_dict().items()} for model in built]
    assert all(one == shapes[0] for one in shapes)
    narrow = parameters(without_weights(build_model, describe(network, 3, width=0.25)))
    assert 9 < parameters(built[0]) / narrow < 17  # as the square of the channels
    with pytest.raises(ValueError, match="output_stride"):
        build_model(describe(network, 3, 12))
    for wrong in (0, 2.5, "21"):
        with pytest.raises(ValueError, match="num_classes must be an integer >= 1, got"):
            without_weights(build_model, describe(network, wrong))


@rows
def test_description_and_checkpoint_bring_the_network_back(network, tmp_path):
    description = describe(network, 3, 8, 0.125)
    assert json.loads(json.dumps(description)) == description
    model = write(tmp_path / "last.pt", network)
    again, entries = load_network(tmp_path / "last.pt")
    assert entries["model"] == description and not again.training
    other = small(network, seed=1)
    with torch.no_grad():
        expected = model(IMAGES)
        assert torch.equal(again(IMAGES), expected)
        assert not torch.equal(other(IMAGES), expected)
        load_weights(other, tmp_path / "last.pt")
        assert torch.equal(other.eval()(IMAGES), expected)


class Asked(Exception):
    """In the place of a file."""


@every
def test_published_weights_are_those_of_the_backbone(network, monkeypatch):
    """Each network asks for the file of its backbone, which knows how to load it."""

    def ask(name, **_):
        raise Asked(name)

    row = BACKBONES[network.rsplit("-", 1)[1]]
    monkeypatch.setattr("dlseg.backbones.weights.load_published", ask)
    if row.published is None or (network.startswith("deeplabv2") and row.kind == "bottleneck"):
        with pytest.raises(ValueError, match="drop weights, or load"):
            without_weights(build_model, describe(network, 3), "imagenet")
    else:
        with pytest.raises(Asked, match=f"^{row.published}$"):
            without_weights(build_model, describe(network, 3), "imagenet")
        with pytest.raises(ValueError, match=r"published weights need width=1.0, got 0.5"):
            without_weights(build_model, describe(network, 3, 8, 0.5), "imagenet")


@pytest.mark.parametrize("network", ROWS)
def test_command_line_trains_one_step(network, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(registry, "TRAIN_SCENES", 2)
    monkeypatch.setattr(registry, "VALIDATION_SCENES", 1)
    monkeypatch.setenv("DLSEG_DEVICE", "cpu")  # commands set it
    monkeypatch.chdir(tmp_path)
    words = ["--network", network, "--width", "0.05", "--iterations", "1", "--batch-size", "2"]
    words += ["--crop-size", "64", "--workers", "0", "--device", "cpu"]
    assert main(["train", *words]) == 0, capsys.readouterr().err
    assert load_network("runs/1/last.pt")[1]["model"]["network"] == network


# torchvision's is a DeepLabV3 with one more convolution.
EXPORTED = [f"{family}-{FIRST[family]}" for family in FIRST if not family.startswith("torchvision")]


@pytest.mark.parametrize("network", sampled(EXPORTED, [EXPORTED[-1]]))
def test_export(network, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from dlseg.inference.export import export_onnx, onnx_differences

    model = small(network)
    export_onnx(model, tmp_path / "net.onnx")
    found = onnx_differences(model, tmp_path / "net.onnx")
    assert found and all(one.relative < 1e-3 for one in found.values())


# Families


def test_names_stand_for_the_networks_of_the_papers():
    counts = {
        "deeplabv1-vgg16": 20_505_429,
        "deeplabv2-vgg16": 37_877_652,
        "deeplabv2-resnet101": 44_048_532,
        "deeplabv3-resnet50": 39_048_533,
        "deeplabv3-resnet101": 58_040_661,
        "deeplabv3-mobilenetv2": 2_113_557,
        "deeplabv3plus-resnet101": 59_344_309,
        "deeplabv3plus-xception65": 41_055_413,
        "torchvision-deeplabv3-resnet50": 39_638_869,
    }
    for network, count in counts.items():
        assert parameters(without_weights(build_model, describe(network, 21))) == count, network


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
    assert entries["model"]["output_stride"] == 16 and dense.output_stride == 8
    head, before = (m.classifier if "plus" not in network else m.aspp for m in (dense, coarse))
    assert rates(head) == [2 * rate for rate in rates(before)] == [12, 24, 36]
    expected = at_output_stride(coarse, lambda stride: small(network, stride), 8)
    with torch.no_grad():
        assert torch.equal(dense(IMAGES), expected(IMAGES))
        assert not torch.allclose(dense(IMAGES), coarse(IMAGES), rtol=0.01)


def test_a_name_or_a_module():
    """The same network, and a clear error where a module comes with what belongs to a name."""
    named = without_weights(DeepLabV2, "resnet18", 3, width=0.125)
    module = without_weights(lambda: DeepLabV2(ResNet(8, depth=18, width=0.125), 3))
    assert list(named.state_dict()) == list(module.state_dict())
    for make in (DeepLabV3, DeepLabV3Plus, relatives.PSPNet):
        with pytest.raises(ValueError, match="are those of a backbone given by name"):
            make(make_backbone("resnet18", width=0.1), output_stride=8)


def test_a_name_that_does_not_exist_is_answered_by_all_that_do():
    for name in ("unet", "deeplabv1-resnet18", "deeplabv3-vgg16", "fcn"):
        with pytest.raises(ValueError, match=f"no network is called '{name}'; there are fcn-") as e:
            build_model(describe(name, 3))
    families = {name.rpartition("-")[0] for name in NETWORKS}
    assert all(f"{name}-{{" in str(e.value) for name in families)
    assert "deeplabv1-{vgg16,vgg16_bn}" in str(e.value)


def test_weights_of_another_network_are_refused(tmp_path):
    write(tmp_path / "last.pt", "deeplabv3-resnet18", 16)
    model = small("deeplabv3plus-resnet18", 16)
    with pytest.raises(ValueError, match=r"deeplabv3-resnet18 of 3 .* do not fit this network: 47"):
        load_weights(model, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_weights(model, tmp_path / "none.pt")


# How much there is to read


def files_run_by(make) -> dict[str, int]:
    """Files of the package that `make()` and its network run through, and their lines.

    The argument checks and the registry are left out: they do nothing to the image.
    """
    files = set()

    def note(frame, event, _argument):
        path = Path(frame.f_code.co_filename)
        if event == "call" and ROOT / "dlseg" in path.parents:
            files.add(path)

    sys.setprofile(note)
    try:
        make().eval()(torch.zeros(1, 3, 64, 64))
    finally:
        sys.setprofile(None)
    names = {str(path.relative_to(ROOT / "dlseg")): path for path in sorted(files)}
    for left_out in ("checks.py", "doors.py", "backbones/registry.py"):
        names.pop(left_out, None)
    return {name: len(path.read_text("utf-8").splitlines()) for name, path in names.items()}


@pytest.mark.parametrize(
    ("family", "backbone"),
    [
        ("deeplabv1", "vgg16"),
        ("deeplabv2", "resnet101"),
        ("deeplabv3", "resnet50"),
        ("deeplabv3plus", "resnet50"),
    ],
)
def test_a_deeplab_reads_in_four_files_and_650_lines(family, backbone, record_property):
    read = files_run_by(lambda: FAMILIES[family].make(backbone))
    record_property("read", read)
    assert f"models/{family}.py" in read
    assert len(read) <= 4 and sum(read.values()) <= 650, read
