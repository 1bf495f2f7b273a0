"""What pip installs without extras: the package alone, whose commands work in an empty folder.

The wheel is built and unpacked; beside it Python sees what the wheel requires, and nothing else.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
SMALL = "--iterations 2 --batch-size 2 --width 0.125 --output-stride 32 --crop-size 64 --workers 0"
COMMANDS = {
    "doctor": "doctor",
    "train": f"train {SMALL} --device cpu",
    "evaluate": "evaluate --workers 0",
    "predict": "predict",
    "crf": "crf runs/1/predictions/val-0.png runs/1/predictions/val-0-truth.png --out refined.png",
    "export": "export runs/1/last.pt net.onnx",
    "video": "predict clip.mp4",
    "curves": "train --tensorboard",
    **{name: name for name in ("read", "list", "run", "test", "site")},
}
RUN = """
import contextlib, io, json, sys
from dlseg.__main__ import main
from dlseg.data import registry
registry.TRAIN_SCENES, registry.VALIDATION_SCENES = 4, 2
results = {}
for name, arguments in json.loads(sys.argv[1]).items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments.split())
    results[name] = code, out.getvalue(), err.getvalue()
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The unpacked wheel of a copy of the repository."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("dlseg", "chapters/support", "benchmarks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    command = [sys.executable, "-c", build, str(out)]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (file,) = out.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(out / "unpacked")
    return out / "unpacked"


def closure(names: set[str]) -> set[str]:
    """These distributions and all that they require here, without extras."""
    todo, known = list(names), set()
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name not in known:
            known.add(name)
            required = map(Requirement, metadata.requires(name) or ())
            todo += [r.name for r in required if not r.marker or r.marker.evaluate({"extra": ""})]
    return known


@pytest.fixture(scope="module")
def base(tmp_path_factory, wheel):
    """A folder with links to the packages that the wheel requires, for Python's path."""
    folder = tmp_path_factory.mktemp("base")
    (info,) = metadata.distributions(path=[str(wheel)])
    needed = {r.name for r in map(Requirement, info.requires) if not r.marker}
    for name in closure(needed):
        files = metadata.distribution(name).files
        for part in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            target = folder / part
            if not target.exists():
                target.symlink_to(files[0].locate().parents[len(files[0].parts) - 1] / part)
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory, wheel, base):
    """Exit code, output and errors of each of `COMMANDS`, run one after the other; and where."""
    here = tmp_path_factory.mktemp("empty")
    (here / "clip.mp4").write_bytes(b"")
    # -S: without the packages of this environment
    command = [sys.executable, "-S", "-c", RUN, json.dumps(COMMANDS)]
    path = os.pathsep.join(map(str, (wheel, base)))
    environment = {**os.environ, "PYTHONPATH": path, "DLSEG_DEVICE": "cpu"}
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), here


def test_the_wheel_holds_the_package_alone(wheel):
    names = {path.name for path in wheel.iterdir()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"dlseg"}
    sources = {path.relative_to(ROOT) for path in (ROOT / "dlseg").rglob("*.py")}
    sources.add(Path("dlseg/data/traced.txt"))
    files = [path for path in (wheel / "dlseg").rglob("*") if path.is_file()]
    assert {path.relative_to(wheel) for path in files} == sources


def test_commands_work_in_an_empty_folder(results):
    done, here = results
    for name in ("doctor", "train", "evaluate", "predict", "crf"):
        code, _, err = done[name]
        assert (code, err) == (0, ""), name
    assert "mIoU 0." in done["train"][1] and "mIoU 0." in done["evaluate"][1]
    assert (here / "runs/1/predictions/val-1-overlay.png").exists()
    assert (here / "refined.png").exists()


def test_doctor_calls_nothing_missing_and_says_what_more_there_is(results):
    printed = results[0]["doctor"][1]
    assert "MISSING" not in printed and "ok      torch" in printed
    for extra in ("read", "onnx", "tensorboard", "video", "test", "site", "browser"):
        assert f"fix: pip install 'dlseg[{extra}]'\n" in printed


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [
        ("export", "onnx", "onnx"),
        ("curves", "tensorboard", "tensorboard"),
        ("video", "av", "video"),
    ],
)
def test_an_extra_is_named_with_a_line_that_works_here(results, command, module, extra):
    code, out, err = results[0][command]
    line = f"dlseg: {module} is not installed; run: pip install 'dlseg[{extra}]'\n"
    assert (code, out, err) == (2, "", line)


@pytest.mark.parametrize("command", ["read", "list", "run", "test", "site"])
def test_the_books_commands_say_where_the_book_is(results, command):
    code, out, err = results[0][command]
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert err.startswith(f"dlseg: no book.toml in {results[1]} or above it")
    assert "go to your copy of the book" in err
