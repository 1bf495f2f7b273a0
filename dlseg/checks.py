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


def check_integer(name: str, value: int, least: int | None = None, most: int | None = None) -> int:
    """Return `value` as a plain int, or say what was wrong with it.

    Integers of NumPy, which overflow, become Python's, which do not; True is no integer.
    Raises ValueError where `value` is no integer, below `least` or above `most`.
    """
    kind = str(getattr(value, "dtype", type(value).__name__))
    try:
        number = None if kind.endswith("bool") else index(value)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
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
