"""What may come to a door: for each kind of argument, the conditions it is tried under.

A condition is what is given instead of the good value, and the plain value that must have the same
result; None stands for no such value: the door must refuse.
"""

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class Condition(NamedTuple):
    """change: the good value to what is given. plain: that to its plain equal; None: refused."""

    change: Callable[[Any], Any]
    plain: Callable[[Any], Any] | None


def poisoned(x: Tensor, value: float) -> Tensor:
    x = x.double() if not x.is_floating_point() else x.clone()
    x[(0,) * x.dim()] = value
    return x


def spread(x: Tensor) -> Tensor:
    """The same values, not contiguous."""
    return x.repeat_interleave(2, -1)[..., ::2]


def channels(x: Tensor, count: int) -> Tensor:
    return torch.cat([x] * 2, 1)[:, :count].contiguous()


def same(x):
    return x


REFUSED = None
FLOATS = {
    "NaN": Condition(lambda x: poisoned(x, torch.nan), REFUSED),
    "inf": Condition(lambda x: poisoned(x, torch.inf), REFUSED),
    "half": Condition(Tensor.half, Tensor.double),
    "bfloat16": Condition(Tensor.bfloat16, Tensor.double),
    "float64": Condition(Tensor.double, Tensor.float),
    "channels_last": Condition(
        lambda x: x.contiguous(memory_format=torch.channels_last), Tensor.contiguous
    ),
    "not contiguous": Condition(spread, Tensor.contiguous),
    "empty batch": Condition(lambda x: x[:0], same),
    "no pixel": Condition(lambda x: x[..., :0], REFUSED),
    "no row": Condition(lambda x: x[..., :0, :], REFUSED),
    "bool": Condition(lambda x: x > 0, REFUSED),
    "complex": Condition(lambda x: x.to(torch.complex64), REFUSED),
    "one pixel": Condition(lambda x: x[..., :1, :1], lambda x: x.clone()),
    "integers": Condition(lambda x: x.long(), REFUSED),
    "no batch": Condition(lambda x: x[0], REFUSED),
    "None": Condition(lambda x: None, REFUSED),
}
IMAGES = FLOATS | {
    f"{count} channels": Condition(lambda x, count=count: channels(x, count), REFUSED)
    for count in (1, 4, 5)
}
# Colours in 0..255 for the CRF.
PICTURES = {name: FLOATS[name] for name in ("NaN", "inf", "channels_last", "not contiguous")}
PICTURES |= {name: FLOATS[name] for name in ("no batch", "None", "empty batch", "no pixel")}
PICTURES |= {name: FLOATS[name] for name in ("no row", "complex")}
PICTURES |= {
    "float64": Condition(Tensor.double, Tensor.byte),
    "int64": Condition(Tensor.long, Tensor.byte),
    "half": Condition(Tensor.half, Tensor.byte),
    "0..1 range": Condition(lambda x: x / 255, REFUSED),
    "normalised": Condition(lambda x: x / 64 - 2, REFUSED),
    "grey in 0..1": Condition(lambda x: x[:, :1] / 255, REFUSED),
    "4 channels in 0..1": Condition(lambda x: channels(x, 4) / 255, REFUSED),
    "grey": Condition(lambda x: x[:, :1], lambda x: x.double()),
    "4 channels": Condition(lambda x: channels(x, 4), lambda x: x.double()),
    "5 channels": Condition(lambda x: channels(x, 5), lambda x: x.double()),
    "integers in 0/1": Condition(lambda x: x % 2, lambda x: x.long()),
    "int8": Condition(lambda x: x.to(torch.int8) - 100, REFUSED),
    "bool": Condition(lambda x: x > 99, REFUSED),
}
LABELS = {
    **{
        str(kind).removeprefix("torch."): Condition(lambda x, k=kind: x.to(k), Tensor.long)
        for kind in (torch.int8, torch.uint8, torch.int16, torch.int32)
    },
    "bool": Condition(lambda x: x.clamp(0, 1).bool(), Tensor.long),
    "not contiguous": Condition(spread, Tensor.contiguous),
    "float": Condition(Tensor.float, REFUSED),
    "NaN": Condition(lambda x: poisoned(x, torch.nan), REFUSED),
    "all void": Condition(lambda x: torch.full_like(x, 255), lambda x: x.clone()),
    "another class list": Condition(lambda x: x + 40, REFUSED),
    "negative": Condition(lambda x: x - 7, REFUSED),
    "complex": Condition(lambda x: x.to(torch.complex64), REFUSED),
    "empty batch": Condition(lambda x: x[:0], same),
    "no pixel": Condition(lambda x: x[..., :0], same),
    "no row": Condition(lambda x: x[:, :0], same),
    "other size": Condition(lambda x: x[..., :-1], REFUSED),
    "None": Condition(lambda x: None, REFUSED),
}
INTEGERS = {
    **{
        kind.__name__: Condition(lambda n, k=kind: k(n), int)
        for kind in (np.int8, np.uint8, np.int64)
    },
    "tensor": Condition(torch.tensor, int),
    "bool": Condition(lambda n: True, REFUSED),
    "np.bool": Condition(lambda n: np.True_, REFUSED),
    "float": Condition(float, REFUSED),
    "np.float": Condition(np.float32, REFUSED),
    "None": Condition(lambda n: None, REFUSED),
    "minus a million": Condition(lambda n: -(10**6), REFUSED),
    "ten digits": Condition(lambda n: 2**33, REFUSED),
}
NUMBERS = {
    "NaN": Condition(lambda n: float("nan"), REFUSED),
    "inf": Condition(lambda n: float("inf"), REFUSED),
    "text": Condition(str, REFUSED),
    "bool": Condition(lambda n: True, REFUSED),
    "float32": Condition(np.float32, float),
    "1e300": Condition(lambda n: 1e300, same),
    "negative": Condition(lambda n: -1.0, REFUSED),
}
SIGMAS = NUMBERS | {
    "1e-9": Condition(lambda n: 1e-9, REFUSED),
    "1e-20": Condition(lambda n: 1e-20, REFUSED),
    "1e-300": Condition(lambda n: 1e-300, REFUSED),
    "1e300": Condition(lambda n: 1e300, REFUSED),
    "0": Condition(lambda n: 0, REFUSED),
}


