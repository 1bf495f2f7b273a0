"""The prepared script for a GPU: rehearsed on the CPU, stopped, and gone on with."""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu_checks import stated_seconds
from benchmarks.gpu_sizes import Sizes

ROOT = Path(__file__).parents[1]


def script(*arguments) -> subprocess.CompletedProcess:
    """The script, as it is called by hand."""
    command = [sys.executable, ROOT / "benchmarks/gpu.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.nightly
def test_every_part_is_rehearsed_and_kept(tmp_path):
    path = tmp_path / "gpu.json"
    done = script("--device", "cpu", "--quick", "--json", path)
    assert done.returncode == 0, done.stderr
    content = json.loads(path.read_text(encoding="utf-8"))
    assert list(content["parts"]) == list(gpu.PARTS) and set(gpu.LIMITS) == set(gpu.PARTS)
    rows = [row for part in content["parts"].values() for row in part["rows"].values()]
    assert all(part["done"] and part["rows"] for part in content["parts"].values())
    assert not [row for row in rows if "failed" in row], rows
    assert all(row.get("equal", True) and row.get("passed", True) for row in rows), rows
    (crf,) = content["parts"]["crf"]["rows"].values()
    assert crf["same labels"] == 1 and crf["times faster"] > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_line():
    done = script()
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (1, 1, "")
    assert "--device cpu --quick" in done.stderr


def test_the_limits_are_ten_minutes():
    assert sum(gpu.LIMITS.values()) <= 600


def printing(code: str) -> list[str]:
    """A command that prints a row, and goes on with `code`."""
    return [sys.executable, "-c", f"print('[\"a\", {{}}]', flush=True); {code}"]


def test_a_command_is_stopped_at_its_limit():
    with pytest.raises(TimeoutError, match="stopped after 2 s"):
        list(gpu.collect(printing("import time; print('noise'); time.sleep(600)"), 2))
    with pytest.raises(RuntimeError, match="exit code 3"):
        list(gpu.collect(printing("raise SystemExit(3)"), 60))
    assert list(gpu.collect(printing("pass"), 60)) == [("a", {})]


def test_it_goes_on_with_the_rows_that_lack(tmp_path, monkeypatch, capsys):
    asked = []

    def measured(part, known, arguments, limit):
        asked.append((part, known))
        yield "b", {"equal": True}
        raise TimeoutError("stopped after 1 s")

    monkeypatch.setattr(gpu, "measured", measured)
    arguments = Namespace(json=tmp_path / "gpu.json")
    rows = {"a": {}, "c": {"failed": "out of memory"}}
    content = {"about": {}, "parts": {"crf": {"done": False, "rows": rows}}}
    gpu.run_part("crf", content, arguments, 1)
    assert asked == [("crf", ["a"])]
    kept = gpu.results(arguments.json, {}, again=False)
    assert (
        list(kept["parts"]["crf"]["rows"]) == ["a", "c", "b"] and not kept["parts"]["crf"]["done"]
    )
    assert "stopped after 1 s" in capsys.readouterr().out
    content["parts"]["crf"]["done"] = True
    gpu.run_part("crf", content, arguments, 1)
    assert capsys.readouterr().out == "crf: done before\n" and len(asked) == 1
    other = {"about": {"device": "another"}, "parts": {}}
    assert gpu.results(arguments.json, other["about"], again=False) == other


def test_chapters_say_how_long_they_take():
    stated = {path.stem: stated_seconds(path) for path in (ROOT / "chapters").glob("*.ipynb")}
    assert stated["02-atrous-convolution"] == 10 and stated["12-relatives"] == 30
    assert len(set(stated.values())) > 4
    assert all((ROOT / name).exists() for name in Sizes().tests)
