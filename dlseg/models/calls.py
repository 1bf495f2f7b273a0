"""Networks by the call that makes them, so that a checkpoint can say which one it holds.

A description of such a network is, beside that of `dlseg.models.registry`, a dict of plain values:

    {
        "call": "segmentation_models_pytorch.DeepLabV3Plus",
        "arguments": {"encoder_name": "resnet34", "encoder_weights": None, "classes": 5},
        "num_classes": 5,
    }

What this package has is on a list, CALLS. Anything else is code of somebody's, which reading a
checkpoint would import and run: it is done only where the caller says that the file is trusted.
"""

import sys
from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from pkgutil import resolve_name
from types import FunctionType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.checks import check_classes
from dlseg.device import out_of_memory
from dlseg.doors import check_same_classes, logits_of
from dlseg.schema import Unfit, plain, table, text
from dlseg.state import misfit

_FAMILIES = ("FCN", "DeepLabV1", "DeepLabV2", "DeepLabV3", "DeepLabV3Plus", "DeepLabV3Cascade")
_THEIRS = ("torchvision_deeplabv3", "torchvision_fcn", "torchvision_mobile_deeplabv3")
_THEIRS += ("smp_deeplabv3", "smp_deeplabv3plus", "transformers_deeplabv3")
_RELATIVES = ("ParseNet", "PSPNet", "RefineNet", "SkipFCN", "SegNet", "LRR", "DilatedNet")
CALLS = {f"dlseg.models.{name}" for name in (*_FAMILIES, *_THEIRS)}
CALLS |= {f"dlseg.models.relatives.{name}" for name in _RELATIVES}
# Arguments that say where first weights come from: a checkpoint has its own.
WEIGHTS = {"weights": None, "encoder_weights": None, "weights_backbone": None, "pretrained": False}
MULTIPLE = 32  # pixels: sides that networks take which do not take all


def described(
    make: Callable[..., nn.Module], *values: object, **arguments: object
) -> tuple[nn.Module, dict]:
    """The network `make(*values, **arguments)`, and its description for a checkpoint.

        model, description = described(smp.DeepLabV3Plus, "resnet34", classes=5)
        train(model, dataset, recipe, folder="runs/own", description=description)

    make: a class or a function at the top of a module that can be imported: of this package,
    torchvision, segmentation-models-pytorch, or your own. values, arguments: numbers, texts, None,
    and lists and dicts of them; a backbone is given by its name. Where first weights come from is
    left out of the description.
    Raises ValueError for a class that cannot be imported again, an argument that is not plain, and
    a network whose number of classes cannot be told.
    """
    call, bound = import_path(make), signature(make).bind(*values, **arguments).arguments
    given = _named(make, bound)
    model = make(*values, **arguments)
    kept = {name: value for name, value in WEIGHTS.items() if name in signature(make).parameters}
    description = {"call": call, "arguments": given | kept}
    description["num_classes"] = _count(model, given)
    if any(given.get(name) for name in kept):
        _check_same(model, description)
    return model, description


def build_call(description: Mapping, trust_imports: bool = False) -> nn.Module:
    """The network of a description with a "call", as the call makes it.

    trust_imports: whether a module that is not of this package may be imported, and its code run.
    Raises ValueError where it must not be, where there is none or it is no network, or where a
    network of this package has another number of classes; what the call raises.
    """
    call, arguments = description["call"], description["arguments"]
    if is_own(description):
        model = resolve_name(call)(**arguments)
        check_same_classes(model.num_classes, description["num_classes"])
        return model
    if not trust_imports:
        raise ValueError(
            f"the network is made by {call}, which is not of dlseg; if you trust the file, allow "
            "to import it and to run its code: --trust-imports on the command line, "
            "load_network(path, trust_imports=True) in Python"
        )
    return _imported(call)(**arguments)


def is_own(description: Mapping) -> bool:
    """Whether a description is of a network of this package: by a row, or by one of CALLS."""
    return "call" not in description or description["call"] in CALLS


def name_of(description: Mapping) -> str:
    """What a description describes, in a few words."""
    name = description.get("call") or description.get("network")
    return f"{name} of {description['num_classes']} classes"


