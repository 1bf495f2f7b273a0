"""Following every operation of a model from its image on: one graph for each axis of the map."""

import re
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.module_tracker import ModuleTracker

from dlseg.arithmetic import Graph, Merge, Resize
from dlseg.inspect.aten import NO_DEPENDENCE, follow
from dlseg.inspect.layout import SAME, Call, Layout, LostPositionsError


class Tracer(TorchDispatchMode):
    """While active, notes for each tensor which map it holds, and how each map was made.

    graphs: rows and columns (time alone; depth, rows, columns), with the same node names;
    descriptions: node name -> operation.
    Raises ValueError, inside the model's forward, where an operation cannot be followed; `failure`
    keeps the first one, in case the model catches it.
    """

    def __init__(self, model: nn.Module, image: Tensor):
        super().__init__()
        self.graphs = tuple(map(Graph, image.shape[2:]))
        self.descriptions = {"input": "image"}
        self.failure: ValueError | None = None
        self._modules = ModuleTracker()
        self._leaves = {name for name, module in model.named_modules() if not [*module.children()]}
        # Tensors are kept alive beside their layouts, so that no id is used twice.
        self._layouts: dict[int, tuple[Tensor, Layout]] = {}
        self._note(image, Layout("input", tuple(range(2, image.dim()))))

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

    def sizes(self, layout: Layout) -> tuple[int, ...]:
        """Rows and columns of a map."""
        return tuple(graph.size(layout.node) for graph in self.graphs)

    def add(self, kind: str, layout: Layout, operations, sizes=None, sources=()) -> Layout:
        """A new node behind the map of `layout`, or behind `sources`; the tensor keeps its axes.

        None is made where both operations leave the map as it is.
        kind: describes it, and names it with the module that is running; operations, sizes: for
        each axis, as for `Graph.add`.
        """
        if all(operation is SAME for operation in operations):
            return layout
        name, sizes = self._unused_name(kind), sizes or [None] * len(self.graphs)
        for graph, operation, size in zip(self.graphs, operations, sizes, strict=True):
            graph.add(name, operation, *(sources or [layout.node]), size=size)
        self.descriptions[name] = kind
        return replace(layout, node=name)

    def merge(self, kind: str, layouts: list[Layout], result: Tensor) -> Layout:
        """Maps that meet position by position; one map alone makes no node."""
        axes = tuple(self._common_axis(layouts, which) for which in range(len(self.graphs)))
        merged = {layout.merged for layout in layouts} - {None}
        if len(merged) > 1 or (merged and set(axes) != {None}):
            raise LostPositionsError("its inputs hold rows and columns on different axes")
        nodes = list(dict.fromkeys(layout.node for layout in layouts))
        layout = Layout(nodes[0], axes, merged.pop() if merged else None)
        if len(nodes) > 1:
            layout = self.add(kind, layout, [Merge(kind)] * len(axes), sources=nodes)
        return self._expanded(result, layout)

    def collapsed(self, call: Call) -> bool:
        """Whether no argument holds more than one position."""
        return all(set(self.sizes(self.layout(tensor))) == {1} for tensor in call.tracked)

    def holds(self, layout: Layout, axis: int) -> bool:
        """Whether more than one position lies along an axis of the tensor."""
        if layout.merged:
            return layout.merged.axis == axis
        return (axis, True) in [
            (a, size > 1) for a, size in zip(layout.axes, self.sizes(layout), strict=True)
        ]

    def last_axes(self, tensor: Tensor) -> Layout:
        """The layout of a tensor whose last axes must be rows and columns."""
        layout = self.real_axes(tensor)
        if layout.axes != tuple(range(tensor.dim() - len(layout.axes), tensor.dim())):
            raise LostPositionsError("rows and columns are not the last axes of its input")
        return layout

    def real_axes(self, tensor: Tensor) -> Layout:
        """The layout of a tensor, with axes of length 1 taken for single rows and columns."""
        layout = self.layout(tensor)
        if layout.merged:
            raise LostPositionsError("rows and columns were merged into one axis before")
        last = range(-len(layout.axes), 0)
        axes = tuple(
            tensor.dim() + place if axis is None and tensor.shape[place] == 1 else axis
            for place, axis in zip(last, layout.axes, strict=True)
        )
        if None in axes:
            raise LostPositionsError("its input has no axes that are known to be rows and columns")
        return Layout(layout.node, axes)

    def _common_axis(self, layouts: list[Layout], which: int) -> int | None:
        """The axis that holds the rows (which=0), columns, ...; a single row has no say."""
        long = {la.axes[which] for la in layouts if self.sizes(la)[which] > 1 and not la.merged}
        if len(long) > 1:
            raise LostPositionsError("its inputs hold rows and columns on different axes")
        short = {layout.axes[which] for layout in layouts}
        return long.pop() if long else short.pop() if len(short) == 1 else None

    def _expanded(self, result: Tensor, layout: Layout) -> Layout:
        """One position repeated, where a single row or column met a constant of more."""
        sizes = self.sizes(layout)
        larger = tuple(
            size if axis is None else result.shape[axis]
            for size, axis in zip(sizes, layout.axes, strict=True)
        )
        if larger == sizes:
            return layout
        if any(size not in (1, new) for size, new in zip(sizes, larger, strict=True)):
            raise LostPositionsError("it repeats a map side by side")
        return self.add("expand", layout, [Resize(size, "nearest") for size in larger])

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
    plain = re.split(r" \S*\d", kind, maxsplit=1)[0]
    return plain.replace(" ", "_").replace("-", "_")


def _by_name(func, args: tuple, kwargs: dict) -> dict:
    """The arguments of an operator by the names of its schema, defaults filled in."""
    schema = func._schema.arguments
    defaults = {item.name: item.default_value for item in schema if item.has_default_value()}
    return defaults | dict(zip((item.name for item in schema), args, strict=False)) | kwargs
