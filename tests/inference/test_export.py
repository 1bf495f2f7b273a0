"""ONNX files of every network against PyTorch, in ONNX Runtime, at sizes that were not traced.

At their full size the networks are compared by benchmarks/deployment.py.
"""

import json
import logging

import pytest
import torch
from torch import nn

from dlseg import aside
from dlseg.backbones import VGG16
from dlseg.backbones.features import Features
from dlseg.inference import export
from dlseg.inference.export import (
    CHECKED,
    INPUT,
    OPSET,
    OUTPUT,
    TRACED,
    ExportError,
    export_onnx,
    onnx_differences,
)
from dlseg.models import (
    FCN,
    DeepLabV3Cascade,
    DeepLabV3Plus,
    MultiScale,
)
from tests.inference.toys import convolutions
from tests.peers import randomise
from tests.sampling import sampled

REASON = "is not installed: pip install -c constraints.txt -e '.[onnx]'"
onnx = pytest.importorskip("onnx", reason=f"onnx {REASON}")
pytest.importorskip("onnxscript", reason=f"onnxscript {REASON}")
pytest.importorskip("onnxruntime", reason=f"onnxruntime {REASON}")

TOLERANCE = 1e-4  # relative; what was found is below 3e-5
WIDTH, CLASSES = 0.125, 5


class Tiny(nn.Module):
    """A backbone of two layers: what is behind it is looked at, and the exporter takes its time."""

    channels, low_level_channels, output_stride = 16, 8, 16

    def __init__(self):
        super().__init__()
        self.early = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.late = nn.Sequential(nn.Conv2d(8, 16, 3, 4, 1), nn.BatchNorm2d(16), nn.ReLU())

    def forward(self, x):
        low_level = self.early(x)
        return Features(low_level, self.late(low_level))


NETWORKS = {
    "v3, cascade": lambda: DeepLabV3Cascade("resnet18", CLASSES, blocks=5, width=WIDTH),
    "v3+": lambda: DeepLabV3Plus(Tiny(), CLASSES, channels=16, align_corners=True),
}


def made(build, size=97):
    torch.manual_seed(0)
    model = build()
    randomise(model, size)
    return model


@pytest.mark.parametrize("name", sampled(NETWORKS, ["v3+"]))
def test_any_size_and_any_batch(name, tmp_path):
    model, path = made(NETWORKS[name]), tmp_path / "net.onnx"
    export_onnx(model, path)
    found = onnx_differences(model, path)
    assert set(found) == set(CHECKED)
    assert {tuple(side % 2 for side in shape[2:]) for shape in found} >= {(0, 0), (1, 0), (1, 1)}
    for shape, difference in found.items():
        assert difference.relative < TOLERANCE, shape
        assert difference.same_labels > 0.9999, shape

    file = onnx.load(path)
    assert [(entry.domain, entry.version) for entry in file.opset_import] == [("", OPSET)]
    (image,), (logits,) = file.graph.input, file.graph.output
    assert (image.name, logits.name) == (INPUT, OUTPUT) == ("image", "logits")
    for value, channels in ((image, 3), (logits, CLASSES)):
        sides = [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        assert sides == ["batch", channels, "height", "width"]
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert [other.name for other in tmp_path.iterdir()] == ["net.onnx"]  # weights are inside


def test_it_does_not_tell_of_operators_that_nobody_uses(tmp_path, caplog, monkeypatch):
    """Without torchvision the exporter complains of each of its operators that it lacks."""
    log, given = logging.getLogger("torch.onnx._internal.exporter._registration"), torch.onnx.export

    def complaining(*arguments, **options):
        log.warning("torchvision is not installed. Skipping torchvision::nms")
        return given(*arguments, **options)

    monkeypatch.setattr(torch.onnx, "export", complaining)
    before = log.level
    with caplog.at_level("WARNING"):
        export_onnx(nn.Conv2d(3, CLASSES, 1), tmp_path / "net.onnx", size=(9, 9))
    assert not [record for record in caplog.records if record.name == log.name]
    assert log.level == before


def test_one_size(tmp_path):
    """What has no free sizes: a network at several scales, whose sides are rounded."""
    model = made(lambda: MultiScale(FCN(Tiny(), CLASSES)), 33)
    with pytest.raises(ExportError, match="MultiScale cannot be exported so: give a size"):
        export_onnx(model, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())
    export_onnx(model, tmp_path / "net.onnx", (65, 97))
    (found,) = onnx_differences(model, tmp_path / "net.onnx", [(1, 3, 65, 97)]).values()
    assert found.relative < TOLERANCE
    dims = onnx.load(tmp_path / "net.onnx").graph.input[0].type.tensor_type.shape.dim
    assert [side.dim_value for side in dims] == [1, 3, 65, 97]


class Halved(nn.Module):
    """What an exporter that does its work badly would write."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x) / 2


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("unused", [False, True])
def test_weights_that_are_no_numbers(value, unused, tmp_path):
    """In the words of a checkpoint's reader; also of weights that the logits do not show."""
    model = convolutions(1).float()
    layer = next(part for part in model.modules() if hasattr(part, "weight"))
    layer.register_buffer("other_weight", torch.zeros(3))
    (layer.other_weight if unused else layer.weight.data).view(-1)[0] = value
    words = r"^weights\..*weight holds 1 of \d+ values that are NaN or infinite$"
    with pytest.raises(ValueError, match=words):
        export_onnx(model, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_a_wrong_file_is_seen(tmp_path):
    model = convolutions(1).float()
    export_onnx(Halved(model), tmp_path / "net.onnx", (24, 24))
    (found,) = onnx_differences(model, tmp_path / "net.onnx", [(1, 3, 24, 24)]).values()
    assert found.relative == pytest.approx(0.5, abs=1e-5)
    other = convolutions(1, seed=1).float()
    (found,) = onnx_differences(other, tmp_path / "net.onnx", [(1, 3, 24, 24)]).values()
    assert found.same_labels < 0.9


def test_notes_modes_and_no_trace_of_the_machine(tmp_path):
    model = nn.Sequential(convolutions(1).float(), nn.Dropout()).train()
    export_onnx(model, tmp_path / "net.onnx", (24, 24), {"classes": json.dumps(["a", "b"])})
    assert model.training and model[1].training
    file = onnx.load(tmp_path / "net.onnx")
    assert {note.key: note.value for note in file.metadata_props}["classes"] == '["a", "b"]'
    assert b".py" not in (tmp_path / "net.onnx").read_bytes()
    assert "Dropout" not in {node.op_type for node in file.graph.node}


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "net.onnx").write_text("old")

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(aside.os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        export_onnx(convolutions(1).float(), tmp_path / "net.onnx", (24, 24))
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    assert (tmp_path / "net.onnx").read_text() == "old"


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((24,), "size must be \\(height, width\\) in pixels, got \\(24,\\)"),
        ((24, 0), "width must be an integer >= 1, got 0"),
        ((24, 24), "at least 32x32 pixels"),
    ],
)
def test_bad_sizes(size, said, tmp_path):
    model = FCN(VGG16(32, width=WIDTH), CLASSES)
    with pytest.raises(ValueError, match=said):
        export_onnx(model, tmp_path / "net.onnx", size)


def test_the_traced_size_has_nothing_in_common():
    """Equal numbers would be taken for one, and 1 for a constant."""
    batch, _, height, width = TRACED
    assert len({1, batch, height, width}) == 4
    assert export.AXES == {0: "batch", 2: "height", 3: "width"}
