"""Weights for a network that is there already: all of a file, or every layer of it that fits."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from dlseg.models import name_of
from dlseg.paths import printable
from dlseg.state import few, fitting, layer_of, misfit
from dlseg.training.checkpoint import load_state

SHOWN = 4  # names of layers in a message


class Taken(NamedTuple):
    """What a network took of a file; `print(taken)` says it.

    source: what the file was. kept: names of the layers that were taken; begun: of those that have
    the weights they had, both in the order of the network; left: of layers in the file that no
    layer of the network took. A layer is a module with tensors of its own, such as "classifier.4".
    """

    source: str
    kept: tuple[str, ...]
    begun: tuple[str, ...]
    left: tuple[str, ...]

    def __str__(self) -> str:
        count = f"{len(self.kept)} of {len(self.kept) + len(self.begun)} layers"
        begun = f"begun anew: {self._parts()}" if self.begun else "all are kept"
        left = f"; left in the file {len(self.left)}: {few(self.left)}" if self.left else ""
        return f"{count} start from {self.source}; {begun}{left}"

    def _parts(self) -> str:
        """The layers begun anew: by name where they are few, else how many in each part."""
        if len(self.begun) <= SHOWN:
            return ", ".join(self.begun)
        parts = []
        for top in dict.fromkeys(layer.partition(".")[0] for layer in self.begun):
            anew, kept = (
                sum(layer.partition(".")[0] == top for layer in layers)
                for layers in (self.begun, self.kept)
            )
            parts.append(f"{top} ({anew} of {anew + kept})" if kept else f"{top} (all {anew})")
        return ", ".join(parts)


def load_weights(model: nn.Module, path: str | Path, partial: bool = False) -> Taken:
    """Give `model` the weights in a file: a checkpoint of dlseg, or a plain state dict.

    A state dict may be the whole file or an entry "state_dict", "model_state" or "model" of it, and
    its names may begin with "module."; .safetensors is read where safetensors is installed.
    partial: False takes all or nothing; True every layer whose names and shapes fit, such as all
    but the classifier where the file knows other classes.
    Raises CheckpointError for a file that holds no weights, ValueError where they do not fit, with
    partial only where no layer does; the model is then as it was.
    """
    state, words = load_state(path)
    source = f"{printable(path)} ({words})"
    if not partial and (difference := misfit(model, state)):
        raise ValueError(f"the weights of {source} do not fit this network: {difference}")
    return take_fitting(model, state, source)


def take_fitting(model: nn.Module, state: Mapping[str, Tensor], source: str) -> Taken:
    """Give `model` every layer of a state dict whose names and shapes fit.

    source: what it was read from, for messages. ValueError where no layer fits; the model is then
    as it was.
    """
    fits = fitting(model, state)
    if not fits:
        raise ValueError(
            f"the weights of {source} do not fit this network, not one layer: "
            f"{misfit(model, state)}"
        )
    give(model, {key: value for key, value in state.items() if layer_of(key) in fits})
    own, theirs = (dict.fromkeys(map(layer_of, names)) for names in (model.state_dict(), state))
    kept = tuple(layer for layer in own if layer in fits)
    begun = tuple(layer for layer in own if layer not in fits)
    return Taken(source, kept, begun, tuple(layer for layer in theirs if layer not in fits))


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
