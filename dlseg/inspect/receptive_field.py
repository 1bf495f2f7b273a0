"""The receptive field of any torch model, layer by layer, by tracing one run of it.

The model runs on fake tensors, which have shapes but no values, so nothing is computed and nothing
of the model changes; what each operation does to positions goes into the graphs of
`dlseg.arithmetic.graph`, one for rows and one for columns; one alone for a model of sequences
(Conv1d), three for one of volumes (Conv3d).
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)

from dlseg.arithmetic import Graph
from dlseg.inspect.probe import evaluating, input_shape, main_output, telling
from dlseg.inspect.tracing import Tracer

HEADINGS = ("layer", "operation", "output", "field", "stride", "padding", "start", "aligned")


@dataclass(frozen=True)
class Row:
    """What the units of one map see. Numbers are one int where all axes agree, else (H, W).

    name: module path, with "#2" where it ran before; operation: what made the map; output_size:
    units. size, stride, padding, start, in input pixels, as of `arithmetic.Field` (stride 0: all
    units see the same), None where units differ in what they see. extents: fewest and most pixels
    that a unit spans inside the image. aligned: all branches so far share their centres.
    """

    name: str
    operation: str
    output_size: int | tuple[int, ...]
    size: int | tuple[int, ...] | None
    stride: int | tuple[int, ...] | None
    padding: int | tuple[int, ...] | None
    start: float | tuple[float, ...] | None
    extents: tuple
    aligned: bool
    whole_image: bool


class FieldReport:
    """Result of `receptive_field`: a row for each layer, and what the output units see.

    layers: a `Row` for each operation that changes what is seen, in order; output: the row of the
    output; graphs: one for each axis; unaligned: a sentence for each place where branches that do
    not share their centres meet; problem: why the output has no single field, or "".
    size, stride, padding, start, aligned, whole_image: of the output, as in its `Row`.
    `print` it for a table.
    """

    def __init__(self, graphs: tuple[Graph, ...], descriptions: dict[str, str], output: str):
        self.graphs = graphs
        rows = {name: _row(graphs, name, kind) for name, kind in descriptions.items()}
        self.output = end = rows[output]
        self.size, self.stride, self.padding = end.size, end.stride, end.padding
        self.start, self.aligned, self.whole_image = end.start, end.aligned, end.whole_image
        self.layers = tuple(row for name, row in rows.items() if name != "input")
        places = [str(place) for graph in graphs for place in graph.misalignments]
        self.unaligned = tuple(dict.fromkeys(places))
        self.problem = next((p for p in (g.node(output).problem for g in graphs) if p), "")

    def region(self, *unit: int) -> tuple:
        """((first row, last row), (first column, last column)) of what one output unit reads.

        unit: row and column; in general a number for each axis, and so many pairs come back.
        In input pixels, inside the image; (None, None) for a unit that reads only padding.
        Raises ValueError where the unit is not on the output map.
        """
        if len(unit) != len(self.graphs):
            raise ValueError(f"a unit of this map is {len(self.graphs)} numbers, got {unit}")
        units = zip(self.graphs, unit, strict=True)
        region = tuple(graph.region(self.output.name, place) for graph, place in units)
        return (None,) * len(region) if None in region else region

    def layer(self, name: str) -> Row:
        """The row of that name; ValueError, naming the layers there are, where there is none."""
        for row in self.layers:
            if row.name == name:
                return row
        names = ", ".join(row.name for row in self.layers)
        raise ValueError(f"there is no layer {name!r}; the layers are {names}")

    def __str__(self) -> str:
        table = [HEADINGS, *(_cells(row) for row in self.layers)]
        widths = [max(len(cells[place]) for cells in table) for place in range(len(HEADINGS))]
        lines = [
            "  ".join(
                cell.ljust(width) if place < 2 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ).rstrip()
            for cells in table
        ]
        notes = [f"not aligned: {line}" for line in self.unaligned]
        if self.problem:
            notes.append(f"no single field at the output: {self.problem}")
        return "\n".join([*lines, *notes])


def receptive_field(model: nn.Module, input_size) -> FieldReport:
    """What each output unit of `model` sees of an image of `input_size` pixels, layer by layer.

    input_size: an int for a square, (height, width) or (channels, height, width); channels not
    given are those of the model's first convolution. A model of Conv1d has one axis, one of Conv3d
    three: (length,) or (channels, length); (depth, height, width) with or without channels.
    The output of a model that returns several tensors is a backbone's map `last`, the entry "out",
    or else the first tensor.

    Batch normalisation counts as in eval mode. Group, instance and layer normalisation over
    positions join the whole map, and so do global pooling and a linear layer on a flattened map.
    Rows and columns are followed apart: a branch that lies in the padding along one of them only
    still counts along the other, so that the region of such a unit can be too large.
    Raises ValueError for operations that move positions in ways that cannot be followed (attention,
    sampling grids, indexing), for control flow that depends on values, and for a bad input_size.
    Source: Araujo, Norris and Sim 2019 (Distill), for graphs.
    """
    shape = input_shape(model, input_size)
    like = next(model.parameters(), torch.empty(0))
    with evaluating(model), torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
        image = torch.empty(1, *shape, dtype=like.dtype, device=like.device)
        tracer = Tracer(model, image)
        try:
            with telling(model, shape), tracer:
                output = main_output(model(image))
        except (DataDependentOutputException, DynamicOutputShapeException) as error:
            raise ValueError(
                f"the model's path depends on the values of the image ({error.func}); "
                "give receptive_field a part of the model that does not"
            ) from None
    if tracer.failure:
        raise tracer.failure
    layout = tracer.layout(output)
    if layout is None:
        raise ValueError("the model's output does not depend on its input; check its forward")
    return FieldReport(tracer.graphs, tracer.descriptions, layout.node)


def _row(graphs: tuple[Graph, ...], name: str, operation: str) -> Row:
    nodes = [graph.node(name) for graph in graphs]
    fields = [node.field for node in nodes]
    known = None not in fields
    numbers = {
        number: _common(getattr(field, number) for field in fields) if known else None
        for number in ("size", "stride", "padding", "start")
    }
    return Row(
        name,
        operation,
        output_size=_common(node.size for node in nodes),
        **numbers,
        extents=_common(graph.extents(name) for graph in graphs),
        aligned=known and all(field.aligned for field in fields),
        whole_image=all(graph.whole_image(name) for graph in graphs),
    )


def _common(values):
    """The value of all axes, or where they differ a tuple of them."""
    values = tuple(values)
    return values[0] if len(set(values)) == 1 else values


def _cells(row: Row) -> tuple[str, ...]:
    start = (row.name, row.operation, _text(row.output_size))
    if row.size is None:
        return (*start, _range(row.extents), "varies", "-", "-", "-")
    if row.stride == 0:
        size = "image" if row.whole_image else _text(row.size)
        return (*start, size, "-", "-", "-", "yes" if row.aligned else "no")
    numbers = (_text(value) for value in (row.size, row.stride, row.padding, row.start))
    return (*start, *numbers, "yes" if row.aligned else "no")


def _range(extents: tuple) -> str:
    if isinstance(extents[0], tuple):
        return "x".join(_range(axis) for axis in extents)
    smallest, largest = extents
    return f"{smallest}" if smallest == largest else f"{smallest}..{largest}"


def _text(value) -> str:
    return "x".join(f"{part:g}" for part in value) if isinstance(value, tuple) else f"{value:g}"
