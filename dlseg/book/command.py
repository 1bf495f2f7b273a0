"""What the commands of the command line share."""

import importlib.util
import os


class CommandError(Exception):
    """Something the user can mend; printed as one line, exit code 2."""


def need(module: str, extra: str) -> None:
    """CommandError with the command that installs `module`, unless it is there."""
    if importlib.util.find_spec(module) is None:
        raise CommandError(
            f"{module} is not installed; run: pip install -c constraints.txt -e '.[{extra}]'"
        )


def use_device(name: str | None) -> None:
    """Compute on the device `name`, or as DLSEG_DEVICE says; a fault is told once."""
    need("torch", "read")
    from dlseg.device import get_device

    if name:
        os.environ["DLSEG_DEVICE"] = name
    try:
        get_device()
    except (ValueError, RuntimeError) as error:
        raise CommandError(str(error)) from error
