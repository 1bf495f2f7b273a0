"""Calling a model to look at it: what to feed it, what to look at, and leaving no trace."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from dlseg.checks import check_integer


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
    sizes = (input_size,) * 2 if isinstance(input_size, int) else tuple(input_size)
    if len(sizes) == 2:
        sizes = (_first_channels(model), *sizes)
    if len(sizes) != 3:
        raise ValueError(
            "input_size must be an int, (height, width) or (channels, height, width), "
            f"got {input_size!r}"
        )
    channels, height, width = sizes
    return (
        check_integer("channels of input_size", channels, 1),
        check_integer("height of input_size", height, 1),
        check_integer("width of input_size", width, 1),
    )


def main_output(output) -> Tensor:
    """The tensor that a model's output is about: itself, `last`, the entry "out", or the first one.

    Of a backbone's maps it is the attribute `last`. A dictionary without "out", a tuple or a list
    gives the first tensor in it, depth first. Raises ValueError where there is no tensor.
    """
    tensor = _first_tensor(getattr(output, "last", output))
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
        output = [output["out"]] if "out" in output else list(output.values())
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
