"""The console command `dlseg`."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from dlseg import __version__
from dlseg.checks import CommandError

# Modules with commands; each has `add(commands)`.
COMMANDS = ("train", "predict", "export", "crf", "doctor")


def main(words: Sequence[str] | None = None, modules: Sequence = ()) -> int:
    """Run one command of the library, or of the `modules`, which have `add` too.

    Returns: its exit code: 0 well, 1 found fault, 2 could not be done.
    """
    parser = argparse.ArgumentParser(prog="dlseg", description="Segment images with DeepLab")
    parser.add_argument("--version", action="version", version=f"dlseg {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (*modules, *(import_module(f"dlseg.commands.{name}") for name in COMMANDS)):
        module.add(commands)
    arguments = parser.parse_args(words)
    try:
        return arguments.function(arguments)
    except CommandError as error:
        print(f"dlseg: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
