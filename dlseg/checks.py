"""Checks of arguments, and errors that a user can mend; for every package, without torch."""

import importlib.util
from operator import index


class CommandError(Exception):
    """Something the user can mend; the command line prints it as one line, exit code 2."""


def need(module: str, extra: str) -> None:
    """CommandError with the command that installs `module`, unless it is there."""
    if importlib.util.find_spec(module) is None:
        raise CommandError(
            f"{module} is not installed; run: pip install -c constraints.txt -e '.[{extra}]'"
        )


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
