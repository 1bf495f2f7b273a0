"""The table of commands: only what is called is imported, and what is missing is one line."""

import os
import subprocess
import sys
from importlib import import_module

import pytest

from dlseg.book.cli import BOOK
from dlseg.commands import main as table
from dlseg.commands.main import LIBRARY, main
from tests.chapters.tools import ROOT


def python(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("arguments", [["list"], ["--version"], ["--help"], ["read", "--help"]])
def test_what_computes_nothing_loads_no_torch(arguments):
    code = (
        "import sys\n"
        "from dlseg.__main__ import main\n"
        "try:\n"
        f"    main({arguments})\n"
        "except SystemExit as done:\n"
        "    assert not done.code\n"
        "print([name for name in ('torch', 'numpy', 'PIL', 'jupyterlab') if name in sys.modules])"
    )
    done = python("-c", code)
    assert done.returncode == 0 and done.stdout.endswith("\n[]\n"), done.stderr


def test_help_comes_at_once():
    """By the processors' time: others may keep the machine busy."""
    before = os.times()
    assert python("-m", "dlseg", "--help").returncode == 0
    after = os.times()
    user = after.children_user - before.children_user
    assert user + after.children_system - before.children_system < 0.3


@pytest.mark.parametrize("name", LIBRARY | BOOK)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"], BOOK | LIBRARY)
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: dlseg {name}")
    module = import_module((BOOK | LIBRARY)[name][0])
    assert module.__doc__.splitlines()[0] in printed


@pytest.mark.skipif(os.name == "nt", reason="a pipe that breaks is another error on Windows")
@pytest.mark.parametrize("arguments", [["fetch", "--list"], ["--help"], ["list"]])
def test_a_reader_may_stop_reading(arguments):
    """As `head` does: no traceback, and the exit code of a program that a pipe ended."""
    command = [sys.executable, "-m", "dlseg", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=-1, stderr=-1, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    heard = 0 if "--help" in arguments else 128 + table.SIGPIPE  # argparse does not mind
    assert process.returncode in (heard, 128 + table.SIGPIPE)


def test_a_pipe_that_breaks_elsewhere_is_an_error(monkeypatch):
    def broken(*_):
        raise BrokenPipeError("of a worker")

    monkeypatch.setattr(table, "_run", broken)
    with pytest.raises(BrokenPipeError, match="of a worker"):
        main(["train"])


def test_the_library_alone():
    done = python("-m", "dlseg.commands", "--help")
    assert done.returncode == 0 and all(f"\n    {name} " in done.stdout for name in LIBRARY)
    done = python("-m", "dlseg.commands", "site")
    assert done.returncode == 2 and "invalid choice: 'site'" in done.stderr


def test_the_book_and_the_library_share_no_name():
    assert not set(BOOK) & set(LIBRARY)


def test_a_missing_package_is_named(monkeypatch, capsys, tmp_path):
    def lacking(name):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(table, "import_module", lacking)
    monkeypatch.chdir(tmp_path)
    assert main(["train"]) == 2
    message = "dlseg: torch is not installed; run: pip install 'dlseg'\n"
    assert capsys.readouterr().err == message
