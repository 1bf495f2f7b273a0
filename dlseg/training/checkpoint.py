"""Checkpoints: a run on disk, whole or not at all.

A file is written aside (`dlseg.aside`): whatever happens in between, the name holds the last good
checkpoint. Only tensors, numbers, texts and containers of them are stored, so that it can be loaded
without running code from it (`weights_only=True`). `check_entries` is what they must be, and is
asked before a file is written and before anything is built of one.

The entries, VERSION 1:
    version       1
    model         description of the network, see `dlseg.models.describe`, or None
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

from pathlib import Path

import torch
from torch import nn

from dlseg.aside import new_file
from dlseg.models import build_model
from dlseg.schema import Unfit
from dlseg.state import misfit, read_saved
from dlseg.training.entries import ENTRIES, VERSION, check_entries

LAST = "last.pt"
_OTHERWISE = "take an older copy, or train again"


class CheckpointError(Exception):
    """A checkpoint that cannot be written, or is none; says which file, why, and what to do."""


def save_checkpoint(path: str | Path, entries: dict) -> None:
    """Write `entries` (see above; the version is added) to `path` in one step.

    Raises CheckpointError where an entry is not as above, the disk is full or the folder cannot be
    written; whatever was at `path` before is still there, and nothing else is left behind.
    """
    path = Path(path)
    try:
        entries = check_entries({"version": VERSION} | entries)
        with new_file(path) as file:
            torch.save(entries, file)
    except Unfit as error:
        raise CheckpointError(f"cannot write the checkpoint {path}: {error}") from error
    # PyTorch turns some faults of writing into RuntimeError.
    except (OSError, RuntimeError) as error:
        kept = f"; the last good one is still {path}" if path.exists() else ""
        raise CheckpointError(
            f"cannot write the checkpoint {path}: {error}{kept}. "
            "Make room or choose another folder, and resume"
        ) from error


def load_checkpoint(path: str | Path) -> dict:
    """The entries of the checkpoint `path`, all tensors on the CPU.

    Raises CheckpointError for a file that is missing, damaged (its checksums are tested), no
    checkpoint of dlseg, or of another version, and for an entry that is not as above.
    """
    path = Path(path)
    entries = _read(path)
    known = set(ENTRIES) & set(entries) if isinstance(entries, dict) else set()
    if "version" not in known or len(known) < 2:
        raise CheckpointError(f"{path} is no checkpoint of dlseg; give the last.pt of a training")
    version = entries["version"]
    if type(version) is int and version != VERSION:
        raise CheckpointError(
            f"{path} has version {version}, and this dlseg reads version {VERSION}; "
            "use the dlseg that wrote it, or train again"
        )
    try:
        return check_entries(entries)
    except Unfit as error:
        raise CheckpointError(f"{path}: {error}; {_OTHERWISE}") from error


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Give `model` the weights of a checkpoint, all of them.

    Raises CheckpointError for a file that is no good checkpoint, ValueError for the weights of
    another network.
    """
    give_weights(model, load_checkpoint(path), path)


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
    _check_description(entries, path)
    changes = {} if output_stride is None else {"output_stride": output_stride}
    model = build_model(entries["model"] | changes)
    give_weights(model, entries, path)
    return model.eval(), entries


def give_weights(model: nn.Module, entries: dict, path: str | Path) -> None:
    """Give `model` the weights among the entries of the checkpoint `path`; ValueError as above."""
    if difference := misfit(model, entries["weights"]):
        held = f"it holds {entries['model']}" if entries["model"] else "it holds another network"
        raise ValueError(f"the weights of {path} do not fit this network, {held}: {difference}")
    model.load_state_dict(entries["weights"])


def _check_description(entries: dict, path: str | Path) -> None:
    """CheckpointError unless the described network, built without memory, has such weights."""
    try:
        with torch.device("meta"):
            difference = misfit(build_model(entries["model"]), entries["weights"])
    except Exception as error:  # what sizes without sense lead to
        raise CheckpointError(f"{path}: no network can be as model says; {_OTHERWISE}") from error
    if difference:
        held = f"weights are not those of model, {entries['model']}"
        raise CheckpointError(f"{path}: {held}: {difference}; {_OTHERWISE}")


def _read(path: Path) -> object:
    try:
        return read_saved(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint {path}") from error
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {path}: {error}") from error
    except Unfit as error:
        raise CheckpointError(f"{path} is no good checkpoint: {error}; {_OTHERWISE}") from error
