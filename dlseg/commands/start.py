"""What a training starts from: of given weights every layer that fits the network is kept.

So a network for other classes starts from one that is trained: all but the classifier fits.
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from dlseg.checks import CommandError
from dlseg.models import RELEASED, released_weights
from dlseg.paths import check_path, printable
from dlseg.training import Taken, load_state, take_fitting

IMAGENET = "imagenet"  # the backbone's published weights, or imagenet:FILE, a file of them


def start_from(model: nn.Module, weights: str) -> Taken:
    """Give `model` every layer of `weights` that fits it; what it keeps and what it begins anew.

    weights: the file of a checkpoint or of a state dict, of a backbone alone too; imagenet:FILE; or
    a name in `dlseg.models.RELEASED`.
    Raises CommandError where not one layer fits, CheckpointError for a file of anything else, and
    for a name as `released_weights`.
    """
    state, source = _read(weights)
    state = _named_as_in(model, state, weights.startswith(f"{IMAGENET}:"))
    try:
        return take_fitting(model, state, source)
    except ValueError as error:
        remedy = "choose the --network (and --width) that they were trained in"
        raise CommandError(f"{error}; {remedy}") from error


def _read(weights: str) -> tuple[Mapping[str, Tensor], str]:
    if weights in RELEASED and not Path(weights).exists():
        return released_weights(weights), weights
    state, words = load_state(check_path("weights", weights.removeprefix(f"{IMAGENET}:")))
    return state, f"{printable(weights)} ({words})"


def _named_as_in(
    model: nn.Module, state: Mapping[str, Tensor], of_backbone: bool
) -> Mapping[str, Tensor]:
    """A state dict under the names of `model`: a backbone's own begin anew below "backbone."."""
    inside = {f"backbone.{name}": value for name, value in state.items()}
    own = model.state_dict()
    return inside if of_backbone or _fitting(own, inside) > _fitting(own, state) else state


def _fitting(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> int:
    return sum(name in own and own[name].shape == value.shape for name, value in state.items())
