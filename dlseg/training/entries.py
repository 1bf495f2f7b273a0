"""What a checkpoint must hold, asked before one is written and before anything is built of one."""

from torch import Tensor

from dlseg.models import WEIGHTS, network_row
from dlseg.schema import (
    Unfit,
    choice,
    integer,
    listing,
    maybe,
    number,
    plain,
    record,
    table,
    text,
    wrong,
)
from dlseg.state import STATE_DICT, tensor
from dlseg.training.recipe import RECIPE

VERSION = 1


def _measured(entry: str, value: object) -> float:
    if type(value) is not float:  # NaN is one: there may have been nothing to measure
        raise wrong(entry, "a float", value)
    return value


def _remembered(entry: str, value: object) -> Tensor | float | None:
    return tensor(entry, value) if isinstance(value, Tensor) else maybe(number())(entry, value)


def _network(entry: str, value: object) -> str:
    try:
        network_row(text()(entry, value))
    except ValueError as error:
        raise Unfit(f"{entry} must be a network: {error}") from error
    return value


def _model(entry: str, value: object) -> dict:
    call = isinstance(value, dict) and "call" in value
    description = (record(_CALL) if call else record(_ROW, _HEAD))(entry, value)
    fetched = call and [name for name in WEIGHTS if description["arguments"].get(name)]
    if fetched:
        raise Unfit(f"{entry}.arguments.{fetched[0]} must be None, for the file has the weights")
    return description


# The sizes have bounds only so that arithmetic can be done with them: see `load_network`.
_ROW = {
    "network": _network,
    "num_classes": integer(1, 10**12),
    "output_stride": choice((8, 16, 32)),
    "width": number(1e-3, 1e3),
}
_HEAD = {"channels": integer(1, 10**12), "atrous_rates": listing(integer(1, 10**12))}
_CALL = {
    "call": text(empty=False),
    "arguments": table(text(empty=False), plain),
    "num_classes": integer(1, 10**12),
}
_OPTIMISER = {
    "state": table(integer(), table(text(), _remembered)),
    "param_groups": listing(record({"params": listing(integer())}, others=plain)),
}
_SCALER = ("scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker")
_EXTRA = {
    "data": text(),
    "split": text(),
    "classes": listing(text(empty=False), 1),
    "palette": listing(listing(integer(0, 255), 3, 3), 256, 256),
}
ENTRIES = {
    "version": integer(VERSION, VERSION),
    "model": maybe(_model),
    "weights": STATE_DICT,
    "recipe": RECIPE,
    "iteration": integer(),
    "optimiser": record(_OPTIMISER),
    "scaler": record({}, dict.fromkeys(_SCALER, number(0))),
    "losses": listing(number()),
    "metrics": table(integer(1), table(text(), _measured)),
    "extra": record({}, _EXTRA, others=plain),
}


def check_entries(entries: object) -> dict:
    """The entries of a checkpoint, in plain dicts and lists; Unfit names what is wrong."""
    entries = record(ENTRIES)("", entries)
    done, planned = entries["iteration"], entries["recipe"]["iterations"]
    last = max(entries["metrics"], default=0)
    if done > planned:
        raise Unfit(f"iteration must be at most recipe.iterations, {planned}, got {done}")
    if len(entries["losses"]) != done:
        raise Unfit(f"losses must be one for each iteration, {done}, got {len(entries['losses'])}")
    if last > done:
        raise Unfit(f"a key of metrics must be at most iteration, {done}, got {last}")
    _check_classes(entries["model"], entries["extra"])
    return entries


def _check_classes(model: dict | None, extra: dict) -> None:
    """Unfit unless there are as many names as classes, where both are told."""
    if model is not None and "classes" in extra and len(extra["classes"]) != model["num_classes"]:
        names, count = len(extra["classes"]), model["num_classes"]
        raise Unfit(f"extra.classes must be {count} names, as model.num_classes, got {names}")
