"""Programs that a command starts, and that end when it is stopped."""

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
    alone, which asks the group once, in the way that its program understands.

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
    try:
        _send(child, ask)
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        pass
    finally:  # also where the user asked a second time
        if child.returncode is None:
            _send(child, getattr(signal, "SIGKILL", signal.SIGTERM))
            child.wait()


def _send(child: subprocess.Popen, number: int) -> None:
    if os.name == "posix":
        os.killpg(child.pid, number)
    else:
        child.terminate()
