"""The command line: what it prints, its exit codes, and no traceback for a user's mistake."""

import os
import socket
import subprocess
import sys

import pytest

from dlseg import __version__, checks
from dlseg.__main__ import main
from dlseg.book import cli
from dlseg.book.manifest import ManifestError
from dlseg.device import use_device
from tests.chapters.tools import BOOK, NAMES, ROOT
from tests.processes import PATIENCE


def dlseg(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "dlseg", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_version_and_list():
    assert dlseg("--version").stdout.strip() == f"dlseg {__version__}"
    listed = dlseg("list").stdout
    assert all(name in listed for name in NAMES)
    assert len(listed.splitlines()) == len(BOOK.chapters)


@pytest.mark.parametrize("command", ["read", "run", "test"])
def test_unknown_chapter(command, capsys):
    assert main([command, "99"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("dlseg: no chapter is called '99'; there are: 00-contents")


def test_unknown_command_and_no_command():
    for arguments in ((), ("reed",)):
        done = dlseg(*arguments)
        assert done.returncode == 2
        assert "usage: dlseg" in done.stderr
        assert "Traceback" not in done.stderr


def test_port_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = dlseg("read", "--no-browser", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "is in use: choose another with --port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["80000", "-1", "x"])
def test_port_that_is_none(port):
    done = dlseg("read", "--no-browser", "--port", port)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [
        ("read", "jupyterlab", "read"),
        ("run", "nbclient", "read"),
        ("test", "nbval", "test"),
        ("site", "sphinx", "site"),
    ],
)
def test_missing_tool(command, module, extra, monkeypatch, capsys):
    monkeypatch.setattr(checks.importlib.util, "find_spec", lambda name: None)
    monkeypatch.chdir(ROOT)
    assert main([command]) == 2
    line = f"pip install -c constraints.txt -e '.[{extra}]'"
    assert capsys.readouterr().err == f"dlseg: {module} is not installed; run: {line}\n"


@pytest.mark.parametrize("command", ["run", "test"])
def test_missing_device_is_told_once(command, monkeypatch, capsys):
    """Not by every cell of every chapter; no chapter is touched."""
    monkeypatch.setenv("DLSEG_DEVICE", "gpu")
    assert main([command, "00"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("dlseg: DLSEG_DEVICE must be one of auto, cpu, cuda, mps")


@pytest.mark.parametrize("command", ["run", "test"])
def test_patience_is_a_number_above_0(command, capsys):
    assert main([command, "00", "--patience", "0"]) == 2
    assert "number above 0 such as 10; got '0.0'" in capsys.readouterr().err


def test_chosen_device_is_used(monkeypatch):
    monkeypatch.setenv("DLSEG_DEVICE", "gpu")
    use_device("cpu")
    assert os.environ["DLSEG_DEVICE"] == "cpu"


def test_no_book_here(tmp_path, monkeypatch, capsys):
    def nowhere():
        raise ManifestError("no book.toml in this folder or above it")

    monkeypatch.setattr(cli, "read_book", nowhere)
    assert main(["list"]) == 2
    assert capsys.readouterr().err == "dlseg: no book.toml in this folder or above it\n"
