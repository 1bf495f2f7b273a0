"""Weights for a network that is there already: all of a file, or every layer of it that fits."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from dlseg.models import name_of
from dlseg.paths import printable
from dlseg.state import few, fitting, layer_of, misfit
from dlseg.training.checkpoint import load_state


class Taken(NamedTuple):
    """What a network took of a file; `print(taken)` says it.

    source: what the file was. layers: how many were taken. begun: names of the layers that keep the
    weights they had, in the order of the network; left: names of layers in the file that no layer
    of the network took. A layer is a module with tensors of its own, such as "classifier.4".
    """

    source: str
    layers: int
    begun: tuple[str, ...]
    left: tuple[str, ...]

    def __str__(self) -> str:
        begun = f"begun anew {len(self.begun)}: {few(self.begun)}" if self.begun else "all of them"
        left = f"; left in the file {len(self.left)}: {few(self.left)}" if self.left else ""
        return f"{self.layers} layers from {self.source}, {begun}{left}"


def load_weights(model: nn.Module, path: str | Path, partial: bool = False) -> Taken:
    """Give `model` the weights in a file: a checkpoint of dlseg, or a plain state dict.

    A state dict may be the whole file or an entry "state_dict", "model_state" or "model" of it, and
    its names may begin with "module."; .safetensors is read where safetensors is installed.
    partial: False takes all or nothing; True every layer whose names and shapes fit, such as all
    but the classifier where the file knows other classes.
    Raises CheckpointError for a file that holds no weights, ValueError where they do not fit, with
    partial only where no layer does; the model is then as it was.
    """
    state, source = load_state(path)
    source = f"{printable(path)} ({source})"
    fits = fitting(model, state)
    if difference := misfit(model, state):
        if not partial:
            raise ValueError(f"the weights of {source} do not fit this network: {difference}")
        if not fits:
            raise ValueError(f"the weights of {source} do not fit this network: {difference}")
    give(model, {key: value for key, value in state.items() if layer_of(key) in fits})
    begun = _without(map(layer_of, model.state_dict()), fits)
    return Taken(source, len(fits), begun, _without(map(layer_of, state), fits))


def give(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put the tensors of a state dict, whose names and shapes fit, into `model`."""
    own = model.state_dict()
    model.load_state_dict(own | {key: state[key] for key in own if key in state})


def give_weights(model: nn.Module, entries: dict, path: str | Path) -> None:
    """Give `model` the weights among the entries of the checkpoint `path`, all of them.

    ValueError for the weights of another network.
    """
    if difference := misfit(model, entries["weights"]):
        held = name_of(entries["model"]) if entries["model"] else "another network"
        what = f"the weights of {printable(path)} do not fit this network"
        raise ValueError(f"{what}, it holds {held}: {difference}")
    model.load_state_dict(entries["weights"])


def _without(names: Iterable[str], taken: set[str]) -> tuple[str, ...]:
    return tuple(name for name in dict.fromkeys(names) if name not in taken)
