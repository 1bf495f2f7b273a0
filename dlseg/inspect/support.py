"""Receptive fields measured on a network, by following the gradient of one output unit.

`gradient_support` finds the pixels that *can* matter, the theoretical field, independently of all
formulas; `effective_field` how much each one *does* matter, with the weights the model has.
"""

import copy
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from dlseg.arithmetic import Layer
from dlseg.checks import check_integer
from dlseg.inspect.probe import evaluating, input_shape, main_output, repeat, telling

# Small enough that no ReLU6, sigmoid or hard swish saturates, however far residual sums grow.
AMPLITUDE = 1e-6
# What the numbers of a unit are called, by the axes of its map.
UNIT = {1: ("place",), 2: ("row", "column"), 3: ("plane", "row", "column")}


class Support(NamedTuple):
    """Pixels that one output unit depends on.

    rows, columns: first and last pixel, None where no pixel matters; mask: (H, W) of booleans.
    Of a sequence the mask is (L,), a single row; of a volume (D, H, W), seen along its depth.
    """

    rows: tuple[int, int] | None
    columns: tuple[int, int] | None
    mask: np.ndarray


def from_layers(layers: Iterable[Layer]) -> nn.Sequential:
    """One-channel convolutions without bias, all weights 1, with the geometry of `layers`.

    The gradient of such a network counts paths. Modules bear the layers' names where they have
    one (dots become underscores), else their number.
    """
    stack = nn.Sequential()
    for number, layer in enumerate(layers):
        conv = nn.Conv2d(
            1, 1, layer.kernel_size, layer.stride, layer.padding, layer.rate, bias=False
        )
        nn.init.ones_(conv.weight)
        name = layer.name.replace(".", "_").replace(" ", "_") or str(number)
        taken = dict(stack.named_children())
        stack.add_module(f"{name}_{number}" if name in taken else name, conv)
    return stack


def gradient_support(model: nn.Module, input_size, unit: tuple[int, ...] | None = None) -> Support:
    """The input pixels on which one output unit can depend, for any weights of this architecture.

    A copy of the model, in float64 on the CPU, gets positive weights, zero biases and running
    statistics 0 and 1, and sees a small positive image, so that nothing cancels and no activation
    saturates; max pooling hands its gradient to all pixels of its window, not only to the largest.
    Activations that are flat at small positive values, and normalisation that makes negative
    values for a ReLU to cut off, can still hide pixels.

    input_size: pixels, as for `receptive_field`; unit: (row, column), or a number for each axis
    where they are not two; by default the central one.
    Raises ValueError where the unit is not on the output map or no pixel count fits the model.
    """
    shape = input_shape(model, input_size)
    generator = torch.Generator().manual_seed(0)
    positive = _positive_copy(model, generator)
    image = AMPLITUDE * (0.5 + torch.rand(1, *shape, dtype=torch.float64, generator=generator))
    with telling(model, shape), _OpenMaxPool():
        gradient = _gradient_of_unit(positive, image, unit)
    mask = (gradient != 0).any(dim=0).numpy()
    seen = mask.reshape(-1, *np.atleast_2d(mask).shape[-2:]).any(axis=0)  # (H, W)
    return Support(_extent(seen.any(axis=1)), _extent(seen.any(axis=0)), mask)


def effective_field(
    model: nn.Module,
    input_size,
    samples: int = 20,
    seed: int = 0,
    unit: tuple[int, ...] | None = None,
) -> np.ndarray:
    """Mean of |d y / d x| over random images, (H, W): how much each pixel matters to one unit.

    The model keeps its weights and runs in eval mode; images are standard normal; y is the sum of
    the unit's channels and the result the mean over the image's channels.
    input_size, unit: as for `gradient_support`; samples: images; seed: of their generator.
    Raises ValueError as `gradient_support`, or where samples is no integer >= 1.
    Source: Luo et al. 2016, "Understanding the effective receptive field".
    """
    samples, seed = check_integer("samples", samples, 1, 10**6), check_integer("seed", seed, 0)
    shape = input_shape(model, input_size)
    like = next(model.parameters(), torch.empty(0))
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(shape[1:], dtype=torch.float64)
    with evaluating(model), telling(model, shape):
        for _ in range(samples):
            image = torch.randn(1, *shape, generator=generator).to(like)
            total += _gradient_of_unit(model, image, unit).abs().mean(dim=0).cpu().double()
    return (total / samples).numpy()


