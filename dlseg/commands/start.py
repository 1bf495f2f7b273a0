"""What a training starts from: of given weights every layer that fits the network is kept.

So a network for other classes starts from one that is trained: all but the classifier fits.
"""

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from torch import Tensor, nn

from dlseg.checks import CommandError
from dlseg.models import RELEASED, released_weights
from dlseg.paths import check_path, printable
from dlseg.schema import Unfit
from dlseg.state import STATE_DICT, read_saved
from dlseg.training import CheckpointError, load_checkpoint

IMAGENET = "imagenet"  # the backbone's published weights, or imagenet:FILE, a file of them
SHOWN = 4  # names of layers in a message


def start_from(model: nn.Module, weights: str) -> str:
    """Give `model` every layer of `weights` that fits it; says which it keeps and which it begins.

    weights: the file of a checkpoint or of a state dict, of a backbone alone too; imagenet:FILE; or
    a name in `dlseg.models.RELEASED`.
    Raises CommandError where not one layer fits, CheckpointError for a file of anything else, and
    for a name as `released_weights`.
    """
    state = _named_as_in(model, _read(weights), weights.startswith(f"{IMAGENET}:"))
    kept, anew = keep_fitting(model, state)
    if not kept:
        raise CommandError(
            f"the weights of {printable(weights)} do not fit this network: not one layer has the "
            "name and the shape of one of its layers. Choose the --network (and --width) that "
            "they were trained in"
        )
    begun = f"; begun anew: {_listed(kept, anew)}" if anew else "; all are kept"
    return f"{len(kept)} of {len(kept) + len(anew)} layers start from {printable(weights)}{begun}"


def keep_fitting(model: nn.Module, state: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
    """Give `model` the layers of a state dict that fit whole; names of the kept and of the others.

    A layer is a module with parameters of its own, such as a convolution.
    """
    own, kept, anew, taken = model.state_dict(), [], [], {}
    for layer, names in groupby(own, key=lambda name: name.rpartition(".")[0]):
        names = [name for name in names if name in state or not name.endswith("_tracked")]
        fits = all(name in state and state[name].shape == own[name].shape for name in names)
        (kept if fits else anew).append(layer)
        taken |= {name: state[name] for name in names if fits}
    model.load_state_dict(own | taken)
    return kept, anew


def _read(weights: str) -> Mapping[str, Tensor]:
    if weights in RELEASED and not Path(weights).exists():
        return released_weights(weights)
    path = check_path("weights", weights.removeprefix(f"{IMAGENET}:"))
    try:
        return load_checkpoint(path)["weights"]
    except CheckpointError:
        try:
            return STATE_DICT("the content", read_saved(path, zipped=False))
        except (OSError, Unfit):
            pass  # what is wrong with it as a checkpoint is told
        raise


def _named_as_in(
    model: nn.Module, state: Mapping[str, Tensor], of_backbone: bool
) -> Mapping[str, Tensor]:
    """A state dict under the names of `model`: a backbone's own begin anew below "backbone."."""
    inside = {f"backbone.{name}": value for name, value in state.items()}
    own = model.state_dict()
    return inside if of_backbone or _fitting(own, inside) > _fitting(own, state) else state


def _fitting(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> int:
    return sum(name in own and own[name].shape == value.shape for name, value in state.items())


def _listed(kept: list[str], anew: list[str]) -> str:
    """The layers begun anew: by name where they are few, else how many in each part."""
    if len(anew) <= SHOWN:
        return ", ".join(anew)
    parts = []
    for top in dict.fromkeys(layer.partition(".")[0] for layer in anew):
        of = [sum(layer.partition(".")[0] == top for layer in layers) for layers in (anew, kept)]
        parts.append(f"{top} ({of[0]} of {sum(of)})" if of[1] else f"{top} (all {of[0]})")
    return ", ".join(parts)
