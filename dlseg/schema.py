"""What is read from files, checked before it is used; for every package, without torch.

A check takes the name of an entry and its value, and returns the value, or raises `Unfit`, which
says what was wrong with which entry. Checks are made of checks:

    PERSON = record({"name": text()}, {"age": integer(0, 150), "friends": listing(text())})
    person = PERSON("", content)

Dicts and lists come back as new, plain ones, so that nothing odd about those of a file remains.
"""

import math
import sys
from collections.abc import Callable, Iterable
from functools import partial

Check = Callable[[str, object], object]
LARGEST = sys.float_info.max
LINE = 4000  # characters of a text at most
DEEPEST, MOST = 20, 100_000  # levels and entries of `plain`


class Unfit(ValueError):
    """An entry that is not what it should be; the message names it, what was wanted and given."""


def wrong(entry: str, expected: str, value: object) -> Unfit:
    """The error for an entry that is not as expected."""
    return Unfit(f"{entry or 'the content'} must be {expected}, got {shown(value)}")


def shown(value: object) -> str:
    """A value in a few words, however large or strange it is."""
    if isinstance(value, str):
        return repr(value) if len(value) < 60 else f"{value[:50]!r}..."
    if value is None or isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else f"an integer of {value.bit_length()} bits"
    if isinstance(value, list | tuple | dict):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a value of type {type(value).__name__}"


def integer(least: int = 0, most: int | None = None) -> Check:
    """Whole numbers from `least` to `most`; True is none."""
    words = f"an integer >= {least}" if most is None else f"an integer from {least} to {most}"

    def check(entry: str, value: object) -> int:
        if type(value) is not int or value < least or (most is not None and value > most):
            raise wrong(entry, words, value)
        return value

    return check


def number(least: float = -LARGEST, most: float = LARGEST) -> Check:
    """Finite numbers from `least` to `most`; True is none."""
    words = f"a finite number >= {least:g}" if least > -LARGEST else "a finite number"
    words = words if most == LARGEST else f"a number from {least:g} to {most:g}"

    def check(entry: str, value: object) -> float:
        if type(value) not in (int, float) or not least <= value <= most:
            raise wrong(entry, words, value)
        return value

    return check


def text(empty: bool = True) -> Check:
    """Texts of one line that can be printed. empty: whether "" is one."""

    def check(entry: str, value: object) -> str:
        good = type(value) is str and len(value) <= LINE and (empty or value)
        if not good or not value.isprintable():
            raise wrong(entry, "a text of one line", value)
        return value

    return check


def switch(entry: str, value: object) -> bool:
    """Check that accepts True and False."""
    if type(value) is not bool:
        raise wrong(entry, "true or false", value)
    return value


def choice(allowed: Iterable) -> Check:
    """One of some numbers or texts."""
    allowed = tuple(allowed)

    def check(entry: str, value: object) -> object:
        if not any(type(value) is type(one) and value == one for one in allowed):
            raise wrong(entry, "one of " + ", ".join(map(str, allowed)), value)
        return value

    return check


def maybe(check: Check) -> Check:
    """None, or what `check` accepts."""
    return lambda entry, value: None if value is None else check(entry, value)


def listing(item: Check, least: int = 0, most: float = math.inf) -> Check:
    """Lists and tuples, as lists, of `least` to `most` items."""
    count = least if least == most else f"{least} to {most}" if most < math.inf else ""
    words = f"a list of {count}" if count else "a list"

    def check(entry: str, value: object) -> list:
        if not isinstance(value, list | tuple) or not least <= len(value) <= most:
            raise wrong(entry, words, value)
        return [item(f"{entry}[{index}]", one) for index, one in enumerate(value)]

    return check


def table(key: Check, value: Check) -> Check:
    """Dicts of any keys and values that are accepted."""

    def check(entry: str, given: object) -> dict:
        if not isinstance(given, dict):
            raise wrong(entry, "a table of names and values", given)
        # `dict.items`, for an OrderedDict from a pickle may hide its own.
        items = dict.items(given)
        return {key(f"a key of {entry}", k): value(inside(entry, k), v) for k, v in items}

    return check


def record(
    required: dict[str, Check],
    optional: dict[str, Check] | None = None,
    others: Check | None = None,
) -> Check:
    """Dicts with all required entries, perhaps the optional ones, and no others but such."""
    known = required | (optional or {})

    def check(entry: str, value: object) -> dict:
        if not isinstance(value, dict):
            raise wrong(entry, "a table of names and values", value)
        items = dict(dict.items(value))
        for name in required:
            if name not in items:
                raise Unfit(f"{entry or 'the content'} lacks {name}")
        for name in items:
            if name not in known and others is None:
                names = ", ".join(sorted(known))
                raise Unfit(f"{inside(entry, name)} is unknown; there may be {names}")
        return {
            _name(f"a key of {entry}", name): known.get(name, others)(inside(entry, name), one)
            for name, one in items.items()
        }

    return check


def plain(entry: str, value: object) -> object:
    """Check that accepts numbers, texts, None, and lists and tables of them, within limits."""
    return _plain(entry, value, DEEPEST, [MOST])


def _plain(entry: str, value: object, depth: int, room: list[int]) -> object:
    room[0] -= 1  # counted, for a list may hold another many times, and that another, and so on
    if depth < 0 or room[0] < 0:
        raise Unfit(f"{entry[:100]} is more than {DEEPEST} levels or {MOST} entries")
    if isinstance(value, list | tuple):
        items = enumerate(value)
        return [_plain(f"{entry}[{index}]", one, depth - 1, room) for index, one in items]
    if isinstance(value, dict):
        check = partial(_plain, depth=depth - 1, room=room)
        return table(_name, check)(entry, value)
    if value is not None and type(value) not in (bool, int, float, str):
        raise wrong(entry, "a number, a text, or a list or table of them", value)
    return value


def _name(entry: str, value: object) -> str | int:
    if type(value) not in (str, int):
        raise wrong(entry, "a text or an integer", value)
    return value


def inside(entry: str, name: object) -> str:
    """The name of an entry within another: `recipe.seed`, `weights['odd name']`."""
    if isinstance(name, str) and 0 < len(name) <= 100 and name.isprintable() and " " not in name:
        return f"{entry}.{name}" if entry else name
    return f"{entry}[{shown(name)}]"