class Guest(nn.Module):
    """A network of another program as those of this package are: (B, 3, H, W) to (B, C, H, W).

    model: returns logits in any of the ways of `dlseg.doors.main_tensor`, of any size.
    num_classes: C. An image of a size that it refuses is padded, at the right and the bottom, by
    zeros, the mean colour, to multiples of 32 pixels, and the logits are cut.
    Attributes: model, num_classes.
    Raises what the network raises for sides that are multiples of 32.
    """

    def __init__(self, model: nn.Module, num_classes: int):
        super().__init__()
        self.model, self.num_classes = model, num_classes

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        down, across = -height % MULTIPLE, -width % MULTIPLE
        try:
            return self._logits(x)
        except (RuntimeError, ValueError, AssertionError) as error:
            if not (down or across) or out_of_memory(error):
                raise
        padded = F.pad(x, (0, across, 0, down))  # (B, 3, multiples of 32)
        return self._logits(padded)[..., :height, :width]

    def _logits(self, x: Tensor) -> Tensor:
        logits = logits_of(self.model(x), self.num_classes, finite=False)  # (B, C, h, w)
        if logits.shape[2:] == x.shape[2:]:
            return logits
        return F.interpolate(logits, x.shape[2:], mode="bilinear")


def import_path(make: Callable) -> str:
    """The shortest path by which `make` can be imported: "torchvision.models.segmentation.f".

    Raises ValueError for what another program cannot import.
    """
    module, name = getattr(make, "__module__", None), getattr(make, "__qualname__", "")
    parts = (module or "").split(".")
    places = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    paths = [
        f"{place}.{name}"
        for place in places
        if place != "__main__" and getattr(sys.modules.get(place), name, None) is make
    ]
    if paths:
        return next(filter(CALLS.__contains__, paths), paths[0])
    raise ValueError(
        f"a checkpoint can name only a class or function at the top of a module, got {make!r} of "
        f"{module}: put it into a file of its own, such as networks.py, and import it from there"
    )


def _imported(call: str) -> Callable[..., nn.Module]:
    """A class of networks, or a function. ValueError where the path leads to none."""
    try:
        make = resolve_name(call)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{call} cannot be imported ({error}): install its package, or run where its file lies"
        ) from error
    network = isinstance(make, type) and issubclass(make, nn.Module)
    if not network and not isinstance(make, FunctionType):
        raise ValueError(f"{call} is no network and no function that makes one")
    return make


def _named(make: Callable, bound: Mapping) -> dict:
    """The arguments by name, plain. ValueError for one that is not."""
    given, kinds = {}, {p.name: p.kind for p in signature(make).parameters.values()}
    for name, value in bound.items():
        given |= value if kinds[name] == Parameter.VAR_KEYWORD else {name: value}
    if Parameter.VAR_POSITIONAL in map(kinds.get, bound):
        raise ValueError(f"give the arguments of {make.__name__} by name")
    try:
        return table(text(empty=False), plain)("arguments", given)
    except Unfit as error:
        raise ValueError(
            f"a checkpoint cannot keep the arguments of {make.__name__}: {error}; give names and "
            "numbers, such as a backbone by its name, or write a function that takes such"
        ) from error


def _count(model: nn.Module, arguments: Mapping) -> int:
    """The number of classes: as the network or its arguments say, or of a small image's logits."""
    said = getattr(model, "num_classes", arguments.get("num_classes", arguments.get("classes")))
    if said is not None:
        return check_classes("num_classes", said)
    training, like = model.training, next(model.parameters())
    try:
        with torch.no_grad():
            return logits_of(model.eval()(like.new_zeros(1, 3, 64, 64)), finite=False).shape[1]
    except Exception as error:
        raise ValueError(
            f"{type(model).__name__} does not say how many classes it has, and took no image of 64 "
            f"pixels ({error}): give it an attribute num_classes"
        ) from error
    finally:
        model.train(training)


def _check_same(model: nn.Module, description: Mapping) -> None:
    """ValueError unless the description, without the first weights, makes the same network."""
    with torch.random.fork_rng(devices=[]):
        again = resolve_name(description["call"])(**description["arguments"])
    if difference := misfit(again, model.state_dict()):
        raise ValueError(
            f"{description['call']} makes another network without its first weights: {difference}; "
            "give all that the weights decide as arguments too, such as aux_loss of torchvision's"
        )
