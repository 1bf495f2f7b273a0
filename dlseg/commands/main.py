"""The command line: a table of commands, of which only the one that is called is imported."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from dlseg import __version__
from dlseg.checks import CommandError, install_line

# Name of a command -> its module and a line of help. The module's docstring is its long help; its
# function `add(parser, name)` gives the parser its arguments and the default `function`, which
# takes what was parsed and returns the exit code.
Rows = Mapping[str, tuple[str, str]]
LIBRARY: Rows = {
    "train": ("dlseg.commands.train", "train a network and print its mIoU"),
    "evaluate": ("dlseg.commands.evaluate", "print the IoU of each class of a trained network"),
    "predict": ("dlseg.commands.predict", "label images with a trained network"),
    "export": ("dlseg.commands.export", "write a trained network as an ONNX file"),
    "crf": ("dlseg.commands.crf", "refine a coarse mask by the photograph"),
    "doctor": ("dlseg.commands.doctor", "say what this machine or a folder of data lacks"),
}


def main(argv: Sequence[str] | None = None, rows: Rows = LIBRARY) -> int:
    """Run one command of `rows`. argv: its name and arguments; None: those of this process.

    Returns: its exit code: 0 well, 1 found fault, 2 could not be done.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(prog="dlseg", description="Segment images with DeepLab")
    parser.add_argument("--version", action="version", version=f"dlseg {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    plain = argparse.RawDescriptionHelpFormatter
    try:
        for name, (module, purpose) in rows.items():
            command = commands.add_parser(name, help=purpose, formatter_class=plain)
            if argv[:1] == [name]:
                command.description = _imported(module).__doc__
                _imported(module).add(command, name)
        arguments = parser.parse_args(argv)
        return arguments.function(arguments)
    except CommandError as error:
        print(f"dlseg: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _imported(module: str):
    """The module. CommandError where a package that dlseg needs is missing."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise CommandError(f"{error.name} is not installed; run: {install_line()}") from error
