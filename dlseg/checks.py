"""Checks of arguments, and errors that a user can mend; for every package, without torch."""

import importlib.util
import math
import os
from collections.abc import Iterable
from operator import index
from pathlib import Path

DEVICES = ("auto", "cpu", "cuda", "mps")  # what DLSEG_DEVICE and --device may name


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


def check_integer(name: str, value: int, least: int | None = None, most: int | None = None) -> int:
    """Return `value` as a plain int, or say what was wrong with it.

    Integers of NumPy, which overflow, become Python's, which do not; True is no integer.
    Raises ValueError where `value` is no integer, below `least` or above `most`.
    """
    try:
        number = None if isinstance(value, bool) else index(value)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
        bound = "" if least is None else f" >= {least}"
        raise ValueError(f"{name} must be an integer{bound}, got {value!r}")
    if most is not None and number > most:
        raise ValueError(f"{name} must be an integer <= {most}, got {value!r}")
    return number


def check_choice(name: str, value: object, allowed: Iterable) -> None:
    """ValueError that lists what is allowed unless `value` is one of it."""
    allowed = tuple(allowed)
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}")


def check_share(name: str, value: float) -> None:
    """ValueError unless 0 <= value <= 1, as a probability; NaN is refused too."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be in [0, 1], got {value}")


def check_rgb(name: str, image) -> None:
    """ValueError unless `image` is a NumPy array, uint8 (H, W, 3)."""
    if image.dtype != "uint8" or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"{name} must be uint8 (H, W, 3), got {image.dtype} {image.shape}")


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


def check_batch(x, norm) -> None:
    """ValueError where the layer `norm` would have to normalise single values, x being one image.

    norm: batch norm behind a mean over the whole map; SyncBatchNorm sees other processes' images.
    """
    if x.shape[0] == 1 and norm.training and type(norm).__name__ == "BatchNorm2d":
        raise ValueError(
            "image pooling leaves one value per channel of a batch of 1 image, and batch norm "
            "cannot normalise a single value in training. Give at least 2 images per device "
            "(drop_last=True drops a short last batch); or call model.eval() to predict; or "
            "freeze batch norm, with Recipe(freeze_batch_norm=True); or turn it into "
            "nn.SyncBatchNorm where several processes train together; or build the network "
            "with image_pooling=False"
        )
