"""A trained network made ready to be fast: the same outputs, computed in fewer steps."""

import time
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.backends import mkldnn
from torch.utils._pytree import tree_leaves

from dlseg.doors import check_finite, check_fit, logits_of
from dlseg.inference.convolutions import (
    POINTS,
    ChannelsLast,
    OneDNN,
    ShiftedDepthwise,
    Winograd,
    is_dense_3x3,
    is_depthwise_3x3,
    is_pointwise,
    products,
)
from dlseg.inference.folding import Uses, fold, watch
from dlseg.inference.predict import check_images
from dlseg.models import ImagePooling

TOLERANCE = 1e-4  # largest difference of the outputs, as a share of their largest value
GAIN = 0.9  # what takes the place of a convolution needs at most this share of its time

Kinds = dict[str, Callable[[], nn.Module]]


def prepare(model: nn.Module, images: Tensor) -> nn.Module:
    """A copy of `model` for inference, with the same outputs to 1e-4 of their largest value.

    model: any network on images (B, 3, H, W); it is left as it is. images: normalised ones, of the
    size, in the number and on the device that the copy is for. It takes any others too.

    The copy is in eval mode. Each batch norm is part of the convolution before it where that is
    safe (see `folding`), and maps are in channels_last order. On a CPU each convolution is timed
    beside others that compute the same (see `convolutions`), with the number of threads there is
    now, and gives way where one is clearly faster: that takes seconds.
    The outputs are compared on `images`; a network that magnifies rounding errors by itself, as
    one with random weights may, can differ a little more on others. The copy cannot be trained,
    and its state dict fits no other network.
    Raises: ValueError for images of another shape, number format or device than the model's, in
    half precision (which is coarser than 1e-4: prepare first, then convert), where the path through
    the model depends on their values, and where it returns no logits or no numbers; RuntimeError
    where the outputs differ by more than 1e-4.
    """
    check_images(images)
    check_fit(images, model)
    check_finite("images", images)
    if images.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"images must be float32 or float64, got {images.dtype}: outputs in it cannot be the "
            f"same to {TOLERANCE:g}; prepare the model in float32, then convert the copy"
        )
    copy = deepcopy(model).eval().requires_grad_(False)
    with torch.inference_mode():
        expected = copy(images)
    logits_of(expected)
    uses = watch(copy, images)
    fold(copy, uses)
    copy.to(memory_format=torch.channels_last)
    pools = [module for module in copy.modules() if isinstance(module, ImagePooling)]
    uses.replace(copy, {pool: ChannelsLast(pool) for pool in pools})
    check_same(copy, images, expected, "with batch norm folded")
    if images.device.type == "cpu":
        uses.replace(copy, faster_convolutions(uses))
        check_same(copy, images, expected, "with faster convolutions")
    return copy.eval()  # the new layers too


def faster_convolutions(uses: Uses) -> dict[nn.Module, nn.Module]:
    """Convolutions that something else is clearly faster than, and that."""
    swaps, timed = {}, {}
    for conv in [layer for layer in uses.calls if isinstance(layer, nn.Conv2d)]:
        kinds = alternatives(conv, max(uses.shapes[conv], key=torch.Size.numel))
        name = fastest(conv, kinds, uses.shapes[conv], timed)
        if name:
            swaps[conv] = kinds[name]()
    return swaps


def alternatives(conv: nn.Conv2d, shape: torch.Size) -> Kinds:
    """What is worth a try in the place of `conv` on maps of `shape`: name -> what makes it."""
    if is_dense_3x3(conv):
        size, rate = shape[2:], conv.dilation[0]
        few = [m for m in POINTS if products(size, rate, m) < 9 * size.numel() / 2]
        return {f"Winograd {m}": lambda m=m: Winograd(conv, m) for m in few}
    if is_depthwise_3x3(conv) and conv.dilation[0] > 1:
        return {"shifted": lambda: ShiftedDepthwise(conv)}
    if is_pointwise(conv) and conv.weight.dtype == torch.float32 and mkldnn.is_available():
        return {"oneDNN": lambda: OneDNN(conv)}
    return {}


def fastest(layer: nn.Module, kinds: Kinds, shapes: list[torch.Size], timed: dict) -> str | None:
    """Name of the kind that is clearly faster than `layer`; None where none is.

    shapes: of the maps it gets, of which the largest counts. timed: earlier answers, which serve
    for layers and shapes that are the same.
    """
    shape = max(shapes, key=torch.Size.numel)
    key = str(layer), shape, *kinds
    if kinds and key not in timed:
        dtype = next(layer.parameters()).dtype
        x = torch.rand(shape, dtype=dtype).to(memory_format=torch.channels_last)
        times = seconds({"": layer} | {name: make() for name, make in kinds.items()}, x)
        best = min(times, key=times.get)
        timed[key] = best if times[best] <= GAIN * times[""] else None
    return timed.get(key)


def seconds(layers: dict[str, nn.Module], x: Tensor, rounds: int = 4) -> dict[str, float]:
    """Least time of each layer on x; the layers take turns, and a first round warms up."""
    times = {name: [] for name in layers}
    with torch.inference_mode():
        for _ in range(rounds + 1):
            for name, layer in layers.items():
                begin = time.perf_counter()
                layer(x)
                times[name].append(time.perf_counter() - begin)
    return {name: min(values[1:]) for name, values in times.items()}


def check_same(model: nn.Module, images: Tensor, expected, how: str) -> None:
    """RuntimeError where outputs of `model` are further than `TOLERANCE` from those `expected`."""
    with torch.inference_mode():
        outputs = model(images)
    for ours, theirs in zip(floats_in(outputs), floats_in(expected), strict=True):
        difference = (ours - theirs).abs().max() / theirs.abs().max()
        if not difference <= TOLERANCE:
            raise RuntimeError(
                f"{how} the outputs of the model differ by {difference:.1e} of their largest "
                f"value, more than {TOLERANCE:g}; use the model as it is"
            )


def floats_in(output) -> list[Tensor]:
    """All maps of floats that a model returned; of an object of its own kind the logits."""
    leaves = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
    return [leaf for leaf in leaves if leaf.is_floating_point()] or [logits_of(output)]
