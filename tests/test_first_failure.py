"""The first failure of a log becomes an issue, once."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci/first_failure.py"
LOG = """\
.F..FF
____________________________ test_a_sum[\x1b[1m3\x1b[0m] _____________________________
>       assert 1 == 2
E       assert 1 == 2
_________________________ chapters/02-b.ipynb::Cell 12 __________________________
Cell 12: Cell outputs differ
_________________________ chapters/02-b.ipynb::Cell 3 __________________________
[gw0] linux -- Python 3.14.2
Cell 3: Cell execution caused an exception
ZeroDivisionError: division by zero
_________________________ chapters/11-c.ipynb::Cell 1 __________________________
Cell 1: Cell outputs differ
=========================== short test summary info ============================
\x1b[31mFAILED\x1b[0m tests/test_sums.py::test_a_sum[3] - assert 1 == 2
"""
CELLS = """\
FAILED chapters/11-c.ipynb::Cell 1 - Notebook cell execution failed
FAILED chapters/02-b.ipynb::Cell 12 - Notebook cell execution failed
FAILED chapters/02-b.ipynb::Cell 3 - Notebook cell execution failed
3 failed, 3 passed in 5.00s
"""
GH = """\
import json, os, sys
from pathlib import Path
calls = Path(os.environ["CALLS"])
text = sys.stdin.read() if "create" in sys.argv else ""
calls.write_text(calls.read_text() + json.dumps([sys.argv[1:], text]) + "\\n")
print(os.environ["OPEN"] if "list" in sys.argv else "issue 7")
"""


def run(tmp_path, log=None, options=(), **environment) -> str:
    """What the script prints about a log, beside a freeze with another torch."""
    if log is not None:
        (tmp_path / "log").write_text(log, encoding="utf-8")
    tested = (SCRIPT.parents[1] / "constraints.txt").read_text(encoding="utf-8")
    tqdm = re.search(r"^tqdm==.*$", tested, re.MULTILINE)[0]
    versions = f"torch==99.1+cpu\n{tqdm}\nelsewhere==3\n-e file:///somewhere\n"
    (tmp_path / "versions").write_text(versions, encoding="utf-8")
    command = [sys.executable, SCRIPT, tmp_path / "log", tmp_path / "versions", *options]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_topmost_cell_of_the_first_chapter(tmp_path):
    printed = run(tmp_path, LOG + CELLS)
    assert printed.startswith("Newest versions: 02-b.ipynb, cell 3 fails\n")
    assert "ZeroDivisionError" in printed and "outputs differ" not in printed
    assert re.search(r"^\* torch 99\.1\+cpu \(tested: [\d.]+\)$", printed, re.MULTILINE)
    assert "tqdm" not in printed and "elsewhere" not in printed


def test_a_test_of_the_package_where_all_cells_pass(tmp_path):
    printed = run(tmp_path, LOG)
    assert printed.startswith("Newest versions: tests/test_sums.py::test_a_sum[3] fails\n")
    assert "E       assert 1 == 2" in printed and "Cell 12" not in printed


def test_neither(tmp_path):
    printed = run(tmp_path, "make: *** no rule\n")
    assert printed.startswith("Newest versions: no test, but the run fails\n")
    assert "no rule" in printed
    (tmp_path / "log").unlink()
    assert run(tmp_path).startswith("Newest versions: they cannot be installed together\n")


@pytest.mark.skipif(os.name == "nt", reason="a stand-in for gh is a script with a first line")
@pytest.mark.parametrize("known", [False, True])
def test_an_issue_is_opened_once(tmp_path, known):
    title = "Newest versions: 02-b.ipynb, cell 3 fails"
    (tmp_path / "gh").write_text(f"#!{sys.executable}\n{GH}", encoding="utf-8")
    (tmp_path / "gh").chmod(0o755)
    calls = tmp_path / "calls"
    calls.touch()
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    environment = {"PATH": path, "CALLS": str(calls), "OPEN": title if known else "another"}
    printed = run(tmp_path, LOG + CELLS, ["--open-issue"], **environment)
    lines = [json.loads(line) for line in calls.read_text(encoding="utf-8").splitlines()]
    assert lines[0][0][:2] == ["issue", "list"]
    if known:
        assert len(lines) == 1 and f"is open already: {title}" in printed
        return
    assert lines[1][0][:4] == ["issue", "create", "--title", title]
    assert "ZeroDivisionError" in lines[1][1] and "issue 7" in printed
