"""What is said about a wrong answer: in few words, with the first entry that differs."""

import itertools
import reprlib
from typing import Any

import numpy as np

from dlseg.book.answers import Foreign, close, letters, read, same

_LINE = 60  # letters; longer arrays are not written out
_MATRIX = 8  # entries; nor are larger arrays of two axes and more
_TEXT = reprlib.Repr()
_TEXT.maxstring = 60


def shown(value: Any, *, exactly: bool = False) -> str:
    """A value that was read, in few words. exactly: with all its digits."""
    if isinstance(value, Foreign):
        return value.what
    if isinstance(value, str):
        return f"the text {_TEXT.repr(value)}"
    if isinstance(value, list):
        return f"the texts {_TEXT.repr(value)}"
    if value.size > (_LINE if value.ndim < 2 else _MATRIX):
        return _shape(value)
    listed = _listed(value.tolist(), exactly)
    return listed if len(listed) <= _LINE else _shape(value)


def _listed(value: Any, exactly: bool) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_listed(part, exactly) for part in value) + "]"
    if isinstance(value, float) and not exactly:
        whole = value.is_integer() and abs(value) < 1e15
        return str(int(value)) if whole else f"{value:.6g}"
    return repr(value)


def arguments(case: tuple) -> str:
    """The arguments of a case, as they stand in a call."""
    return f"({', '.join(map(_argument, case))})"


def _argument(value: Any) -> str:
    if callable(value):
        return "a function"
    if hasattr(value, "shape"):
        return shown(read(value))
    if isinstance(value, list):
        return f"[{', '.join(map(_argument, value))}]"
    return arguments(value) if isinstance(value, tuple) else repr(value)


def kind(wanted: Any) -> str:
    """What an answer should be, without telling it."""
    if isinstance(wanted, str):
        return f"a text of {len(letters(wanted))} letters"
    if not wanted.ndim:
        return "True or False" if wanted.dtype == bool else "one number"
    return f"{len(wanted)} numbers" if wanted.ndim == 1 else f"numbers of shape {wanted.shape}"


def of_a_value(given: Any, wanted: Any) -> str:
    """Why a value is wrong, without telling the right one."""
    if isinstance(wanted, str) and isinstance(given, str | list):
        if len(letters(given)) != len(letters(wanted)):
            return f"You give {shown(given)}, but the answer should be {kind(wanted)}."
        places = enumerate(zip(letters(given), letters(wanted), strict=True), 1)
        first = next(place for place, (yours, right) in places if yours != right)
        return f"You give {shown(given)}. Its letter {first} is the first that is wrong."
    if not _arrays(given, wanted) or given.shape != wanted.shape:
        return f"You give {shown(given)}, but the answer should be {kind(wanted)}."
    if remark := rearranged(given, wanted):
        return f"{shown(given)} is not it. {remark}"
    if given.ndim:
        where = _entry(_first_index(given, wanted))
        return f"{shown(given)} is not it. The first that is wrong is entry {where} (from 0)."
    return f"{shown(given)} is not it. Read the question once more, then try again."


def of_a_result(given: Any, wanted: Any) -> str:
    """What a function gives and what it should; of long arrays the first entries that differ."""
    where, texts = "", (shown(given), shown(wanted))
    if _arrays(given, wanted) and (
        texts[0] == texts[1] or any("of shape" in text for text in texts)
    ):
        if given.shape == wanted.shape:
            index = _first_index(given, wanted)
            where = f" at {_entry(index)}" if index else ""
            given, wanted = np.asarray(given[index]), np.asarray(wanted[index])
            texts = shown(given), shown(wanted)
            if texts[0] == texts[1]:
                texts = shown(given, exactly=True), shown(wanted, exactly=True)
        elif given.ndim and wanted.ndim:
            texts = _shape(given), _shape(wanted)
    return f"you give {texts[0]}{where}, but it should be {texts[1]}"


def _arrays(*values: Any) -> bool:
    return all(isinstance(value, np.ndarray) for value in values)


def _shape(value: np.ndarray) -> str:
    return f"an array of shape {value.shape}"


def _first_index(given: np.ndarray, wanted: np.ndarray) -> tuple[int, ...]:
    return tuple(np.argwhere(~close(given, wanted))[0].tolist())


def _entry(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]"


def rearranged(given: Any, wanted: Any) -> str:
    """What to say where the values are right and their order is not; empty where it does not fit.

    given, wanted: values that were read and differ.
    """
    if not _arrays(given, wanted):
        return ""
    if any(same(given, wanted.transpose(p)) for p in itertools.permutations(range(wanted.ndim))):
        return "The values are right, the axes are in another order: transpose it."
    if given.shape != wanted.shape or given.size < 2:
        return ""
    if not same(*(np.sort(array, axis=None) for array in (given, wanted))):
        return ""
    return "The two are swapped." if given.size == 2 else "The values are right, in another order."


def always(given: list, wanted: list) -> str:
    """What is wrong in the same way in every case, a summand or a factor; else empty."""
    shapes = [np.shape(value) for value in wanted]
    if not _arrays(*given, *wanted) or [np.shape(value) for value in given] != shapes:
        return ""
    yours, right = (
        np.concatenate([np.ravel(v).astype(float) for v in vs]) for vs in (given, wanted)
    )
    if len(np.unique(right)) < 2 or not np.isfinite(yours).all():
        return ""
    more, largest = (yours - right)[0], abs(right).argmax()
    if close(yours, right + more).all():
        return f"It is always {abs(more):.6g} too {'large' if more > 0 else 'small'}."
    factor = yours[largest] / right[largest]
    if factor and close(yours, factor * right).all():
        return f"It is always {factor:.6g} times what it should be."
    return ""
