"""The command line: a table of commands, of which only the one that is called is imported."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module

from dlseg import __version__
from dlseg.checks import CommandError, install_line

TIDYING = 30  # seconds, after which what still waits is stopped again
SIGPIPE = 13  # by which a program ends whose output nobody reads
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM")  # that end a command, where there are such
# Name of a command -> its module and a line of help. The module's docstring is its long help; its
# function `add(parser, name)` gives the parser its arguments and the default `function`, which
# takes what was parsed and returns the exit code.
Rows = Mapping[str, tuple[str, str]]
LIBRARY: Rows = {
    "train": ("dlseg.commands.train", "train a network and print its mIoU"),
    "evaluate": ("dlseg.commands.evaluate", "print the IoU of each class of a trained network"),
    "predict": ("dlseg.commands.predict", "label images with a trained network"),
    "export": ("dlseg.commands.export", "write a trained network as an ONNX file"),
    "convert": ("dlseg.commands.convert", "make a checkpoint of another program's weights"),
    "fetch": ("dlseg.commands.fetch", "get trained weights or pictures by name"),
    "crf": ("dlseg.commands.crf", "refine a coarse mask by the photograph"),
    "doctor": ("dlseg.commands.doctor", "say what this machine or a folder of data lacks"),
}


def main(argv: Sequence[str] | None = None, rows: Rows = LIBRARY) -> int:
    """Run one command of `rows`. argv: its name and arguments; None: those of this process.

    Returns: its exit code: 0 well, 1 found fault, 2 could not be done; as a shell has it, 128 and
    the number of the signal that ended it, such as 130 for Ctrl-C and 143 for SIGTERM.
    """
    signals: list[int] = []
    with _stoppable(signals), _environment_kept():
        return _ended(sys.argv[1:] if argv is None else list(argv), rows, signals)


def _ended(argv: list[str], rows: Rows, signals: list[int]) -> int:
    """Run one command; say what ended it early. signals: those that came."""
    try:
        try:
            return _run(argv, rows)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        if not _unheard():
            raise
        return 128 + SIGPIPE
    except CommandError as error:
        print(f"dlseg: {error}", file=sys.stderr)
        return 2
    except (Exception, KeyboardInterrupt) as error:
        # While all is tidied up, the end of a worker process, say, may raise something of its own.
        if not (signals or isinstance(error, KeyboardInterrupt)):
            raise
        print("; ".join(["dlseg: stopped", *_notes(error)]), file=sys.stderr)
        return 128 + (signals or [signal.SIGINT])[0]


def _unheard() -> bool:
    """Whether nobody reads standard output any more, as in `dlseg fetch --list | head -1`.

    Then the rest of it, which Python writes when it ends, goes nowhere.
    """
    try:
        print(flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _run(argv: list[str], rows: Rows) -> int:
    parser = argparse.ArgumentParser(prog="dlseg", description="Segment images with DeepLab")
    parser.add_argument("--version", action="version", version=f"dlseg {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (module, purpose) in rows.items():
        command = commands.add_parser(name, help=purpose, formatter_class=_Help)
        if argv[:1] == [name]:
            command.description = _imported(module).__doc__
            _imported(module).add(command, name)
    arguments = parser.parse_args(argv)
    return arguments.function(arguments)


class _Help(argparse.RawDescriptionHelpFormatter):
    """Texts as they are written; the default of each option that has one and does not say it."""

    def _get_help_string(self, action: argparse.Action) -> str:
        words, default = action.help or "", action.default
        if default in (None, False, argparse.SUPPRESS) or "default" in words:
            return words
        shown = " ".join(map(str, default)) if isinstance(default, list | tuple) else default
        return f"{words}; default: {shown}".removeprefix("; ").replace("%", "%%")


@contextmanager
def _stoppable(signals: list[int]) -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does: everything is tidied up.

    signals: takes the numbers of those that came.
    """
    owner, before, hook = os.getpid(), {}, sys.unraisablehook

    def stop(number: int, _frame) -> None:
        if os.getpid() != owner:  # a worker process, which has nothing to tidy up
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        signals.append(number)
        # The workers end too, which is no news: PyTorch would raise an error at each one's death.
        if "SIGCHLD" in dir(signal) and signal.SIGCHLD not in before:
            before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL) or signal.SIG_DFL
        _again(TIDYING)  # a worker that was killed may have held a lock that we now wait for
        raise KeyboardInterrupt

    def lost(found) -> None:
        """Where Python can pass no error on, as from `__del__`: raise it again soon after that."""
        if not signals:
            hook(found)
        elif issubclass(found.exc_type, KeyboardInterrupt):
            _again(0.05)

    if threading.current_thread() is threading.main_thread():  # Python allows it there alone
        numbers = [getattr(signal, name, None) for name in SIGNALS]
        # One that is ignored was meant to be, as by nohup.
        for number in numbers:
            if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, stop)
        sys.unraisablehook = lost
    try:
        yield
    finally:
        sys.unraisablehook = hook
        if signals:
            _again(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _again(seconds: float) -> None:
    """Send this process SIGALRM so late, where there is such; 0: no more."""
    if "SIGALRM" in dir(signal):
        signal.setitimer(signal.ITIMER_REAL, seconds)


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Forget at the end what a command told this process and its children by DLSEG_ variables."""

    def ours() -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name.startswith("DLSEG_")}

    before = ours()
    try:
        yield
    finally:
        for name in ours():
            del os.environ[name]
        os.environ.update(before)


def _notes(error: BaseException | None) -> list[str]:
    """What commands wrote on an error, and on those it came up in, about how to go on."""
    if error is None:
        return []
    return [*_notes(error.__context__), *filter(None, getattr(error, "__notes__", []))]


def _imported(module: str):
    """The module. CommandError where a package that dlseg needs is missing."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise CommandError(f"{error.name} is not installed; run: {install_line()}") from error
