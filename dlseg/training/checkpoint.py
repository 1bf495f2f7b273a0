"""Checkpoints: a run on disk, whole or not at all.

A file is written aside (`dlseg.aside`): whatever happens in between, the name holds the last good
checkpoint. Only tensors, numbers, texts and containers of them are stored, so that it can be loaded
without running code from it (`weights_only=True`). `check_entries` is what they must be, and is
asked before a file is written and before anything is built of one.

The entries, VERSION 1:
    version       1
    model         description of the network, see `dlseg.models.describe` and `described`, or None
    weights       its state dict, of finite numbers
    recipe        the fields of `Recipe`; with `iteration` they are the schedule's whole state
    iteration     steps done; with the recipe's seed they are the position in the data and the
                  state of every random generator: see `dlseg.training.loader` and `.engine`
    optimiser     its state dict
    scaler        state dict of mixed precision's gradient scaler
    losses        of every iteration so far, as many as `iteration`
    metrics       what was measured, by iterations done
    extra         what the caller wants to find again: plain values, of which "data" and "split" are
                  texts, "classes" names of the model's classes, "palette" 256 colours (0 to 255)
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dlseg.aside import new_file
from dlseg.models import name_of
from dlseg.paths import check_path, printable
from dlseg.schema import Unfit
from dlseg.state import read_any, read_saved, state_dict_in
from dlseg.training.entries import ENTRIES, VERSION, check_entries

LAST = "last.pt"
OTHERWISE = "take an older copy, or train again"


class CheckpointError(Exception):
    """A checkpoint that cannot be written, or is none; says which file, why, and what to do."""


def save_checkpoint(path: str | Path, entries: dict) -> None:
    """Write `entries` (see above; the version is added) to `path` in one step.

    Raises CheckpointError where an entry is not as above, the disk is full or the folder cannot be
    written; whatever was at `path` before is still there, and nothing else is left behind.
    """
    path = _place(path)
    try:
        entries = check_entries({"version": VERSION} | entries)
        with new_file(path) as file:
            torch.save(entries, file)
    except Unfit as error:
        raise CheckpointError(f"cannot write the checkpoint {printable(path)}: {error}") from error
    # PyTorch turns some faults of writing into RuntimeError.
    except (OSError, RuntimeError) as error:
        kept = f"; the last good one is still {printable(path)}" if os.path.exists(path) else ""
        raise CheckpointError(
            f"cannot write the checkpoint {printable(path)}: {error}{kept}. "
            "Make room or choose another folder, and resume"
        ) from error


def load_checkpoint(path: str | Path) -> dict:
    """The entries of the checkpoint `path`, all tensors on the CPU.

    Raises CheckpointError for a file that is missing, damaged (its checksums are tested), no
    checkpoint of dlseg, or of another version, and for an entry that is not as above.
    """
    path = _place(path)
    content = _read(path)
    if not is_checkpoint(content):
        raise CheckpointError(
            f"{printable(path)} is no checkpoint of dlseg; give the last.pt of a training"
        )
    return _checked(content, path)


def load_state(path: str | Path) -> tuple[dict[str, Tensor], str]:
    """The weights in a file, on the CPU, and in words what the file is.

    It may be a checkpoint of dlseg, or a state dict of another program: see
    `dlseg.state.state_dict_in`. A name that ends in .safetensors needs the package safetensors.
    Raises CheckpointError where it is neither, ModuleNotFoundError where a package is missing.
    """
    path = _place(path)
    content = _read(path, read_any, "give another file")
    if is_checkpoint(content):
        entries = _checked(content, path)
        held = f", {name_of(entries['model'])}" if entries["model"] else ""
        return entries["weights"], f"a checkpoint of dlseg{held}"
    try:
        return state_dict_in(content)
    except Unfit as error:
        raise CheckpointError(f"{printable(path)}: {error}; give a file with one") from error


def is_checkpoint(content: object) -> bool:
    """Whether what a file holds is meant as a checkpoint of dlseg, good or not."""
    known = set(ENTRIES) & set(content) if isinstance(content, dict) else set()
    return "version" in known and len(known) > 1


def _checked(entries: dict, path: Path) -> dict:
    """The entries, each looked at. CheckpointError for another version, or one that is wrong."""
    version = entries["version"]
    if type(version) is int and version != VERSION:
        raise CheckpointError(
            f"{printable(path)} has version {version}, and this dlseg reads version {VERSION}; "
            "use the dlseg that wrote it, or train again"
        )
    try:
        return check_entries(entries)
    except Unfit as error:
        raise CheckpointError(f"{printable(path)}: {error}; {OTHERWISE}") from error


def _place(path: str | Path) -> Path:
    """`path` as `check_path` has it; CheckpointError where no file can be looked for there."""
    try:
        return check_path("the checkpoint", path)
    except ValueError as error:
        raise CheckpointError(str(error)) from error


def _read(path: Path, read: Callable[[Path], Any] = read_saved, otherwise: str = OTHERWISE) -> Any:
    try:
        return read(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(f"there is no checkpoint {printable(path)}") from error
    except IsADirectoryError as error:
        raise CheckpointError(
            f"{printable(path)} is a folder; give the {LAST} of a training"
        ) from error
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {printable(path)}: {error}") from error
    except Unfit as error:
        raise CheckpointError(
            f"{printable(path)} is no good checkpoint: {error}; {otherwise}"
        ) from error
