"""What several commands share: options, the folders of runs, one line for what goes wrong."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from dlseg.checks import DEVICES, CommandError
from dlseg.device import out_of_memory, settings_kept, setup, use_device
from dlseg.training import CheckpointError, load_network, process_group

RUNS = Path("runs")


@contextmanager
def told(advice: Callable[[], str]) -> Iterator[None]:
    """Where a command ends early, the command line says `advice()`: how to go on."""
    try:
        yield
    except BaseException as error:
        error.add_note(advice())
        raise


@contextmanager
def one_line(*kinds: type[Exception], start: str = "") -> Iterator[None]:
    """Errors of these kinds as a CommandError of one line, with `start` before the message."""
    try:
        yield
    except kinds as error:
        raise CommandError(start + " ".join(str(error).split())) from error


def new_run() -> Path:
    """The folder after the last of runs/1, runs/2, ..."""
    return RUNS / str(max(_runs(), default=0) + 1)


def last_run() -> Path:
    """The last of runs/1, runs/2, ... CommandError if there is none."""
    if not _runs():
        raise CommandError("there is no run in the folder runs; train one, or name its folder")
    return RUNS / str(max(_runs()))


def _runs() -> list[int]:
    return [int(path.name) for path in RUNS.glob("*") if re.fullmatch("[0-9]+", path.name)]


def add_device(parser: argparse.ArgumentParser) -> None:
    """The option --device."""
    parser.add_argument("--device", choices=DEVICES, help="default: DLSEG_DEVICE, or auto")


def add_inference(parser: argparse.ArgumentParser) -> None:
    """Options of a trained network: --output-stride, --scales and --flip."""
    parser.add_argument("--output-stride", type=int, help="8, 16 or 32; default: as trained")
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0], help="to average over")
    parser.add_argument("--flip", action="store_true", help="average with the mirror image")


def add_trust(parser: argparse.ArgumentParser) -> None:
    """The option --trust-imports."""
    purpose = (
        "allow to import the network of the checkpoint where it is not dlseg's, from a package or "
        "a file of the current folder, and to run its code: for files that you trust"
    )
    parser.add_argument("--trust-imports", action="store_true", help=purpose)


def trained(
    path: Path, output_stride: int | None, trust_imports: bool
) -> tuple[torch.nn.Module, dict]:
    """`load_network`; where imports are trusted, modules of the current folder are found too."""
    if not trust_imports:
        return load_network(path, output_stride)
    before = sys.path.copy()
    sys.path.append(os.getcwd())  # behind the packages, none of which it can replace
    try:
        return load_network(path, output_stride, trust_imports=True)
    finally:
        sys.path[:] = before


def add_workers(parser: argparse.ArgumentParser) -> None:
    """The option --workers."""
    purpose = "processes that prepare pictures, each on a core of its own; default: 1"
    parser.add_argument("--workers", type=int, default=1, help=purpose)


@contextmanager
def computing(arguments: argparse.Namespace) -> Iterator[torch.device]:
    """The device of this process, of --device and --workers; what goes wrong there is one line.

    At the end the process has as many threads, and its settings, as before.
    """
    use_device(arguments.device)
    try:
        with settings_kept(), process_group(setup()) as device:
            # Threads that wait for each other lose much more than a core where a worker takes one.
            torch.set_num_threads(max(1, torch.get_num_threads() - arguments.workers))
            yield device
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise CommandError(
            "not enough memory: try a smaller --batch-size, or to train with --accumulate 2"
        ) from error
    except (
        ValueError,
        OSError,
        ModuleNotFoundError,
        CheckpointError,
        FloatingPointError,
    ) as error:
        # Of an error in a worker process the last line is the message.
        raise CommandError(str(error).strip().splitlines()[-1]) from error
