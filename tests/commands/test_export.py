"""`dlseg export`: the file, what is said about it, and one line for what goes wrong."""

import json
import sys
from types import SimpleNamespace

import pytest

from dlseg.commands import export as export_command
from dlseg.commands.main import main
from dlseg.data.scenes import CLASSES
from dlseg.inference.export import Difference, ExportError


@pytest.fixture
def installed(monkeypatch):
    """As if the extra were there, for what is tested without it."""
    monkeypatch.setattr(export_command, "need", lambda module, extra: None)


def export(*arguments):
    return main(["export", *map(str, arguments)])


def refused(capsys, *arguments):
    """What it says in its one line when it does not work."""
    assert export(*arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith("dlseg: ") and message.count("\n") == 1
    return message


def test_a_file_that_onnx_runtime_runs_alike(checkpoint, tmp_path, capsys):
    reason = "is not installed: pip install -c constraints.txt -e '.[onnx]'"
    for module in ("onnx", "onnxscript"):
        pytest.importorskip(module, reason=f"{module} {reason}")
    runtime = pytest.importorskip("onnxruntime", reason=f"onnxruntime {reason}")
    out = tmp_path / "new" / "net.onnx"
    arguments = ("--size", "64x96", "--output-stride", 16, "--check")
    assert export(checkpoint, out, *arguments) == 0
    message = capsys.readouterr().out
    assert "input image: float32 (1, 3, 64, 96)" in message
    assert "output logits: float32 (1, 10, 64, 96)" in message
    assert "1 x 64 x 96: " in message and "100.000% of the labels the same" in message
    notes = runtime.InferenceSession(str(out)).get_modelmeta().custom_metadata_map
    notes = {name: json.loads(notes[name]) for name in ("classes", "mean", "std")}
    # Of ImageNet: literals, for what the file says must be what its user must do.
    assert notes["mean"] == [0.485, 0.456, 0.406] and notes["std"] == [0.229, 0.224, 0.225]
    assert notes["classes"] == list(CLASSES) and len(notes) == 3


@pytest.fixture
def faked(monkeypatch, installed):
    """Without the exporter: what it was called with, and a difference of one's choice."""
    calls, difference = [], [Difference(1e-6, 1.0)]

    def write(model, path, size, notes):
        calls.append((model, size))
        path.write_bytes(b"ONNX")

    def compare(model, path, shapes):
        return dict.fromkeys(shapes, difference[0])

    monkeypatch.setattr("dlseg.inference.export_onnx", write)
    monkeypatch.setattr("dlseg.inference.onnx_differences", compare)
    return calls, difference


@pytest.mark.parametrize("arguments", [(), ("--dynamic",)])
def test_any_size_is_the_default(checkpoint, tmp_path, faked, capsys, arguments):
    assert export(checkpoint, tmp_path / "net.onnx", *arguments) == 0
    ((model, size),) = faked[0]
    assert size is None and model.output_stride == 32
    message = capsys.readouterr().out
    assert "(batch, 3, height, width)" in message and "(batch, 10, height, width)" in message


def test_a_difference_is_a_fault(checkpoint, tmp_path, faked, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(__version__="1"))
    arguments = (checkpoint, tmp_path / "net.onnx", "--check")
    assert export(*arguments) == 0
    assert "largest relative difference 1.0e-06" in capsys.readouterr().out
    faked[1][0] = Difference(0.01, 0.98)
    assert export(*arguments) == 1
    assert "1.0e-02, above 0.001" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_says_what_to_install(checkpoint, tmp_path, monkeypatch, capsys, missing):
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, package=None: None if name == missing else name
    )
    message = refused(capsys, checkpoint, tmp_path / "net.onnx", "--check")
    assert f"{missing} is not installed" in message and "'.[onnx]'" in message


@pytest.mark.parametrize("size", ["64", "64x", "0x64", "64X96", "-1x4", "64x96x3"])
def test_bad_sizes(size, checkpoint, tmp_path, installed, capsys):
    message = refused(capsys, checkpoint, tmp_path / "net.onnx", f"--size={size}")
    assert "--size must be HEIGHTxWIDTH in pixels" in message and size in message


def test_size_and_any_size_exclude_each_other(checkpoint, tmp_path):
    with pytest.raises(SystemExit, match="2"):
        export(checkpoint, tmp_path / "net.onnx", "--size", "64x64", "--dynamic")


def test_other_faults(checkpoint, tmp_path, installed, monkeypatch, capsys):
    assert "must end in .onnx" in refused(capsys, tmp_path / "net.onnx", checkpoint)
    missing = tmp_path / "no.pt"
    assert str(missing) in refused(capsys, missing, tmp_path / "net.onnx")
    (tmp_path / "file").write_text("")
    assert "cannot write" in refused(capsys, checkpoint, tmp_path / "file" / "net.onnx")

    def unable(*_):
        raise ExportError("FCN cannot be exported so: give a size")

    monkeypatch.setattr("dlseg.inference.export_onnx", unable)
    assert "--size HxW" in refused(capsys, checkpoint, tmp_path / "net.onnx")
