"""A zoo of answers: forms in which a right answer may come, and monsters that never are right."""

import collections
import decimal
import fractions
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from dlseg.book.calls import swapped
from dlseg.book.exercise import Exercise

HOSTILE = ["eq", "ne", "lt", "bool", "len", "iter", "getitem", "array", "float", "int", "index"]
HOSTILE += ["repr", "str", "hash", "contains", "getattr", "call", "add", "sub", "abs", "radd"]


def _fail(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a method of the answer's own class")


def hostile(*bases: type, names: list[str] = HOSTILE) -> type:
    """A class whose methods with these names between underscores raise."""
    return type("Hostile", bases, {f"__{name}__": _fail for name in names})


class Liar(int):
    """A number that says it equals everything."""

    __eq__ = __ge__ = __le__ = lambda self, other: True
    __hash__ = None
    __sub__ = __rsub__ = lambda self, other: 0


class LyingArray(np.ndarray):
    """An array all of whose comparisons are true."""

    def __array_ufunc__(self, ufunc: Any, *_: Any, **__: Any) -> Any:
        return np.True_


class Endless(list):
    """A list that goes on for ever."""

    def __iter__(self) -> Iterator:
        return itertools.count()


class NoClass:
    """Something that does not even tell its class."""

    __class__ = property(_fail)


class Interface(type):
    """A class whose class fails."""

    __name__ = property(_fail)
    __repr__ = __instancecheck__ = _fail


def _within_itself(width: int) -> list:
    found: list = []
    found.extend([found] * width)
    return found


def _deep() -> list:
    found: list = []
    for _ in range(1100):
        found = [found]
    return found


def _objects(*values: Any) -> np.ndarray:
    found = np.empty(len(values), object)
    found[:] = values
    return found


# Each makes its monster afresh, since some can be used only once. None is right anywhere.
MONSTERS: dict[str, Callable[[], Any]] = {
    "empty text": lambda: "",
    "text": lambda: "nine \N{SNOWMAN} <b>",
    "number in quotes": lambda: "9",
    "bytes": lambda: b"9",
    "dict": lambda: {"a": 1},
    "empty set": set,
    "set": lambda: {-71, "a"},
    "ragged": lambda: [[1, 2], [3]],
    "list of nothing": lambda: [None, None],
    "texts": lambda: ["-71", "x"],
    "mixed": lambda: [1, "x"],
    "within itself": lambda: _within_itself(1),
    "within itself, often": lambda: _within_itself(1000),
    "deep": _deep,
    "long": lambda: [0] * 300_000,
    "long range": lambda: range(10**12),
    "longer range": lambda: range(10**30),
    "generator": lambda: (i for i in range(3)),
    "never ending": itertools.count,
    "endless list": lambda: Endless([1]),
    "object": object,
    "hostile": lambda: hostile()(),
    "hostile list": lambda: hostile(list)([1, 2]),
    "hostile number": lambda: hostile(float)(3),
    "hostile text": lambda: hostile(str)("abc"),
    "hostile array": lambda: hostile(names=["array"])(),
    "hostile set": lambda: hostile(set)([-71]),
    "list of hostiles": lambda: [hostile()(), 3],
    "liar": lambda: Liar(-71),
    "lying array": lambda: np.array([-71.5, 2]).view(LyingArray),
    "no class": NoClass,
    "hostile class": lambda: Interface("X", (), {}),
    "of a hostile class": lambda: Interface("X", (), {})(),
    "NaN": lambda: math.nan,
    "NaNs": lambda: np.full((3, 3), np.nan),
    "infinity": lambda: -math.inf,
    "complex": lambda: 9 + 1j,
    "complex array": lambda: np.array([1j, 2]),
    "huge": lambda: 10**400,
    "huge list": lambda: [10**400, 1],
    "decimal NaN": lambda: decimal.Decimal("sNaN"),
    "objects": lambda: _objects({}, [1], None),
    "array of texts": lambda: np.array(["a", "b"]),
    "dates": lambda: np.array(["2020-01-01"], "datetime64[D]"),
    "records": lambda: np.zeros(2, [("a", int), ("b", float)]),
    "large array": lambda: np.lib.stride_tricks.as_strided(np.zeros(1), (10**6, 10**3), (0, 0)),
    "sparse tensor": lambda: torch.eye(3).mul(-71).to_sparse(),
    "tensor with gradient": lambda: torch.full((2,), -71.5, requires_grad=True),
    "tensor without values": lambda: torch.empty(3, device="meta"),
    "complex tensor": lambda: torch.tensor([1 + 2j]).conj(),
    "bfloat16": lambda: torch.tensor([-71.5], dtype=torch.bfloat16),
    "class": lambda: dict,
    "module": lambda: math,
    "exception": lambda: ValueError("as an answer"),
    "function": lambda: lambda: 9,
    "counter": lambda: collections.Counter("aab"),
}
# Of it not even the type can be told: "Your answer cannot be read".
UNREADABLE = {"of a hostile class"}


class Unspeakable(Exception):
    """An error that fails when it is printed."""

    __str__ = __repr__ = _fail


class Base(BaseException):
    """No ordinary error."""


def _recurse(*args: Any) -> Any:
    return _recurse(*args)


def _forgetful(*args: Any) -> None:
    sum(range(len(args)))


async def _later(*_: Any) -> int:
    return 9


def _yields(*_: Any) -> Iterator:
    yield 9


def _raising(error: BaseException) -> Callable:
    def function(*_: Any) -> None:
        raise error

    return function


def _destructive(*args: Any) -> int:
    """Empties and overwrites what it is given."""
    for value in args:
        if isinstance(value, np.ndarray | torch.Tensor):
            value[...] = 0
        elif isinstance(value, list):
            value.clear()
    return -71


FUNCTIONS: dict[str, Callable] = {
    "returns nothing": _forgetful,
    "yields": _yields,
    "async": _later,
    "recursion": _recurse,
    "overwrites": _destructive,
    "takes nothing": lambda: 9,
    "takes ten": lambda a, b, c, d, e, f, g, h, i, j: 9,
    "by name only": lambda *, name: 9,
    "a class": fractions.Fraction,
    "of C": max,
    "raises": _raising(KeyError("x")),
    "exits": _raising(SystemExit(3)),
    "stops": _raising(StopIteration()),
    "ends": _raising(GeneratorExit()),
    "no error": _raising(Base("x")),
    "out of memory": _raising(MemoryError()),
    "unspeakable": _raising(Unspeakable()),
}


def forms(value: Any, order: str = "given") -> dict[str, Any]:
    """The same right value in every form in which it may come."""
    if isinstance(value, str):
        return {
            "upper case": value.upper(),
            "with space": f"  {value}\n",
            "with full stop": f"{value.title()}.",
            "apart": ", ".join(value),
            "letters": list(value),
            "array of letters": np.array(list(value)),
            "str of NumPy": np.str_(value),
        }
    array = value.numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    found = {**_arrays(array), **(_lists(array) if array.ndim else _scalars(array))}
    if order != "given":
        found["set"] = set(array.tolist())
        found["keys"] = dict.fromkeys(array.tolist()).keys()
    if order == "free":
        found["backwards"] = array.tolist()[::-1]
    return found


def _arrays(array: np.ndarray) -> dict[str, Any]:
    double = torch.tensor(array.astype(float))
    found = {
        "array": array.copy(),
        "array of floats": array.astype(float),
        "array of objects": array.astype(object),
        "backwards in memory": array.copy(order="F"),
        "tensor": torch.tensor(array),
        "tensor of floats": double,
        "tensor with gradient": double.clone().requires_grad_(),
        "own class of arrays": array.astype(float).view(np.recarray),
    }
    if array.ndim and array.size:
        found["sparse"] = double.to_sparse()
    if abs(array).max(initial=0) < 2**24:  # larger whole numbers are not in float32
        found["float32"] = array.astype(np.float32)
        found["tensor of float32"] = double.float()
    if (array == array.astype(int)).all():
        found["whole numbers"] = array.astype(np.int64)
    return found


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _lists(array: np.ndarray) -> dict[str, Any]:
    found = {
        "list": array.tolist(),
        "tuple": _tuples(array.tolist()),
        "list of arrays": list(array),
        "tuple of tensors": tuple(torch.tensor(array)),
        "list of floats": array.astype(float).tolist(),
    }
    if array.ndim == 1:
        found["fractions"] = [fractions.Fraction(float(part)) for part in array]
    steps = set(np.diff(array).tolist()) if array.ndim == 1 and array.dtype.kind == "i" else set()
    if len(steps) == 1 and 0 not in steps:
        (step,) = steps
        found["range"] = range(array[0], array[-1] + step, step)
    return found


def _scalars(array: np.ndarray) -> dict[str, Any]:
    number = array.item()
    found = {
        "number": number,
        "float": float(number),
        "scalar of NumPy": array[()],
        "float64": np.float64(number),
        "fraction": fractions.Fraction(number),
        "decimal": decimal.Decimal(float(number)),
    }
    if number == int(number):
        found["int"] = int(number)
        found["int32"] = np.int64(number)
    return found


def near(value: Any) -> Iterator[Any]:
    """Values that look like the right one and are wrong."""
    if isinstance(value, str):
        yield from (value[:-1], value + "x", value[::-1] + "y")
        return
    array = value.numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    yield array.astype(float) + 1
    yield array.astype(float) - 1
    yield [array.tolist()]
    if array.size:
        last = array.astype(float).copy()
        last.flat[-1] += 1
        yield last
        yield array.astype(float) * 1.001 + 0.001


def on_cases(exercise: Exercise, change: Callable[[Any], Any]) -> Callable:
    """A function that gives the right results, each changed."""
    return lambda *args: change(exercise.solution(*args))


def in_the_other_library(exercise: Exercise) -> Callable:
    """The right function, of one who knows tensors only where the cases are arrays, or reverse."""
    refused = type(next(v for v in exercise.cases[0] if isinstance(v, np.ndarray | torch.Tensor)))

    def function(*args: Any) -> Any:
        if any(isinstance(value, refused) for value in args):
            raise TypeError(f"no {refused.__name__} here")
        return swapped(exercise.solution(*swapped(args)))

    return function
