"""Checks of arguments, and errors that a user can mend; for every package, without torch."""

import importlib.util
import os
from operator import index
from pathlib import Path

DEVICES = ("auto", "cpu", "cuda", "mps")  # what DLSEG_DEVICE and --device may name


class CommandError(Exception):
    """Something the user can mend; the command line prints it as one line, exit code 2."""


def need(module: str, extra: str) -> None:
    """CommandError with the command that installs `module`, unless it is there."""
    if importlib.util.find_spec(module) is None:
        raise CommandError(f"{module} is not installed; run: {install_line(extra)}")


def install_line(extra: str = "") -> str:
    """The command that installs dlseg and what an extra needs, as it works in the current folder.

    In a checkout it takes the tested versions; elsewhere those that fit.
    """
    what, root = f"[{extra}]" if extra else "", checkout()
    if root is None:
        return f"pip install 'dlseg{what}'"
    line = f"pip install -c constraints.txt -e '.{what}'"
    return line if root == Path.cwd() else f"cd {os.path.relpath(root)} && {line}"


def checkout() -> Path | None:
    """The copy of the book that the current folder is or lies in, None outside of one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "constraints.txt").is_file() and (folder / "dlseg" / "checks.py").is_file():
            return folder
    return None


def check_integer(name: str, value: int, least: int) -> int:
    """Return `value` as a plain int, or say what was wrong with it.

    Raises ValueError where `value` is no integer or is below `least`.
    """
    try:
        number = index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value!r}")
    return number
