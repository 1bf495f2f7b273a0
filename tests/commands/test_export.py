"""`dlseg export`: the file, what is said about it, and one line for what goes wrong."""

import json
import subprocess
import sys

import pytest

from dlseg.book import cli
from dlseg.commands import export as export_command
from dlseg.data.scenes import CLASSES
from dlseg.data.transforms import MEAN, STD
from dlseg.inference.export import Difference, ExportError
from tests.chapters.tools import ROOT


@pytest.fixture
def installed(monkeypatch):
    """As if the extra were there, for what is tested without it."""
    monkeypatch.setattr(export_command, "need", lambda module, extra: None)


def export(*words):
    return cli.main(["export", *map(str, words)])


def refused(capsys, *words):
    """What it says in its one line when it does not work."""
    assert export(*words) == 2
    said = capsys.readouterr().err
    assert said.startswith("dlseg: ") and said.count("\n") == 1
    return said


def test_a_file_that_onnx_runtime_runs_alike(checkpoint, tmp_path, capsys):
    reason = "is not installed: pip install -c constraints.txt -e '.[onnx]'"
    for module in ("onnx", "onnxscript"):
        pytest.importorskip(module, reason=f"{module} {reason}")
    runtime = pytest.importorskip("onnxruntime", reason=f"onnxruntime {reason}")
    out = tmp_path / "new" / "net.onnx"
    words = ("--size", "64x96", "--output-stride", 16, "--check")
    assert export(checkpoint, out, *words) == 0
    said = capsys.readouterr().out
    assert "input image: float32 (1, 3, 64, 96)" in said
    assert "output logits: float32 (1, 10, 64, 96)" in said
    assert "1 x 64 x 96: " in said and "100.000% of the labels the same" in said
    notes = runtime.InferenceSession(str(out)).get_modelmeta().custom_metadata_map
    notes = {name: json.loads(notes[name]) for name in ("classes", "mean", "std")}
    assert notes == {"classes": list(CLASSES), "mean": list(MEAN), "std": list(STD)}


@pytest.fixture
def faked(monkeypatch, installed):
    """Without the exporter: what it was called with, and a difference of one's choice."""
    calls, difference = [], [Difference(1e-6, 1.0)]

    def write(model, path, size, notes):
        calls.append((model, size))
        path.write_bytes(b"ONNX")

    def compare(model, path, shapes):
        return dict.fromkeys(shapes, difference[0])

    monkeypatch.setattr("dlseg.inference.export.export_onnx", write)
    monkeypatch.setattr("dlseg.inference.export.onnx_differences", compare)
    return calls, difference


@pytest.mark.parametrize("words", [(), ("--dynamic",)])
def test_any_size_is_the_default(checkpoint, tmp_path, faked, capsys, words):
    assert export(checkpoint, tmp_path / "net.onnx", *words) == 0
    ((model, size),) = faked[0]
    assert size is None and model.output_stride == 32
    said = capsys.readouterr().out
    assert "(batch, 3, height, width)" in said and "(batch, 10, height, width)" in said


def test_a_difference_is_a_fault(checkpoint, tmp_path, faked, monkeypatch, capsys):
    monkeypatch.setitem(
        __import__("sys").modules, "onnxruntime", type("O", (), {"__version__": "1"})
    )
    words = (checkpoint, tmp_path / "net.onnx", "--check")
    assert export(*words) == 0
    assert "largest relative difference 1.0e-06" in capsys.readouterr().out
    faked[1][0] = Difference(0.01, 0.98)
    assert export(*words) == 1
    assert "1.0e-02, above 0.001" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_says_what_to_install(checkpoint, tmp_path, monkeypatch, capsys, missing):
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, package=None: None if name == missing else name
    )
    said = refused(capsys, checkpoint, tmp_path / "net.onnx", "--check")
    assert f"{missing} is not installed" in said and "'.[onnx]'" in said


@pytest.mark.parametrize("size", ["64", "64x", "0x64", "64X96", "-1x4", "64x96x3"])
def test_bad_sizes(size, checkpoint, tmp_path, installed, capsys):
    said = refused(capsys, checkpoint, tmp_path / "net.onnx", f"--size={size}")
    assert "--size must be HEIGHTxWIDTH in pixels" in said and size in said


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

    monkeypatch.setattr("dlseg.inference.export.export_onnx", unable)
    assert "--size HxW" in refused(capsys, checkpoint, tmp_path / "net.onnx")


def test_list_needs_neither_torch_nor_onnx_with_this_command():
    code = (
        "import sys; from dlseg.book import export_command; "
        "print(*(name for name in ('torch', 'onnx', 'onnxruntime') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
    assert export_command in cli.COMMANDS
