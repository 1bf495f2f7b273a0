"""Checks of arguments, and errors that a user can mend; for every package, without torch."""

import importlib.util
import math
from collections.abc import Sequence
from operator import index


class CommandError(Exception):
    """Something the user can mend; the command line prints it as one line, exit code 2."""


def need(module: str, extra: str) -> None:
    """CommandError with the command that installs `module`, unless it is there."""
    if importlib.util.find_spec(module) is None:
        raise CommandError(
            f"{module} is not installed; run: pip install -c constraints.txt -e '.[{extra}]'"
        )


def check_integer(name: str, value: int, least: int) -> int:
    """Return `value` as a plain int, or say what was wrong with it.

    Raises ValueError where `value` is no integer or is below `least`.
    """
    try:
        number = index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value!r}")
    return number


def check_choice(name: str, value: object, allowed: Sequence) -> None:
    """ValueError unless `value` is one of those `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {tuple(allowed)}, got {value!r}")


def check_image(x) -> None:
    """ValueError unless the tensor x is a batch of images, (B, 3, H, W), with at least a pixel."""
    if x.dim() != 4 or x.shape[1] != 3 or min(x.shape[2:]) < 1:
        raise ValueError(f"expected an image (B, 3, H, W), got {tuple(x.shape)}")


def check_backbone(width: float, weights: str | None, num_classes: int | None) -> None:
    """ValueError unless these are arguments of a backbone.

    width: a finite number above 0. weights: None, or "imagenet" with width 1. num_classes: None
    or an integer >= 1.
    """
    if not 0 < width < math.inf:
        raise ValueError(f"width must be a number above 0, got {width!r}")
    check_choice("weights", weights, (None, "imagenet"))
    if weights is not None and width != 1:
        raise ValueError(
            f"the published weights need width=1.0, got {width!r}; drop weights, or load your own "
            "state dict"
        )
    if num_classes is not None:
        check_integer("num_classes", num_classes, 1)