class Returning(nn.Module):
    """A model that returns something of its logits."""

    def __init__(self, model: nn.Module, make: Callable[[Tensor], Any]):
        super().__init__()
        self.model, self.make = model, make

    def forward(self, x: Tensor) -> Any:
        return self.make(self.model(x))


Pair = namedtuple("Pair", "main out")


def returning(make: Callable[[Tensor], Any]) -> Condition:
    return Condition(lambda model: Returning(model, make), lambda given: given.model)


def returns(make: Callable[[Tensor], Any]) -> Condition:
    return Condition(lambda model: Returning(model, make), REFUSED)


MODELS = {
    "dict": returning(lambda y: OrderedDict(out=y, aux=y + 1)),
    "dict of logits": returning(lambda y: {"loss": y.sum(), "logits": y}),
    "tuple": returning(lambda y: (y, y + 1)),
    "list": returning(lambda y: [y, y + 1]),
    "namedtuple": returning(lambda y: Pair(y + 1, y)),
    "object": returning(lambda y: SimpleNamespace(logits=y)),
    "dict without out": returns(lambda y: {"aux": y}),
    "nothing": returns(lambda y: None),
    "text": returns(lambda y: "logits"),
    "an empty tuple": returns(lambda y: ()),
    "an array": returns(lambda y: y.detach().numpy()),
    "labels": returns(lambda y: y.argmax(1)),
    "one vector": returns(lambda y: y.mean((2, 3))),
    "NaN": returns(lambda y: y * torch.nan),
    "infinity": returns(lambda y: y + torch.inf),
}
ROWS = {name: FLOATS[name] for name in ("NaN", "inf", "float64", "not contiguous", "no batch")}
ROWS |= {name: FLOATS[name] for name in ("bool", "complex", "no pixel", "no row")}
SINGLE = ("NaN", "inf", "half", "float64", "not contiguous", "integers", "no pixel", "no row")
SINGLE += ("bool", "complex")
# Of functions that take one image without a batch: tensors, arrays, and colours (H, W, 3).
UNARY = {name: FLOATS[name] for name in (*SINGLE, "bfloat16", "no batch")}
ARRAYS = {name: FLOATS[name] for name in (*SINGLE, "None", "empty batch")}
PIXELS = {name: PICTURES[name] for name in ("NaN", "0..1 range", "normalised", "int8", "half")}
KINDS = {
    "unary": UNARY,
    "arrays": ARRAYS,
    "pixels": PIXELS,
    "rows": ROWS,
    "bytes": {name: LABELS[name] for name in LABELS if name not in ("float", "NaN", "complex")},
    "floats": FLOATS,
    "images": IMAGES,
    "pictures": PICTURES,
    "labels": LABELS,
    "integer": INTEGERS,
    "number": NUMBERS,
    "sigma": SIGMAS,
    "model": MODELS,
}