def _gradient_of_unit(model: nn.Module, image: Tensor, unit: tuple[int, ...] | None) -> Tensor:
    """d y / d image, (C, H, W), where y is the sum over channels of one output unit."""
    with torch.enable_grad():
        image = image.requires_grad_()
        output = main_output(model(image))
        if output.dim() == 2 and unit is None:
            value = output.sum()
        else:
            value = output[0, :, *_unit_on_map(output, image.dim() - 2, unit)].sum()
        return torch.autograd.grad(value, image)[0][0]


def _unit_on_map(output: Tensor, axes: int, unit: tuple[int, ...] | None) -> tuple[int, ...]:
    """The unit, checked; the central one where it is None."""
    if output.dim() != axes + 2:
        letters = {1: "L", 2: "H, W", 3: "D, H, W"}[axes]
        raise ValueError(
            f"a unit needs an output map (1, C, {letters}), got {tuple(output.shape)}; "
            "probe the part of the model before its pooling or flattening"
        )
    sizes, names = tuple(output.shape[2:]), UNIT[axes]
    if unit is None:
        return tuple(size // 2 for size in sizes)
    if not hasattr(unit, "__len__") or len(unit) != axes:
        raise ValueError(f"unit must be ({', '.join(names)}), got {unit!r}")
    place = tuple(
        check_integer(f"{name} of unit", number, 0)
        for name, number in zip(names, unit, strict=True)
    )
    if any(number >= size for number, size in zip(place, sizes, strict=True)):
        shown = "x".join(map(str, sizes))
        raise ValueError(f"unit must lie on the {shown} output map, got {unit}")
    return place


def _positive_copy(model: nn.Module, generator: torch.Generator) -> nn.Module:
    positive = copy.deepcopy(model).cpu().double().eval()
    for module in positive.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # autograd cannot pass through some of them
    with torch.no_grad():
        for name, parameter in positive.named_parameters():
            if parameter.dim() > 1:
                # Weighted means: values keep their size through any depth.
                values = 0.5 + torch.rand(parameter.shape, dtype=torch.float64, generator=generator)
                parameter.copy_(values / parameter[0].numel())
            else:
                parameter.fill_(0.0 if name.rsplit(".", 1)[-1] == "bias" else 1.0)
        for name, buffer in positive.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.fill_(float(name.endswith("var")))
    return positive


class _OpenMaxPool(TorchDispatchMode):
    """In the backward pass, max pooling gives its gradient to every pixel of its window."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        aten, packet = torch.ops.aten, func.overloadpacket
        if packet is aten.max_pool2d_with_indices_backward:
            return _spread(2, *args[:6])
        if packet is aten.max_pool3d_with_indices_backward:
            return _spread(3, *args[:6])
        if packet is aten.adaptive_max_pool2d_backward:
            return aten._adaptive_avg_pool2d_backward(args[0], args[1])
        if packet is aten.adaptive_max_pool3d_backward:
            return aten._adaptive_avg_pool3d_backward(args[0], args[1])
        return func(*args, **(kwargs or {}))


def _spread(axes: int, gradient: Tensor, image: Tensor, kernel_size, stride, padding, rate):
    """The transposed window: each unit's gradient goes to all its taps inside the image.

    gradient, image: (..., H, W), or (..., D, H, W) where the window has three axes.
    """
    planes = gradient.reshape(-1, 1, *gradient.shape[-axes:])
    kernel = torch.ones(1, 1, *repeat(kernel_size, axes), dtype=gradient.dtype)
    transposed = F.conv_transpose2d if axes == 2 else F.conv_transpose3d
    spread = transposed(planes, kernel, stride=stride or kernel_size, dilation=rate)
    ends, sizes = [], zip(repeat(padding, axes), image.shape[-axes:], spread.shape[2:], strict=True)
    for first, size, made in sizes:
        # Ceil mode reaches beyond the padded image, floor mode may fall short of it.
        ends = [-first, first + size - made, *ends]  # the list begins with the last axis
    return F.pad(spread, ends).reshape(image.shape)


def _extent(touched: np.ndarray) -> tuple[int, int] | None:
    positions = np.flatnonzero(touched)
    return (int(positions[0]), int(positions[-1])) if len(positions) else None
