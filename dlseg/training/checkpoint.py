"""Checkpoints: a run on disk, whole or not at all.

A file is written beside its place, forced to the disk, and renamed: whatever happens in between,
the name holds the last good checkpoint. Only tensors, numbers, strings and containers of them are
stored, so that it can be loaded without running code from it (`weights_only=True`).

The entries, VERSION 1:
    version       1
    model         description of the network, see `dlseg.models.describe`, or None
    weights       its state dict
    recipe        the fields of `Recipe`; with `iteration` they are the schedule's whole state
    iteration     steps done; with the recipe's seed they are the position in the data and the
                  state of every random generator: see `dlseg.training.loader` and `.engine`
    optimiser     its state dict
    scaler        state dict of mixed precision's gradient scaler
    losses        of every iteration so far
    metrics       what was measured, by iterations done
    extra         what the caller wants to find again, such as names of classes and the palette
"""

import contextlib
import os
import zipfile
from pathlib import Path

import torch
from torch import nn

from dlseg.models import build_model

VERSION = 1
LAST = "last.pt"
ENTRIES = {"model", "weights", "recipe", "iteration", "optimiser", "scaler", "losses", "metrics"}
ENTRIES |= {"extra"}


class CheckpointError(Exception):
    """A checkpoint that cannot be written, or is none; says which file, why, and what to do."""


def save_checkpoint(path: str | Path, entries: dict) -> None:
    """Write `entries` (see above; the version is added) to `path` in one step.

    Raises CheckpointError where the disk is full or the folder cannot be written; whatever was at
    `path` before is still there, and nothing else is left behind.
    """
    path = Path(path)
    partial = path.with_name(path.name + ".part")  # one writer, so a killed one's rest is reused
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(partial, {"version": VERSION} | entries)
        partial.replace(path)
        _sync_folder(path.parent)
    # PyTorch turns some faults of writing into RuntimeError.
    except (OSError, RuntimeError) as error:
        _remove(partial)
        kept = f"; the last good one is still {path}" if path.exists() else ""
        raise CheckpointError(
            f"cannot write the checkpoint {path}: {error}{kept}. "
            "Make room or choose another folder, and resume"
        ) from error


def load_checkpoint(path: str | Path) -> dict:
    """The entries of the checkpoint `path`, all tensors on the CPU.

    Raises CheckpointError for a file that is missing, damaged (its checksums are tested), no
    checkpoint of dlseg, or of another version.
    """
    path = Path(path)
    entries = _read(path)
    version = entries.get("version") if isinstance(entries, dict) else None
    if version is None or not set(entries) >= ENTRIES:
        raise CheckpointError(f"{path} is no checkpoint of dlseg; give the last.pt of a training")
    if version != VERSION:
        raise CheckpointError(
            f"{path} has version {version}, and this dlseg reads version {VERSION}; "
            "use the dlseg that wrote it, or train again"
        )
    return entries


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Give `model` the weights of a checkpoint, all of them.

    Raises CheckpointError for a file that is no good checkpoint, ValueError for the weights of
    another network.
    """
    _give(model, load_checkpoint(path), path)


def load_network(path: str | Path, output_stride: int | None = None) -> tuple[nn.Module, dict]:
    """The trained network of a checkpoint, on the CPU in eval mode, and the checkpoint's entries.

    output_stride: None, as trained, or another: the weights fit, and the rates, ASPP's too, follow
    (DeepLab v3, section 4.1 and table 10).
    Raises CheckpointError for a file that is no good checkpoint, or one without a description;
    ValueError for an output stride that the network cannot have.
    """
    entries = load_checkpoint(path)
    if entries["model"] is None:
        raise CheckpointError(f"{path} does not say which network it holds; load its `weights`")
    changes = {} if output_stride is None else {"output_stride": output_stride}
    model = build_model(entries["model"] | changes)
    _give(model, entries, path)
    return model.eval(), entries


def _give(model: nn.Module, entries: dict, path: str | Path) -> None:
    try:
        model.load_state_dict(entries["weights"])
    except RuntimeError as error:
        held = f"it holds {entries['model']}" if entries["model"] else "it holds another network"
        raise ValueError(f"the weights of {path} do not fit this network: {held}") from error


def _write(partial: Path, entries: dict) -> None:
    with partial.open("wb") as file:
        torch.save(entries, file)
        file.flush()
        os.fsync(file.fileno())  # else a crash may leave an empty file under the new name


def _sync_folder(folder: Path) -> None:
    """Force the renaming itself to the disk, where the system lets us open a folder."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove(partial: Path) -> None:
    with contextlib.suppress(OSError):  # in a folder that cannot be written, nothing was
        partial.unlink(missing_ok=True)


def _read(path: Path) -> object:
    damaged = f"{path} is damaged or no checkpoint; take an older copy, or train again"
    try:
        broken = _broken_part(path)
        entries = None if broken else torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint {path}") from error
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error}") from error
    except Exception as error:  # there is no end to what damaged bytes can raise
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"{damaged} ({reason})") from error
    if broken:
        raise CheckpointError(f"{damaged} (wrong checksum of {broken})")
    return entries


def _broken_part(path: Path) -> str | None:
    """The first part whose checksum is wrong: torch.load does not look at them."""
    with zipfile.ZipFile(path) as file:
        return file.testzip()
