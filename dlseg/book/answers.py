"""Answers of readers: read whatever comes as numbers or text, and compare those.

What a reader hands over may be of any class, with methods that fail or lie. So nothing of an
answer is compared or printed before it has been read.
"""

import itertools
import numbers
import re
import sys
import types
from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST = 5_000  # values in one list; the largest that is asked for has some hundred
_DEEPEST = 8  # lists within lists


@dataclass(frozen=True)
class Foreign:
    """An answer that is neither numbers nor text. what: said after "you give"."""

    what: str


def read(value: Any, order: str = "given") -> Any:
    """An answer as an array of numbers, a text, a list of texts, `...`, or a `Foreign`.

    Takes numbers of any kind, lists, tuples, ranges, arrays and tensors; sets unless order is
    "given". Anything with dots in it is `...`. Raises nothing but KeyboardInterrupt.
    """
    try:
        return _read(value, order, itertools.count())
    except KeyboardInterrupt:
        raise
    except BaseException:  # whatever the class of an answer raises when it is looked at
        return Foreign(f"a value that cannot be read, of type {type(value).__name__}")


def _read(value: Any, order: str, seen: Iterator[int], depth: int = 0) -> Any:
    if next(seen) > MOST or depth > _DEEPEST:
        return Foreign(f"more than {MOST} values, or lists within lists")
    if value is ... or isinstance(value, str):
        return value if value is ... else str.__str__(value)
    if isinstance(value, np.ndarray | np.generic) or hasattr(type(value), "__array__"):
        array = np.asarray(_dense(value))
        if array.dtype.kind in "biuf":
            return array
        if array.size > MOST:
            return Foreign(f"{array.size} values")
        return _read(array.tolist(), order, seen, depth + 1)
    if isinstance(value, complex):
        return Foreign("complex numbers")
    if isinstance(value, numbers.Number):
        small = isinstance(value, int) and abs(value) < 2**63
        return np.array(value if small else float(value))
    if isinstance(value, Set) and order != "given":
        value = sorted(itertools.islice(value, MOST))
    if isinstance(value, list | tuple | range):
        return _read_list(value, order, seen, depth)
    return Foreign(_what(value))


def _read_list(value: Any, order: str, seen: Iterator[int], depth: int) -> Any:
    if len(value) > MOST:
        return Foreign(f"{len(value)} values")
    parts = []
    for part in value:  # a list of the reader's own class may never end; `seen` stops it
        parts.append(_read(part, order, seen, depth + 1))
        if isinstance(parts[-1], Foreign):
            what = parts[-1].what
            return Foreign(what if what.endswith(" in it") else f"a list with {what} in it")
    if any(part is ... for part in parts):
        return ...
    if parts and all(isinstance(part, str) for part in parts):
        return parts
    if not all(isinstance(part, np.ndarray) for part in parts):
        return Foreign("a list with a text in it")
    if len({part.shape for part in parts}) > 1:
        return Foreign("a list whose parts have different lengths")
    return np.stack(parts) if parts else np.zeros(0)


def _dense(value: Any) -> Any:
    """A tensor as NumPy can hold it; anything else as it is."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor):
        return value
    value = value.detach().cpu().resolve_conj().resolve_neg()
    value = value if value.layout == torch.strided else value.to_dense()
    return value.float() if value.dtype == torch.bfloat16 else value


def _what(value: Any) -> str:
    """The kind of a foreign value, with the remedy where there is one."""
    if isinstance(value, types.CoroutineType):
        value.close()  # or Python complains later that nobody waited for it
    if isinstance(value, Iterator):
        return "a generator (put `list(...)` around it)"
    if isinstance(value, Set):
        return "a set, which has no order (make it a list)"
    if value is None:
        return "None, which is no value"
    if isinstance(value, type):
        return "a class"
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType):
        return "a function (call it)"
    return f"a value of type {type(value).__name__}"


def same(given: Any, wanted: Any, digits: int | None = None, order: str = "given") -> bool:
    """Whether two values that were read are equal.

    Letters are compared without case, spaces, commas and full stops. Numbers agree to a millionth,
    whole ones to a thousandth at most, or as rounded to `digits` places behind the point.
    order: "free" where lists may be in any order.
    """
    if isinstance(wanted, str | list) and isinstance(given, str | list):
        return letters(given) == letters(wanted)
    if not (isinstance(given, np.ndarray) and isinstance(wanted, np.ndarray)):
        return False
    if given.shape != wanted.shape:
        return False
    if order == "free":
        given, wanted = np.sort(given, axis=None), np.sort(wanted, axis=None)
    return bool(close(given, wanted, digits).all())


def letters(text: str | list[str]) -> str:
    """A text, or letters in a list, as they are compared."""
    return re.sub(r"[\s.,;]", "", "".join(text)).casefold()


@np.errstate(all="ignore")
def close(given: np.ndarray, wanted: np.ndarray, digits: int | None = None) -> np.ndarray:
    """Where numbers are near enough, place by place."""
    single = given.dtype == np.float32
    given, wanted = given.astype(float), wanted.astype(float)
    near = 1e-6 * abs(wanted) + 1e-9
    if single:
        near = 1e-5 * abs(wanted) + 1e-6 * abs(wanted).max(initial=0)
    whole = wanted == np.round(wanted)
    found = abs(given - wanted) <= np.where(whole, np.minimum(near, 1e-3), near)
    return found if digits is None else found | _rounded(given, wanted, digits)


def _rounded(given: np.ndarray, wanted: np.ndarray, digits: int) -> np.ndarray:
    """Where `given` is `wanted` to so many places behind the point.

    Below zero, to tens, hundreds and so on: there exactly as rounded, since any other whole number
    nearby is another answer.
    """
    if digits > 0:
        return abs(given - wanted) <= 0.5 * 10.0**-digits
    return np.any([given == np.round(wanted, places) for places in range(digits, 1)], axis=0)
