"""Functions of readers: is one written yet, does it take the arguments, what does it return."""

import copy
import dis
import inspect
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np


def is_stub(function: Any) -> bool:
    """Whether a function has nothing but dots in it, or a docstring.

    Python makes the same steps of `...` as of `return None`; only where they stand in the source
    tells them apart.
    """
    if not isinstance(function, types.FunctionType) or function.__name__ == "<lambda>":
        return False
    steps = [
        step for step in dis.get_instructions(function) if step.opname not in ("RESUME", "NOP")
    ]
    if [step.opname for step in steps] not in (["LOAD_CONST", "RETURN_VALUE"], ["RETURN_CONST"]):
        return False
    place = steps[0].positions
    width = (place.end_col_offset or 0) - (place.col_offset or 0)
    return steps[0].argval is None and width in (0, len("..."))


def refusal(function: Callable, case: tuple) -> str:
    """Why a function cannot be called with these arguments; empty where it can."""
    try:
        signature = inspect.signature(function)
    except Exception:  # functions written in C do not tell, and other callables may do anything
        return ""
    try:
        signature.bind(*case)
    except TypeError as error:
        return str(error)
    return ""


def result(function: Callable, case: tuple) -> Any:
    """What a function returns for one case.

    It gets copies, since it may change its arguments. If it fails, it is tried on tensors in the
    place of arrays, or the reverse. Raises: what the function raised on the case as it is.
    """
    try:
        return function(*copy.deepcopy(case))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        try:
            return function(*swapped(case))
        except KeyboardInterrupt:
            raise
        except BaseException:
            raise error from None


def swapped(value: Any) -> Any:
    """A copy with tensors for arrays and arrays for tensors, in functions' results too."""
    torch = sys.modules.get("torch")
    if torch is None:  # then nobody uses tensors
        return copy.deepcopy(value)
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, torch.Tensor):
        return value.numpy().copy()
    if isinstance(value, list | tuple):
        return type(value)(swapped(part) for part in value)
    if callable(value):
        return lambda *args, **named: swapped(
            value(*swapped(args), **{name: swapped(part) for name, part in named.items()})
        )
    return value
