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

import math
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from dlseg.aside import new_file
from dlseg.data import VOC_CLASSES, voc_palette
from dlseg.device import out_of_memory
from dlseg.models import RELEASED, build_model, released_network
from dlseg.paths import check_path, printable
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
    entries = _read(path)
    known = set(ENTRIES) & set(entries) if isinstance(entries, dict) else set()
    if "version" not in known or len(known) < 2:
        raise CheckpointError(
            f"{printable(path)} is no checkpoint of dlseg; give the last.pt of a training"
        )
    version = entries["version"]
    if type(version) is int and version != VERSION:
        raise CheckpointError(
            f"{printable(path)} has version {version}, and this dlseg reads version {VERSION}; "
            "use the dlseg that wrote it, or train again"
        )
    try:
        return check_entries(entries)
    except Unfit as error:
        raise CheckpointError(f"{printable(path)}: {error}; {_OTHERWISE}") from error


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Give `model` the weights of a checkpoint, all of them.

    Raises CheckpointError for a file that is no good checkpoint, ValueError for the weights of
    another network.
    """
    give_weights(model, load_checkpoint(path), path)


def load_network(path: str | Path, output_stride: int | None = None) -> tuple[nn.Module, dict]:
    """The trained network of a checkpoint, on the CPU in eval mode, and the checkpoint's entries.

    path: of the file, or the name of a network that others trained, a key of
    `dlseg.models.RELEASED`, whose file is fetched where it is not at hand; its only entry is
    "extra", the names and colours of the classes.
    output_stride: None, as trained, or another: the weights fit, and the rates, ASPP's too, follow
    (DeepLab v3, section 4.1 and table 10).
    Raises CheckpointError for a file that is no good checkpoint, or one without a description;
    ValueError for an output stride that the network cannot have; for a name, as `released_network`.
    """
    if str(path) in RELEASED and not Path(path).exists():
        extra = {"classes": list(VOC_CLASSES), "palette": voc_palette().tolist()}
        return released_network(str(path), output_stride), {"model": None, "extra": extra}
    entries = load_checkpoint(path)
    if entries["model"] is None:
        raise CheckpointError(
            f"{printable(path)} does not say which network it holds; load its `weights`"
        )
    model = _described(entries, path)
    if output_stride not in (None, model.output_stride):
        model = build_model(entries["model"] | {"output_stride": output_stride})
    give_weights(model, entries, path)
    return model.eval(), entries


def give_weights(model: nn.Module, entries: dict, path: str | Path) -> None:
    """Give `model` the weights among the entries of the checkpoint `path`; ValueError as above."""
    if difference := misfit(model, entries["weights"]):
        held = f"it holds {entries['model']}" if entries["model"] else "it holds another network"
        raise ValueError(
            f"the weights of {printable(path)} do not fit this network, {held}: {difference}"
        )
    model.load_state_dict(entries["weights"])


class _AtMost(TorchFunctionMode):
    """While it holds, layers may have so many numbers together; ValueError for more."""

    def __init__(self, most: int):
        super().__init__()
        self.left = most

    def __torch_function__(self, make, types, args=(), kwargs=None):
        if make is torch.empty:
            self.left -= math.prod(args[0] if isinstance(args[0], Sequence) else args)
            if self.left < 0:
                raise ValueError("it is larger than the weights in the file")
        return make(*args, **kwargs or {})


def _described(entries: dict, path: str | Path) -> nn.Module:
    """The described network, as it is built. CheckpointError unless it has such weights.

    It is never larger than the weights, so that a number in the file cannot fill the memory.
    """
    try:
        with _AtMost(sum(weight.numel() for weight in entries["weights"].values())):
            model = build_model(entries["model"])
    except Exception as error:  # what sizes without sense lead to
        if out_of_memory(error):
            raise
        why = str(error).partition("\n")[0]
        raise CheckpointError(
            f"{printable(path)}: no network can be as model says ({why}); {_OTHERWISE}"
        ) from error
    if difference := misfit(model, entries["weights"]):
        held = f"weights are not those of model, {entries['model']}"
        raise CheckpointError(f"{printable(path)}: {held}: {difference}; {_OTHERWISE}")
    return model


def _place(path: str | Path) -> Path:
    """`path` as `check_path` has it; CheckpointError where no file can be looked for there."""
    try:
        return check_path("the checkpoint", path)
    except ValueError as error:
        raise CheckpointError(str(error)) from error


def _read(path: Path) -> object:
    try:
        return read_saved(path)
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
            f"{printable(path)} is no good checkpoint: {error}; {_OTHERWISE}"
        ) from error
