"""Calling a model to look at it: what to feed it, what to look at, and leaving no trace."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
)

from dlseg.checks import check_integer
from dlseg.doors import main_tensor

LARGEST = 2**20  # pixels of a side
# The axes of what a model reads, by the dimensions of its convolutions: sequence, image, volume.
AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside, the model is in eval mode; afterwards each module is in the mode it was in before."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def input_shape(model: nn.Module, input_size) -> tuple[int, ...]:
    """Channels, height and width of an input for `model`, the last two in pixels.

    input_size: an int for a square, (height, width) or (channels, height, width). Channels not
    given are those of the model's first convolution in definition order, 3 where it has none.
    A model of Conv1d takes (length,) or (channels, length), one of Conv3d (depth, height, width)
    with or without channels, and an int means the same for each of them.
    Raises ValueError where input_size is none of these.
    """
    convolutions = _convolutions(model)
    names = AXES[_dimensions(convolutions)]
    if isinstance(input_size, int) or getattr(input_size, "ndim", None) == 0:
        sizes = (input_size,) * len(names)
    else:
        sizes = tuple(input_size) if isinstance(input_size, Sequence | torch.Tensor) else ()
    if len(sizes) == len(names):
        sizes = (convolutions[0].in_channels if convolutions else 3, *sizes)
    if len(sizes) != 1 + len(names):
        listed = ", ".join(names)
        without = f"({listed})" if len(names) > 1 else f"({listed},)"
        raise ValueError(
            f"input_size must be an int, {without} or (channels, {listed}), got {input_size!r}"
        )
    return tuple(
        check_integer(f"{name} of input_size", size, 1, LARGEST)
        for name, size in zip(("channels", *names), sizes, strict=True)
    )


@contextmanager
def telling(model: nn.Module, shape: tuple[int, ...]) -> Iterator[None]:
    """Inside, what the model itself cannot compute is a ValueError that names the input's shape."""
    like = next(model.parameters(), torch.empty(0))
    if not like.is_floating_point():
        raise ValueError(f"the model's weights must be floats, got {like.dtype}")
    try:
        yield
    except (DataDependentOutputException, DynamicOutputShapeException):
        raise  # not the shape's fault
    except (RuntimeError, TypeError, IndexError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"the model cannot compute an input of shape {(1, *shape)}: {reason}"
        ) from error


def main_output(output) -> Tensor:
    """The tensor that a model's output is about: itself, `last`, as `main_tensor`, or the first.

    Of a backbone's maps it is the attribute `last`. A dictionary without "out" or "logits", a tuple
    or a list gives the first tensor in it, depth first. Raises ValueError where there is none.
    """
    output = getattr(output, "last", output)
    tensor = main_tensor(output)
    tensor = _first_tensor(output) if tensor is None else tensor
    if tensor is None:
        raise ValueError(
            f"the model returned {type(output).__name__} with no tensor in it; "
            'return a tensor, a tuple of tensors, or a dictionary with an entry "out"'
        )
    return tensor


def _first_tensor(output) -> Tensor | None:
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, (tuple, list)):
        tensors = (_first_tensor(part) for part in output)
        return next((tensor for tensor in tensors if tensor is not None), None)
    return None


def _convolutions(model: nn.Module) -> list[nn.Module]:
    """The model's convolutions in definition order; of several dimensions, those of an image."""
    for kinds in (
        (nn.Conv2d, nn.ConvTranspose2d),
        (nn.Conv1d, nn.ConvTranspose1d),
        (nn.Conv3d, nn.ConvTranspose3d),
    ):
        if found := [module for module in model.modules() if isinstance(module, kinds)]:
            return found
    return []


def _dimensions(convolutions: list[nn.Module]) -> int:
    """Of the convolutions, and so of what the model reads: 2 where there is none."""
    return len(convolutions[0].kernel_size) if convolutions else 2


def repeat(value: int | Sequence[int], count: int = 2) -> list[int]:
    """A number for each axis, as PyTorch reads one number for all of them."""
    values = [value] if isinstance(value, int) else list(value)
    return values * count if len(values) == 1 else values
