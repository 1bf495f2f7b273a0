"""Which layer reads which result, and batch norm that became part of the convolution before it.

In eval mode batch norm scales and shifts each channel by fixed numbers, and so can the convolution.
That is allowed only where nothing else sees the convolution's result, which one forward pass tells
and the order of the modules does not.
"""

from collections import Counter, defaultdict

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dlseg.doors import main_tensor

WATCHED = (nn.Conv2d, nn.BatchNorm2d)  # exactly these: a subclass may do something else


class Uses(TorchDispatchMode):
    """While active, notes how `model` uses its layers of the kinds in `WATCHED`.

    calls: how often each of them ran. shapes: of what each of them got, (B, C, H, W), call by call.
    readers: for each of them the watched layers that read its result, and None where anything else
    did: another operation, or the caller of the model.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.calls: Counter[nn.Module] = Counter()
        self.shapes: dict[nn.Module, list[torch.Size]] = defaultdict(list)
        self.readers: dict[nn.Module, set[nn.Module | None]] = defaultdict(set)
        # Results are kept alive, so that no id is used twice.
        self._results: dict[int, tuple[Tensor, nn.Module]] = {}
        self._running: nn.Module | None = None
        self._hooks = []
        for module in model.modules():
            if type(module) in WATCHED:
                self._hooks.append(module.register_forward_pre_hook(self._before))
                self._hooks.append(module.register_forward_hook(self._after))

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.read((args, kwargs))
        return func(*args, **(kwargs or {}))

    def __exit__(self, *error):
        for hook in self._hooks:
            hook.remove()
        return super().__exit__(*error)

    def read(self, values) -> None:
        """Note that what runs now reads the tensors in `values`."""
        for leaf in tree_leaves(values):
            if id(leaf) in self._results:
                self.readers[self._results[id(leaf)][1]].add(self._running)

    def next_of(self, layer: nn.Module) -> nn.Module | None:
        """The watched layer behind `layer`, with nothing in between and nothing beside it.

        None where there is no such layer, or one of the two did not run exactly once.
        """
        readers = self.readers[layer]
        reader = next(iter(readers)) if len(readers) == 1 else None
        return reader if self.calls[layer] == self.calls[reader] == 1 else None

    def replace(self, model: nn.Module, swaps: dict[nn.Module, nn.Module]) -> None:
        """Put other layers in the place of some of `model`, in `calls` and `shapes` too."""
        for parent in [*model.modules()]:
            for name, child in [*parent.named_children()]:
                if child in swaps:
                    setattr(parent, name, swaps[child])
        for old, new in swaps.items():
            if old in self.calls:
                self.calls[new], self.shapes[new] = self.calls.pop(old), self.shapes.pop(old)

    def _before(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.calls[module] += 1
        self.shapes[module].append(inputs[0].shape)
        self._running = module

    def _after(self, module: nn.Module, _inputs: tuple[Tensor, ...], result: Tensor) -> None:
        self._results[id(result)] = (result, module)
        self._running = None


def watch(model: nn.Module, images: Tensor) -> Uses:
    """How `model`, in eval mode, uses its convolutions and batch norms on images of this shape.

    Nothing is computed: the forward pass runs on shapes alone.
    Raises: ValueError where its path depends on the values of the images.
    """
    uses = Uses(model)
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
        image = torch.empty(images.shape, dtype=images.dtype, device=images.device)
        try:
            with uses:
                output = model(image)
                uses.read((output, main_tensor(output)))
        except (DataDependentOutputException, DynamicOutputShapeException) as error:
            raise ValueError(
                f"the model's path depends on the values of the image ({error.func}), so that it "
                "is not known how it uses its layers; use it as it is, or give a part of it"
            ) from None
    return uses


def fold(model: nn.Module, uses: Uses) -> int:
    """Put each batch norm of `model` that may be into the convolution before it; returns how many.

    uses: from `watch`; its calls and shapes are brought up to date. `nn.Identity` takes the place
    of the batch norm, so that `forward` needs no change.
    """
    swaps, count = {}, 0
    for conv in [layer for layer in uses.calls if isinstance(layer, nn.Conv2d)]:
        norm = uses.next_of(conv)
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None:
            swaps |= {conv: fuse_conv_bn_eval(conv, norm), norm: nn.Identity()}
            count += 1
    uses.replace(model, swaps)
    return count
