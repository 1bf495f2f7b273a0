"""What a network costs at a size of image, counted without computing anything.

The model runs on meta tensors, which have shapes but no values: a backbone at 513 x 513 takes a
moment and no memory, on any machine, and nothing of the model changes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from dlseg.inspect.probe import evaluating, input_shape, telling
from dlseg.inspect.receptive_field import receptive_field


@dataclass(frozen=True)
class Cost:
    """What one image costs.

    parameters: weights and biases of the whole model, running statistics not counted.
    multiply_adds: of the convolutions and matrix products in `forward` (a backbone's ends before
    its classifier), one for each product of a weight and a value. Normalisation, activations,
    pooling and resizing are not counted. Tables often call this number FLOPs, or else its double.
    activation_bytes: maps that training keeps for the backward pass, BN frozen, without weights;
    0 where no parameter requires a gradient.
    field: pixels seen by one unit of the last map, padding included, as `receptive_field` has it:
    an int, (rows, columns) where they differ, None where units differ in what they see.
    """

    parameters: int
    multiply_adds: int
    activation_bytes: int
    field: int | tuple[int, ...] | None


def cost(model: nn.Module, input_size) -> Cost:
    """Parameters, multiply-adds, memory and field of `model` for one image, in eval mode.

    model: a backbone or any other network, on any device, "meta" included. input_size: pixels, an
    int for a square, (height, width) or (channels, height, width); of models of sequences and of
    volumes as for `receptive_field`.
    Raises ValueError for another input_size, and where `receptive_field` cannot follow the model.
    """
    shape = input_shape(model, input_size)
    state = {name: _on_meta(tensor) for name, tensor in model.state_dict(keep_vars=True).items()}
    like = next(model.parameters(), torch.empty(0))
    image = torch.empty(1, *shape, dtype=like.dtype, device="meta")
    kept = _Kept(state.values())
    counter = FlopCounterMode(display=False)
    hooks = saved_tensors_hooks(kept.add, _same)
    with evaluating(model), telling(model, shape), torch.enable_grad(), counter, hooks:
        functional_call(model, state, (image,))
    return Cost(
        sum(parameter.numel() for parameter in model.parameters()),
        counter.get_total_flops() // 2,  # it counts a multiplication and an addition as two
        kept.bytes,
        receptive_field(model, shape).size,
    )


class _Kept:
    """Counts the bytes of each map that autograd keeps, once; weights not at all."""

    def __init__(self, weights: Iterable[Tensor]):
        # Held for as long as they are counted, so that no storage gets the number of another.
        self.storages = {_number(tensor): tensor for tensor in weights}
        self.bytes = 0

    def add(self, tensor: Tensor) -> Tensor:
        # A vector is no map, but what BN keeps about its channels.
        if tensor.dim() > 1 and _number(tensor) not in self.storages:
            self.storages[_number(tensor)] = tensor
            self.bytes += tensor.untyped_storage().nbytes()
        return tensor


def _number(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _on_meta(tensor: Tensor) -> Tensor:
    return torch.empty_like(tensor, device="meta", requires_grad=tensor.requires_grad)
