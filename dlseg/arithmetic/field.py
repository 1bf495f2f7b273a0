"""The receptive field of a stack of layers, computed in three ways that must agree.

All three follow Araujo, Norris and Sim, "Computing receptive fields of convolutional neural
networks", Distill 2019. Everything is along one axis and in pixels of the stack's input.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from dlseg.arithmetic.layer import Layer
from dlseg.checks import check_integer


@dataclass(frozen=True)
class Field:
    """Which input pixels the units of a map see: unit i sees `region(i)`.

    size: pixels seen by one unit; stride: pixels between the fields of neighbouring units (0: all
    units see the same pixels, as behind global pooling); padding: pixels by which the first
    field begins before the image; aligned: False where branches with different centres were merged.
    A map that nothing has processed yet is `Field()`: each pixel sees itself.
    Source: Distill 2019 (r, S and P there).
    """

    size: int = 1
    stride: int = 1
    padding: int = 0
    aligned: bool = True

    def __post_init__(self):
        for field, least in (("size", 1), ("stride", 0), ("padding", None)):
            object.__setattr__(self, field, check_integer(field, getattr(self, field), least))

    @property
    def start(self) -> float:
        """Centre of the first unit's field, in input pixels; a half where the size is even."""
        return (self.size - 1) / 2 - self.padding

    def centre(self, position: int) -> float:
        """Centre of the field of the unit at `position`, in input pixels."""
        return self.start + check_integer("position", position) * self.stride

    def region(self, first: int, last: int | None = None) -> tuple[int, int]:
        """First and last pixel seen by the units `first` to `last` (by default one unit).

        Not clipped to the image: what lies outside was padding. Source: Distill 2019, u_0 and v_0.
        Raises ValueError where `last` lies before `first`.
        """
        first = check_integer("first", first)
        last = first if last is None else check_integer("last", last)
        if last < first:
            raise ValueError(f"last must not lie before first, got first={first}, last={last}")
        begin = first * self.stride - self.padding
        return begin, begin + (last - first) * self.stride + self.size - 1

    def after(self, kernel_size: int, stride: int, padding: int) -> "Field":
        """The field behind one more window of `kernel_size` pixels (the effective kernel)."""
        kernel_size = check_integer("kernel_size", kernel_size, 1)
        stride = check_integer("stride", stride, 0)
        padding = check_integer("padding", padding)
        return Field(
            self.size + (kernel_size - 1) * self.stride,
            self.stride * stride,
            self.padding + padding * self.stride,
            self.aligned,
        )


def stack_fields(layers: Iterable[Layer]) -> list[Field]:
    """The field behind each layer of a stack, in order, by the forward recursion.

    `size += (K - 1) jump; padding += p jump; jump *= stride`, the form that calculators use.
    """
    fields, field = [], Field()
    for layer in layers:
        field = field.after(layer.effective_kernel, layer.stride, layer.padding)
        fields.append(field)
    return fields


def field_closed_form(layers: Iterable[Layer]) -> Field:
    """The field of a whole stack by the closed formula, without passing through its layers.

    `size = 1 + sum_l (K_l - 1) prod_{i<l} s_i`, `padding = sum_l p_l prod_{i<l} s_i`.
    Source: Distill 2019, equations for r_0, S_0 and P_0.
    """
    layers = list(layers)
    jumps = [
        math.prod(layer.stride for layer in layers[:count]) for count in range(len(layers) + 1)
    ]
    size = 1 + sum((la.effective_kernel - 1) * j for la, j in zip(layers, jumps, strict=False))
    padding = sum(la.padding * j for la, j in zip(layers, jumps, strict=False))
    return Field(size, jumps[-1], padding)


def field_backward(layers: Iterable[Layer]) -> Field:
    """The field of a whole stack by walking back from the output: what do units 0 and 1 see?

    `u = -p + u s`, `v = -p + v s + K - 1` from the last layer to the first.
    Source: Distill 2019, the recursion for u and v.
    """
    layers = list(layers)
    first, last = _walk_back(layers, 0)
    return Field(last - first + 1, _walk_back(layers, 1)[0] - first, -first)


def _walk_back(layers: list[Layer], unit: int) -> tuple[int, int]:
    first = last = unit
    for layer in reversed(layers):
        first = first * layer.stride - layer.padding
        last = last * layer.stride - layer.padding + layer.effective_kernel - 1
    return first, last
