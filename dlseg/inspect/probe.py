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


def input_shape(model: nn.Module, input_size) -> tuple[int, int, int]:
    """Channels, height and width of an input for `model`, the last two in pixels.

    input_size: an int for a square, (height, width) or (channels, height, width). Channels not
    given are those of the model's first convolution in definition order, 3 where it has none.
    Raises ValueError where input_size is none of these.
    """
    if isinstance(input_size, int) or getattr(input_size, "ndim", None) == 0:
        sizes = (input_size,) * 2
    else:
        sizes = tuple(input_size) if isinstance(input_size, Sequence | torch.Tensor) else ()
    if len(sizes) == 2:
        sizes = (_first_channels(model), *sizes)
    if len(sizes) != 3:
        raise ValueError(
            "input_size must be an int, (height, width) or (channels, height, width), "
            f"got {input_size!r}"
        )
    channels, height, width = sizes
    return (
        check_integer("channels of input_size", channels, 1, LARGEST),
        check_integer("height of input_size", height, 1, LARGEST),
        check_integer("width of input_size", width, 1, LARGEST),
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
        kinds = {type(module).__name__ for module in model.modules()}
        other = sorted(kind for kind in kinds if kind.startswith(("Conv1d", "Conv3d")))
        hint = f"; only 2-d convolutions are followed, write {other[0]} as Conv2d" if other else ""
        raise ValueError(
            f"the model cannot compute an input of shape {(1, *shape)}: {reason}{hint}"
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


def _first_channels(model: nn.Module) -> int:
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            return module.in_channels
    return 3


def repeat(value: int | Sequence[int], count: int = 2) -> list[int]:
    """A number for each axis, as PyTorch reads one number for all of them."""
    values = [value] if isinstance(value, int) else list(value)
    return values * count if len(values) == 1 else values
