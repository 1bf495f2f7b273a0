"""A command that is stopped: one line that says how to go on, a shell's exit code, nobody left."""

import os
import signal
import threading
import time

import pytest

from dlseg.checks import CommandError
from dlseg.commands import main as table
from dlseg.commands.main import main
from tests.processes import started, stop, told, wait_until
from tests.sampling import sampled

ENDLESS = "train --width 0.125 --output-stride 32 --iterations 100000 --batch-size 2 --crop-size 64"
LINE = "dlseg: stopped; go on with: dlseg train --resume --out 'my runs/1'\n"


WAYS = [(signal.SIGINT, True, "1"), (signal.SIGTERM, True, "1"), (signal.SIGTERM, False, "0")]


@pytest.mark.parametrize(("number", "group", "workers"), sampled(WAYS, [WAYS[0], WAYS[2]]))
def test_training(tmp_path, number, group, workers):
    words = [*ENDLESS.split(), "--workers", workers, "--out", "my runs/1"]
    with started(tmp_path, *words) as process:
        wait_until((tmp_path / "my runs/1/last.pt").exists, process)
        assert stop(process, number, group) == 128 + number
    assert told(tmp_path) == LINE


class Command:
    """A module with one command, as `main` imports it."""

    __doc__ = "A command for tests."

    def __init__(self, work):
        self.work = work

    def add(self, parser, _name):
        parser.set_defaults(function=lambda _arguments: self.work())


@pytest.fixture
def run(monkeypatch, capsys):
    """Run work as a command: (exit code, standard error)."""

    def run(work):
        monkeypatch.setattr(table, "import_module", lambda _name: Command(work))
        return main(["x"], {"x": ("x", "x")}), capsys.readouterr().err

    return run


def interrupt(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


def test_signals_mean_what_they_meant_once_a_command_is_done(run):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert run(interrupt) == (143, "dlseg: stopped\n")
    assert run(lambda: interrupt(signal.SIGINT)) == (130, "dlseg: stopped\n")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_error_that_comes_of_stopping_is_no_traceback(run):
    def work():
        try:
            interrupt()
        except KeyboardInterrupt:
            raise RuntimeError("a worker exited unexpectedly") from None

    assert run(work) == (143, "dlseg: stopped\n")


class Trap:
    """An object in whose end Python can pass no error on."""

    def __del__(self):
        interrupt()


def test_a_signal_that_python_lost_is_raised_again(run):
    def work():
        trap = [Trap()]
        trap.clear()
        for _ in range(1000):
            time.sleep(0.001)
        return 0

    assert run(work) == (143, "dlseg: stopped\n")


def test_what_hangs_while_all_is_tidied_up_is_stopped_again(run, monkeypatch):
    """A worker that is killed takes with it the locks that it held."""
    monkeypatch.setattr(table, "TIDYING", 0.2)

    def work():
        try:
            interrupt()
        finally:
            held = threading.Semaphore(0)
            held.acquire(timeout=30)

    begin = time.monotonic()
    assert run(work) == (143, "dlseg: stopped\n")
    assert time.monotonic() - begin < 20


@pytest.mark.skipif("SIGCHLD" not in dir(signal), reason="children's ends are no signals here")
def test_the_end_of_a_worker_is_no_news_once_a_command_is_stopped(run, monkeypatch):
    """PyTorch raises an error at a worker's death, even while the advice is being written."""

    def died(_number, _frame):
        raise RuntimeError("a worker exited unexpectedly")

    def work():
        try:
            interrupt()
        except KeyboardInterrupt as error:
            interrupt(signal.SIGCHLD)
            error.add_note("go on")
            raise

    before = signal.signal(signal.SIGCHLD, died)
    try:
        assert run(work) == (143, "dlseg: stopped; go on\n")
        assert signal.getsignal(signal.SIGCHLD) is died
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_an_error_of_its_own_is_not_hidden(run):
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0)


def test_what_is_ignored_stays_ignored(run, monkeypatch):
    """As `nohup` asks for it."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert run(lambda: interrupt() or 0) == (0, "")
    finally:
        signal.signal(signal.SIGTERM, before)


def test_variables_of_a_command_are_forgotten(run, monkeypatch):
    monkeypatch.setenv("DLSEG_DEVICE", "before")

    def work():
        os.environ.update(DLSEG_DEVICE="cpu", DLSEG_NEW="1", OTHERS="2")
        raise CommandError("no")

    monkeypatch.setenv("OTHERS", "1")
    assert run(work) == (2, "dlseg: no\n")
    assert os.environ["DLSEG_DEVICE"] == "before" and "DLSEG_NEW" not in os.environ
    assert os.environ["OTHERS"] == "2"


def test_it_runs_in_another_thread(run):
    """Where Python sets no handlers."""
    codes = []
    thread = threading.Thread(target=lambda: codes.append(run(lambda: 0)))
    thread.start()
    thread.join()
    assert codes == [(0, "")]
