"""Checks of arguments, and errors that a user can mend; for every package, without torch.

One function for each concept, called at every door; those of tensors are in `doors`.
"""

import importlib.util
import math
import os
from collections.abc import Iterable, Sequence
from numbers import Real
from operator import index
from pathlib import Path

DEVICES = ("auto", "cpu", "cuda", "mps")  # what DLSEG_DEVICE and --device may name
MOST_CLASSES = 4096  # a confusion matrix of so many takes 134 MB
LARGEST_LABEL = 2**31 - 2  # labels are counted as int32
LARGEST_SIDE = 2**20  # pixels; more than any picture has
LARGEST_FACTOR = 100  # by which a picture, or the width of a network, may grow


class CommandError(Exception):
    """Something the user can mend; the command line prints it as one line, exit code 2."""


def need(module: str, extra: str) -> None:
    """CommandError with the command that installs `module`, unless it is there."""
    if importlib.util.find_spec(module) is None:
        raise CommandError(f"{module} is not installed; run: {install_line(extra)}")


def install_line(extra: str = "") -> str:
    """The command that installs dlseg and what an extra needs, as it works in the current folder.

    In a checkout it takes the tested versions; elsewhere those that fit.
    """
    what, root = f"[{extra}]" if extra else "", checkout()
    if root is None:
        return f"pip install 'dlseg{what}'"
    line = f"pip install -c constraints.txt -e '.{what}'"
    return line if root == Path.cwd() else f"cd {os.path.relpath(root)} && {line}"


def checkout() -> Path | None:
    """The copy of the book that the current folder is or lies in, None outside of one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "constraints.txt").is_file() and (folder / "dlseg" / "checks.py").is_file():
            return folder
    return None


def described(value: object) -> str:
    """Number format and shape of an array or tensor; else the kind of thing it is."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype} {tuple(value.shape)}"
    return type(value).__name__


# Paths


def printable(path: str | Path) -> str:
    """The path on one line that can be printed: line ends and undecodable bytes are escaped.

    Of more than 1000 characters the middle is left out.
    """
    text = str(path)
    text = text if len(text) <= 1000 else f"{text[:500]}...{text[-100:]}"
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def expanded(path: str | Path) -> str | Path:
    """A path; a text that begins with ~ in the home folder: a shell leaves it so in voc:~/data."""
    try:
        return os.path.expanduser(path) if isinstance(path, str) else path
    except ValueError:  # of a character that no name can have: `unusable` tells
        return path


def unusable(path: str | Path) -> tuple[str, str] | None:
    """Why no file can be looked for at a path, and what to do; None: one can, be it there or not.

    A folder on the way that may not be entered is such a reason, beside names that cannot be.
    """
    if not isinstance(path, str | Path):
        return f"must be a text or a Path, got {described(path)}", "name a file or folder"
    if not str(path):
        return "is empty", "name a file or folder; the current folder is ."
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"cannot be looked at: {error.strerror}", "give another path"
    except ValueError:  # a zero byte, or half of a character
        return "has a character that no file's name can have", "give another path"
    return None


def check_path(name: str, path: str | Path) -> Path:
    """`expanded` as a Path. ValueError where no file can be looked for there, see `unusable`."""
    path = expanded(path)
    if wrong := unusable(path):
        given = f" {printable(path)}" if path and isinstance(path, str | Path) else ""
        raise ValueError(f"{name}{given} {wrong[0]}; {wrong[1]}")
    return Path(path)


def path_argument(text: str) -> Path:
    """An argument of the command line as a Path: the `type` of all that name a file or folder."""
    from argparse import ArgumentTypeError  # here: the library needs no argparse

    try:
        return check_path("the path", text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


# Numbers


def check_integer(name: str, value: int, least: int | None = None, most: int | None = None) -> int:
    """Return `value` as a plain int, or say what was wrong with it.

    Integers of NumPy, which overflow, become Python's, which do not; True is no integer.
    Raises ValueError where `value` is no integer, below `least` or above `most`.
    """
    try:
        number = index(value)
    except TypeError:
        number = None
    kind = str(getattr(value, "dtype", type(value).__name__))
    wrong = number is None or kind.endswith("bool")
    if wrong or (least is not None and number < least):
        bound = "" if least is None else f" >= {least}"
        raise ValueError(f"{name} must be an integer{bound}, got {value!r}")
    if most is not None and number > most:
        raise ValueError(f"{name} must be an integer <= {most}, got {value!r}")
    return number


def check_classes(name: str, value: int, least: int = 1) -> int:
    """The number of classes as a plain int. ValueError unless it is least .. MOST_CLASSES."""
    return check_integer(name, value, least, MOST_CLASSES)


def check_ignore(name: str, value: int, least: int = -LARGEST_LABEL) -> int:
    """The label that counts nowhere as a plain int. It may be negative, or lie inside the classes.

    Raises ValueError where it is no integer, or too large for any label.
    """
    return check_integer(name, value, least, LARGEST_LABEL)


def check_number(name: str, value: float, least: float, most: float = math.inf) -> float:
    """`value` as a plain float. ValueError unless it is a finite number, least <= value <= most."""
    value = value.item() if getattr(value, "shape", None) == () else value
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not least <= value <= most:
        top = f" and at most {most:g}" if most < math.inf else ""
        raise ValueError(f"{name} must be a number, at least {least:g}{top}, got {value!r}")
    return float(value)


def check_choice(name: str, value: object, allowed: Iterable) -> None:
    """ValueError that lists what is allowed unless `value` is one of it; 8.0 is no 8, True no 1."""
    allowed = tuple(allowed)
    strange = isinstance(value, bool | float) and not any(type(a) is type(value) for a in allowed)
    if strange or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}")


def check_share(name: str, value: float) -> None:
    """ValueError unless 0 <= value <= 1, as a probability; NaN is refused too."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {value}")


def check_scales(scales: Sequence[float], name: str = "scales") -> None:
    """ValueError unless there are scales, all of them above 0 and at most LARGEST_FACTOR."""
    good = isinstance(scales, Iterable) and len(scales)
    if not good or not all(
        isinstance(scale, Real) and not isinstance(scale, bool) and 0 < scale <= LARGEST_FACTOR
        for scale in scales
    ):
        raise ValueError(
            f"{name} must be positive numbers up to {LARGEST_FACTOR}, at least one, got {scales!r}"
        )


# Pictures and networks


def check_rgb(name: str, image) -> None:
    """ValueError unless `image` is a NumPy array, uint8 (H, W, 3), with at least a pixel."""
    shape = getattr(image, "shape", ())
    fits = len(shape) == 3 and shape[2] == 3 and 0 not in shape
    if not fits or getattr(image, "dtype", None) != "uint8":
        raise ValueError(f"{name} must be uint8 (H, W, 3), got {described(image)}")


def check_backbone(width: float, weights: str | None, num_classes: int | None) -> None:
    """ValueError unless these are arguments of a backbone.

    width: a number above 0, at most LARGEST_FACTOR. weights: None, or "imagenet" with width 1.
    num_classes: None or an integer >= 1.
    """
    number = isinstance(width, Real) and not isinstance(width, bool)
    if not number or not 0 < width <= LARGEST_FACTOR:
        raise ValueError(f"width must be a number above 0, up to {LARGEST_FACTOR}, got {width!r}")
    check_choice("weights", weights, (None, "imagenet"))
    if weights is not None and width != 1:
        raise ValueError(
            f"the published weights need width=1.0, got {width!r}; drop weights, or load your own "
            "state dict"
        )
    if num_classes is not None:
        check_integer("num_classes", num_classes, 1)
