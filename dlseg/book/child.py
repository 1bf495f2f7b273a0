"""Programs that a command starts, and that end when it is stopped."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

GRACE = 15  # seconds in which a program that was asked to end may tidy up


def run_child(
    command: list[str],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    ask: int = signal.SIGTERM,
) -> int:
    """Run a program in `folder` and wait for its end, or end it when this process is stopped.

    The program has a process group of its own: a Ctrl-C in the terminal reaches this process
    alone, which asks the program once, in the way that it understands.

    environment: variables beside those of this process. ask: the signal that asks.
    Returns: its exit code.
    """
    child = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,  # a group in the background may not read from the terminal
        process_group=0 if os.name == "posix" else None,
    )
    try:
        return child.wait()
    finally:
        if child.returncode is None:
            _end(child, ask)


def _end(child: subprocess.Popen, ask: int) -> None:
    """Ask the program, which ends those it started; whoever is left then is killed."""
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.send_signal(ask if os.name == "posix" else signal.SIGTERM)
            child.wait(GRACE)
    finally:  # also where the user stops it a second time
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left
                os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
        child.wait()
