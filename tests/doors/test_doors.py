"""Every public entry under every condition: the right value, or a ValueError that names it.

An entry is a call with good arguments, each of a kind; a kind has its conditions, see `conditions`.
In each cell one argument is changed. Either the result is that of the plain argument that is equal
to it, or a ValueError names the argument. A name on a face is an entry, or an exception with its
reason.
"""

import importlib
import re
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.doors.conditions import KINDS
from tests.doors.entries import ENTRIES
from tests.doors.exceptions import FACES, NO_DOOR


def close(result, expected, tolerance: float) -> bool:
    """Whether two results are the same: tensors, arrays, numbers, dictionaries of them."""
    if isinstance(result, dict):
        return all(close(result[key], expected[key], tolerance) for key in expected)
    if isinstance(result, Tensor | np.ndarray | float | int):
        a, b = (torch.as_tensor(value).double() for value in (result, expected))
        scale = b.nan_to_num(0, 0, 0).abs().max().item() if b.numel() else 0
        return a.shape == b.shape and torch.allclose(
            a, b, tolerance, tolerance * max(scale, 1e-3), equal_nan=True
        )
    return str(result) == str(expected)


def tolerance(given) -> float:
    """How near a result must be that was computed in the number format of the argument."""
    if isinstance(given, Tensor) and given.dtype in (torch.half, torch.bfloat16):
        return 8 * torch.finfo(given.dtype).eps
    return 2e-4


CELLS = [
    pytest.param(entry, argument, condition, id=f"{entry.name}-{argument}-{condition}-{number}")
    for number, entry in enumerate(ENTRIES)
    for argument, (kind, _) in entry.arguments.items()
    for condition in KINDS[kind]
]


@pytest.mark.parametrize(("entry", "argument", "condition"), CELLS)
def test_the_right_value_or_an_error_that_names_the_argument(entry, argument, condition):
    good = {name: value for name, (_, value) in entry.arguments.items()}
    kind, value = entry.arguments[argument]
    change, plain = KINDS[kind][condition]
    given = change(value)
    try:
        result = entry.call(**(good | {argument: given}))
    except ValueError as error:
        names = "|".join([argument, *entry.also.split(), argument.rstrip("s")])
        assert re.search(names, str(error)), f"{argument} is not named: {error}"
        return
    if plain is None:
        assert condition in entry.passes, f"was not refused: {result}"
        return
    try:
        expected = entry.call(**(good | {argument: plain(given)}))
    except ValueError:
        expected = result
    assert close(result, expected, tolerance(given)), f"{result} is not {expected}"


def test_good_arguments_pass():
    for entry in ENTRIES:
        entry.call(**{name: value for name, (_, value) in entry.arguments.items()})


def public(face: ModuleType) -> set[str]:
    return {
        name
        for name, thing in vars(face).items()
        if not name.startswith("_") and not isinstance(thing, ModuleType)
    } - {"annotations"}


@pytest.mark.parametrize("face", FACES)
def test_every_name_of_a_face_is_an_entry_or_an_exception_with_its_reason(face):
    package = face.rpartition(".")[2]
    entries = {entry.name.partition(".")[2] for entry in ENTRIES if entry.name.startswith(package)}
    names = public(importlib.import_module(face))
    reasons = NO_DOOR[face]
    excepted = {name for names_ in reasons.values() for name in names_.split()}
    assert names - entries - excepted == set(), "in neither the table nor the exceptions"
    assert excepted - names == set(), "excepted, and not there"
    assert excepted & entries == set(), "excepted, and in the table"
