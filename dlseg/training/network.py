"""The network of a checkpoint: made again as the description says, with the weights in the file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dlseg.backbones import TIMM
from dlseg.data import VOC_CLASSES, voc_palette
from dlseg.device import out_of_memory
from dlseg.models import (
    RELEASED,
    Guest,
    at_stride,
    build_model,
    is_own,
    name_of,
    released_network,
)
from dlseg.paths import printable
from dlseg.state import misfit
from dlseg.training.checkpoint import OTHERWISE, CheckpointError, load_checkpoint, save_checkpoint
from dlseg.training.recipe import Recipe
from dlseg.training.weights import give_weights

REPLACED = 16  # times the weights: what a network may be made of before its parts are replaced


def load_network(
    path: str | Path, output_stride: int | None = None, trust_imports: bool = False
) -> tuple[nn.Module, dict]:
    """The trained network of a checkpoint, on the CPU in eval mode, and the checkpoint's entries.

    path: of the file, or the name of a network that others trained, a key of
    `dlseg.models.RELEASED`, whose file is fetched where it is not at hand; its only entry is
    "extra", the names and colours of the classes.
    output_stride: None, as trained, or another: the weights fit, and the rates, ASPP's too, follow
    (DeepLab v3, section 4.1 and table 10).
    trust_imports: whether a network that is not of this package may be imported, and its code run.
    It comes as a `Guest`, whose `model` it is.
    Raises CheckpointError for a file that is no good checkpoint, or one without a description;
    ValueError for an output stride that the network cannot have, and for a network that is not of
    this package without trust_imports; ModuleNotFoundError without timm, where it is on one of its
    encoders; for a name, as `released_network`.
    """
    if str(path) in RELEASED and not Path(path).exists():
        extra = {"classes": list(VOC_CLASSES), "palette": voc_palette().tolist()}
        return released_network(str(path), output_stride), {"model": None, "extra": extra}
    entries = load_checkpoint(path)
    if entries["model"] is None:
        raise CheckpointError(
            f"{printable(path)} does not say which network it holds; load its `weights` into one, "
            "or train with a description: see `dlseg.models.described`"
        )
    if not is_own(entries["model"]):
        return _guest(entries, path, output_stride, trust_imports), entries
    model = _described(entries, path)
    if output_stride not in (None, model.output_stride):
        model = build_model(at_stride(entries["model"], output_stride))
    give_weights(model, entries, path)
    return model.eval(), entries


def save_network(
    path: str | Path,
    model: nn.Module | Mapping[str, Tensor],
    description: dict,
    classes: Sequence[str] | None = None,
    palette: Sequence[Sequence[int]] | None = None,
) -> None:
    """Write a network as a checkpoint that `load_network` and the commands take.

    model: or its state dict. description: of `dlseg.models.describe` or `described`. classes: their
    names; palette: 256 colours, RGB from 0 to 255. Nothing is kept of how it was trained: it is as
    one of no iteration.
    Raises CheckpointError as `save_checkpoint`.
    """
    extra = {"classes": classes and list(classes), "palette": palette}
    entries = {
        "model": description,
        "weights": model.state_dict() if isinstance(model, nn.Module) else dict(model),
        "recipe": asdict(Recipe()),
        "iteration": 0,
        "optimiser": {"state": {}, "param_groups": []},
        "scaler": {},
        "losses": [],
        "metrics": {},
        "extra": {name: value for name, value in extra.items() if value is not None},
    }
    save_checkpoint(path, entries)


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
    """The described network of this package, as it is built. CheckpointError for another's weights.

    It is never larger than the weights, so that a number in the file cannot fill the memory. Some
    are made with parts that are then replaced, or dropped by timm: those are made without memory
    first.
    """
    description, count = entries["model"], sum(w.numel() for w in entries["weights"].values())
    if "call" in description or TIMM in description["network"]:
        with torch.device("meta"), _AtMost(REPLACED * count):
            _fitting(description, entries, path)
        return build_model(description)
    with _AtMost(count):
        return _fitting(description, entries, path)


def _fitting(description: dict, entries: dict, path: str | Path) -> nn.Module:
    """The network that is built. CheckpointError where it cannot be, or has other weights."""
    try:
        model = build_model(description)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # what sizes without sense lead to
        if out_of_memory(error):
            raise
        why = str(error).partition("\n")[0]
        raise CheckpointError(
            f"{printable(path)}: no network can be as model says ({why}); {OTHERWISE}"
        ) from error
    if difference := misfit(model, entries["weights"]):
        held = f"weights are not those of model, {name_of(entries['model'])}"
        raise CheckpointError(f"{printable(path)}: {held}: {difference}; {OTHERWISE}")
    return model


def _guest(entries: dict, path: str | Path, output_stride: int | None, trusted: bool) -> Guest:
    """The network of another program. ValueError where it is not trusted, or has other weights."""
    description = entries["model"]
    if output_stride is not None:
        at_stride(description, output_stride)
    try:
        model = build_model(description, trust_imports=trusted)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{printable(path)}: {error}") from error
    give_weights(model, entries, path)
    return Guest(model, description["num_classes"]).eval()
