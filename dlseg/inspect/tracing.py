"""Following every operation of a model from its image on: one graph for rows, one for columns."""

import re

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.module_tracker import ModuleTracker

from dlseg.arithmetic import Graph
from dlseg.inspect.aten import NO_DEPENDENCE, follow
from dlseg.inspect.layout import Layout, LostPositionsError
from dlseg.inspect.rules import Call


class Tracer(TorchDispatchMode):
    """While active, notes for each tensor which map it holds, and how each map was made.

    graphs: rows and columns, with the same node names; descriptions: node name -> operation.
    Raises ValueError, inside the model's forward, where an operation cannot be followed; `failure`
    keeps the first one, in case the model catches it.
    """

    def __init__(self, model: nn.Module, image: Tensor):
        super().__init__()
        self.graphs = (Graph(image.shape[-2]), Graph(image.shape[-1]))
        self.descriptions = {"input": "image"}
        self.failure: ValueError | None = None
        self._modules = ModuleTracker()
        self._leaves = {name for name, module in model.named_modules() if not [*module.children()]}
        # Tensors are kept alive beside their layouts, so that no id is used twice.
        self._layouts: dict[int, tuple[Tensor, Layout]] = {}
        self._note(image, Layout("input", (image.dim() - 2, image.dim() - 1)))

    def __enter__(self):
        self._modules.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        self._modules.__exit__(*error)
        return super().__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        output = _run(func, args, kwargs)
        name = func.overloadpacket.__name__
        tracked = [leaf for leaf in tree_leaves((args, kwargs)) if self.layout(leaf)]
        results = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
        if tracked and results and name not in NO_DEPENDENCE:
            arguments = _by_name(func, args, kwargs)
            call = Call(name.removesuffix("_"), arguments, tracked, results[0])
            try:
                layout = follow(self, func, call)
            except LostPositionsError as error:
                failure = ValueError(self._explain(func, error))
                self.failure = self.failure or failure
                raise failure from None
            for result in results:
                self._note(result, layout)
        return output

    def layout(self, tensor) -> Layout | None:
        """The map that a tensor holds; None for weights, constants and anything else."""
        return self._layouts[id(tensor)][1] if id(tensor) in self._layouts else None

    def sizes(self, layout: Layout) -> tuple[int, int]:
        """Rows and columns of a map."""
        rows, columns = self.graphs
        return rows.size(layout.node), columns.size(layout.node)

    def add(self, kind: str, sources: list[str], operations, sizes=(None, None)) -> str:
        """Add a node to both graphs; returns its name, made of the module that is running.

        kind: describes it; operations, sizes: for rows and for columns, as for `Graph.add`.
        """
        name = self._unused_name(kind)
        for graph, operation, size in zip(self.graphs, operations, sizes, strict=True):
            graph.add(name, operation, *sources, size=size)
        self.descriptions[name] = kind
        return name

    def _note(self, tensor: Tensor, layout: Layout) -> None:
        self._layouts[id(tensor)] = (tensor, layout)

    def _unused_name(self, kind: str) -> str:
        path = self._module_path()
        plain = path
        if not path or path not in self._leaves:  # a functional call needs more than its module
            plain = f"{path}.{_identifier(kind)}".lstrip(".")
        name, number = plain, 1
        while name in self.descriptions:
            number += 1
            name = f"{plain}#{number}"
        return name

    def _module_path(self) -> str:
        """Dotted path of the innermost module that is running, without the model's own name."""
        running = max(self._modules.parents - {"Global"}, key=len, default="")
        return running.partition(".")[2]

    def _explain(self, func, error: LostPositionsError) -> str:
        return (
            f"cannot follow {func} in module {self._module_path() or '(the model itself)'}: "
            f"{error}. Give receptive_field the part of the model before it, or write it with "
            "convolutions, pooling, resizing and slicing"
        )


def _run(func, args: tuple, kwargs: dict):
    """Call an operator on fake tensors.

    Batch norm in eval mode only by its shape: PyTorch fakes it step by step, which would take two
    thirds of all tracing time.
    """
    if func is torch.ops.aten.native_batch_norm.default and not args[5]:
        return torch.empty_like(args[0]), args[0].new_empty(0), args[0].new_empty(0)
    return func(*args, **kwargs)


def _identifier(kind: str) -> str:
    """The words of a description without its numbers: "max pool 3x3 /2" gives max_pool."""
    words = re.split(r" \S*\d", kind, maxsplit=1)[0]
    return words.replace(" ", "_").replace("-", "_")


def _by_name(func, args: tuple, kwargs: dict) -> dict:
    """The arguments of an operator by the names of its schema, defaults filled in."""
    schema = func._schema.arguments
    defaults = {item.name: item.default_value for item in schema if item.has_default_value()}
    return defaults | dict(zip((item.name for item in schema), args, strict=False)) | kwargs
