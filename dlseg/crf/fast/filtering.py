"""Filters: the kernel of a batch of images, normalised, with its transpose for the gradient.

A message of mean field is the kernel's matrix times Q. The matrix belongs to the images: a filter
is built once and then applied in every iteration, to all labels at once.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from dlseg.checks import check_choice
from dlseg.crf.exact import TINY, ExactFilter
from dlseg.crf.fast.lattice import Lattice
from dlseg.crf.fast.spatial import Grid
from dlseg.crf.kernels import (
    NORMALIZATIONS,
    Kernel,
    check_format,
    check_image,
    check_sigmas,
    features,
)

METHODS = ("lattice", "bridged", "exact")


class Filter:
    """The normalised kernel: `filter(values)` and `filter.transpose(values)`, (B, N, C) each.

    operator: K, a `Lattice` or a `Grid`. ones: (B, N, 1). normalization: one of NORMALIZATIONS.
    self_term: False leaves out what a pixel sends to itself: the operator's own diagonal is
    subtracted (not the exact kernel's 1), so that no message becomes negative.
    Gradients of any order flow to the values, none to the image.
    """

    def __init__(self, operator: Lattice | Grid, ones: Tensor, normalization: str, self_term: bool):
        check_choice("normalization", normalization, NORMALIZATIONS)
        self.operator = operator
        self.before = self.after = None  # factors of the values and of the messages, (B, N, 1)
        if normalization == "symmetric":
            operator.normalise()
        elif normalization == "before":
            self.before = 1 / (operator(ones) + TINY)
        elif normalization == "after":
            self.after = 1 / (operator(ones) + TINY)
        self.own = None if self_term else operator.diagonal()  # (B, N, 1)

    def __call__(self, values: Tensor) -> Tensor:
        """The messages."""
        return Linear.apply(values, self._messages, self._transposed)

    def transpose(self, values: Tensor) -> Tensor:
        """The transposed matrix times values."""
        return Linear.apply(values, self._transposed, self._messages)

    def _messages(self, values: Tensor) -> Tensor:
        return self._apply(values, self.operator, self.before, self.after)

    def _transposed(self, values: Tensor) -> Tensor:
        return self._apply(values, self.operator.transpose, self.after, self.before)

    def _apply(self, values: Tensor, operator, before, after) -> Tensor:
        values = values if before is None else before * values
        messages = operator(values)
        if self.own is not None:
            messages = messages - self.own * values
        return messages if after is None else after * messages


class Linear(torch.autograd.Function):
    """A linear map whose gradient is its transpose; nothing needs to be kept for it."""

    @staticmethod
    def forward(ctx, values: Tensor, there: Callable, back: Callable) -> Tensor:
        """There."""
        ctx.maps = there, back
        return there(values)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        """And back."""
        there, back = ctx.maps
        return Linear.apply(gradient, back, there), None, None


@torch.no_grad()
def build_filter(
    image: Tensor,
    kernel: Kernel,
    normalization: str = "symmetric",
    self_term: bool = True,
    method: str = "lattice",
    dtype: torch.dtype = torch.float32,
) -> Filter | ExactFilter:
    """The filter of `kernel` for a batch of images.

    image: (B, 3, H, W) uint8, or floats in 0..255, or any feature image (B, F, H, W).
    normalization, self_term: as for `Filter`. dtype: of values and messages.
    method: "lattice" is fast; it takes the permutohedral lattice for kernels of the colour and the
    grid for those of the position alone. "bridged" is slower and nearer to the truth where srgb is
    small, see `Lattice`. "exact" compares all pairs of pixels.
    Raises: ValueError for another method or normalization, or what `features` and `Lattice` refuse.
    """
    check_choice("method", method, METHODS)
    check_choice("normalization", normalization, NORMALIZATIONS)
    check_format("dtype", dtype)
    check_image(image)
    if method == "exact":
        return ExactFilter(features(image, kernel, dtype), normalization, self_term)
    batch, _, height, width = image.shape
    if kernel.srgb is None:
        sigma = kernel.sxy if isinstance(kernel.sxy, tuple) else (kernel.sxy, kernel.sxy)
        for side, s in zip((width, height), sigma, strict=True):
            check_sigmas("sxy", (side - 1) / s)
        operator = Grid(batch, (height, width), sigma, dtype, image.device)
    else:
        names = ["sxy (x)", "sxy (y)", *(f"srgb (channel {c})" for c in range(image.shape[1]))]
        operator = Lattice(features(image, kernel, dtype), names, bridges=method == "bridged")
    ones = torch.ones(batch, height * width, 1, dtype=dtype, device=image.device)
    return Filter(operator, ones, normalization, self_term)
