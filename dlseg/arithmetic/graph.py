"""Receptive fields of networks that branch: an acyclic graph of operations along one axis.

Two answers are kept apart. `Graph.field` is the affine description by size, stride and padding
(Distill 2019, section on arbitrary graphs); it exists only where every unit sees as much as its
neighbour, one stride further on. `Graph.region` is what one unit really reads inside the image;
it always exists. A test holds the two against each other.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dlseg.arithmetic.field import Field
from dlseg.arithmetic.layer import Layer
from dlseg.arithmetic.operations import Merge, Operation
from dlseg.checks import check_integer

Step = Layer | Operation
Region = tuple[int, int]


class NoSingleFieldError(ValueError):
    """Units of this map differ in what they see, so that no size, stride and padding fits all."""


@dataclass(frozen=True)
class Misalignment:
    """Branches that meet at `node` with the same stride but different centres.

    branches: (name of the input, its Field), in input pixels.
    Source: Araujo, Norris and Sim 2019 (Distill), on alignment in arbitrary graphs.
    """

    node: str
    branches: tuple[tuple[str, Field], ...]

    def __str__(self) -> str:
        return f"{self.node}: branches are not aligned: {describe_branches(self.branches)}"


@dataclass(frozen=True)
class Node:
    """One map: how it is made and what its units see.

    size: units; field: its Field, or None and then `problem` says why there is none; regions: for
    each unit the first and last image pixel it reads, None for a unit that reads only padding.
    """

    name: str
    operation: Step | None
    inputs: tuple[str, ...]
    size: int
    field: Field | None
    problem: str
    regions: tuple[Region | None, ...]


class Graph:
    """A network along one axis, built from the image of `size` pixels onwards.

    Nodes are added after their inputs, so the order of adding is a topological order and one pass
    over nodes and edges is all that any answer costs, O(E + V) operations.
    Raises ValueError where size is no integer >= 1.
    """

    def __init__(self, size: int, name: str = "input"):
        size = check_integer("size", size, 1)
        pixels = tuple((pixel, pixel) for pixel in range(size))
        self.input = name
        self.nodes = {name: Node(name, None, (), size, Field(), "", pixels)}
        self.misalignments: list[Misalignment] = []

    def add(self, name: str, operation: Step, *inputs: str, size: int | None = None) -> str:
        """Add the map that `operation` makes of the maps named `inputs`; returns its name.

        inputs: by default the map added last. size: units, where the library rounds up (ceil mode).
        Raises ValueError where the name is taken, an input is unknown, or sizes do not fit.
        """
        if name in self.nodes:
            raise ValueError(f"there is a node {name!r} already; give each node its own name")
        sources = [self.node(source) for source in inputs or [next(reversed(self.nodes))]]
        if len(sources) > 1 and not isinstance(operation, Merge):
            raise ValueError(f"{operation} takes one input, got {len(sources)}; merge them first")
        width = _common_size(name, sources)
        size = operation.output_size(width) if size is None else check_integer("size", size, 1)
        regions = tuple(_region_read(operation, unit, sources) for unit in range(size))
        field, problem = self._field(name, operation, sources, regions)
        inputs = tuple(source.name for source in sources)
        self.nodes[name] = Node(name, operation, inputs, size, field, problem, regions)
        return name

    def node(self, name: str) -> Node:
        """The node of that name; ValueError, naming the nodes there are, where there is none."""
        if name not in self.nodes:
            raise ValueError(f"there is no node {name!r}; the nodes are {', '.join(self.nodes)}")
        return self.nodes[name]

    def size(self, name: str) -> int:
        """Number of units of a map."""
        return self.node(name).size

    def field(self, name: str) -> Field:
        """Size, stride and padding of the field of a map, in image pixels.

        Branches of one stride give the hull of all, marked `aligned=False` where their centres
        differ. Behind global pooling the field is the whole image, with stride 0.
        Raises NoSingleFieldError where units differ in what they see (resizing, strides that
        differ between branches).
        """
        node = self.node(name)
        if node.field is None:
            raise NoSingleFieldError(f"{node.problem}; ask for region({name!r}, unit) instead")
        return node.field

    def region(self, name: str, first: int, last: int | None = None) -> Region | None:
        """First and last image pixel that the units `first` to `last` read, None if only padding.

        Raises ValueError where the units are not on the map.
        """
        node = self.node(name)
        first = check_integer("first", first)
        last = first if last is None else check_integer("last", last)
        if not 0 <= first <= last < node.size:
            raise ValueError(f"units of {name!r} are 0 to {node.size - 1}, got {first} to {last}")
        return _hull(node.regions[first : last + 1])

    def whole_image(self, name: str) -> bool:
        """Whether every unit of a map sees the image from its first to its last pixel."""
        image = (0, self.size(self.input) - 1)
        return all(region == image for region in self.node(name).regions)

    def extents(self, name: str) -> tuple[int, int]:
        """Fewest and most pixels spanned by the region of any unit, inside the image."""
        regions = self.node(name).regions
        sizes = [0 if region is None else region[1] - region[0] + 1 for region in regions]
        return min(sizes), max(sizes)

    def _field(self, name, operation, sources, regions) -> tuple[Field | None, str]:
        """The field of a new map, or None and the reason."""
        if len(sources) > 1:
            return self._merged_field(name, sources, len(regions))
        source = sources[0]
        window = operation.window(source.size)
        if window is None and len(set(regions)) == 1 and regions[0] is not None:
            first, last = regions[0]
            return Field(last - first + 1, 0, -first), ""
        if source.field is None:
            return None, source.problem
        if window is None:
            return None, f"units of {name!r} differ in what they see: {operation}"
        return source.field.after(*window), ""

    def _merged_field(self, name, sources, size) -> tuple[Field | None, str]:
        """The hull of the branches; of the image, where one of them sees all of it."""
        image = self.size(self.input)
        local = [source for source in sources if not _sees_image(source, image)]
        fields = {source.name: _broadcast(source, size) for source in local}
        missing = [source.problem for source in local if source.field is None]
        strides = {field.stride for field in fields.values() if field}
        aligned = True
        if not missing and len(strides) == 1:
            aligned = self._check_alignment(name, fields)
        if len(local) < len(sources):
            return Field(image, 0, 0, aligned), ""
        if missing:
            return None, missing[0]
        if len(strides) > 1:
            branches = describe_branches(fields.items())
            return None, f"branches with different strides meet at {name!r}: {branches}"
        first = min(-field.padding for field in fields.values())
        last = max(field.size - 1 - field.padding for field in fields.values())
        return Field(last - first + 1, strides.pop(), -first, aligned), ""

    def _check_alignment(self, name: str, fields: dict[str, Field]) -> bool:
        """Whether the branches, and all before them, share their centres; notes those that do not.

        A centre of its own shifts a branch against the others by a fixed number of pixels.
        """
        if len({field.start for field in fields.values()}) > 1:
            self.misalignments.append(Misalignment(name, tuple(fields.items())))
            return False
        return all(field.aligned for field in fields.values())


def describe_branches(branches) -> str:
    """One line that lists (name, Field) pairs by size, stride and start, in input pixels."""
    return ", ".join(
        f"{name} (size {field.size}, stride {field.stride}, start {field.start:g})"
        for name, field in branches
    )


def _common_size(name: str, sources: list[Node]) -> int:
    """The size that the inputs share; an input of one unit is broadcast."""
    sizes = {source.size for source in sources}
    if len(sizes - {1}) > 1:
        listed = ", ".join(f"{source.name} {source.size}" for source in sources)
        raise ValueError(f"maps that meet at {name!r} differ in size: {listed}; crop or resize one")
    return max(sizes)


def _region_read(operation: Step, unit: int, sources: list[Node]) -> Region | None:
    pixels = ((source, pixel) for source in sources for pixel in operation.reads(unit, source.size))
    return _hull(source.regions[pixel] for source, pixel in pixels)


def _hull(regions: Iterable[Region | None]) -> Region | None:
    """The smallest region that holds all of `regions`; None where they are all empty."""
    real = [region for region in regions if region is not None]
    if not real:
        return None
    return min(first for first, _ in real), max(last for _, last in real)


def _sees_image(node: Node, image: int) -> bool:
    return node.field is not None and replace(node.field, aligned=True) == Field(image, 0, 0)


def _broadcast(node: Node, size: int) -> Field | None:
    """The field of a branch on a map of `size` units; one unit serves them all, at stride 0."""
    if node.field is None or node.size == size:
        return node.field
    return replace(node.field, stride=0)
