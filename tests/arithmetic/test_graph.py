"""Graphs: branches, alignment, resizing, global pooling; the formula against what is read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlseg.arithmetic import (
    AdaptivePool,
    Crop,
    Field,
    Graph,
    Layer,
    Merge,
    NoSingleFieldError,
    Pad,
    Resize,
    Transposed,
    Whole,
    stack_fields,
)

same_layers = st.builds(
    lambda half, stride, rate: Layer(2 * half + 1, stride, half * rate, rate),
    st.integers(0, 2),
    st.integers(1, 2),
    st.integers(1, 3),
)


def stack(graph, layers, name):
    for number, layer in enumerate(layers):
        graph.add(f"{name}{number}", layer)
    return f"{name}{len(layers) - 1}"


@given(st.lists(same_layers, min_size=1, max_size=4))
def test_a_chain_is_a_stack(layers):
    graph = Graph(300)
    output = stack(graph, layers, "layer")
    assert graph.field(output) == stack_fields(layers)[-1]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(same_layers, min_size=1, max_size=4), st.integers(0, 3))
def test_formula_and_reading_agree_inside(layers, shift):
    """`field` is the recursion, `region` follows every tap: units away from the border agree."""
    graph = Graph(500)
    trunk = stack(graph, layers, "trunk")
    graph.add("wide", Layer(3, 1, 2, rate=2), trunk)
    graph.add("padded", Pad(shift, 0), trunk)
    graph.add("shifted", Crop(0, graph.size(trunk)), "padded")
    graph.add("sum", Merge(), "wide", "shifted")
    graph.add("top", Layer(3, 1, 1), "sum")
    unit = graph.size("top") // 2
    assert graph.region("top", unit) == graph.field("top").region(unit)
    assert graph.field("top").aligned == (shift == 0)
    assert bool(graph.misalignments) == (shift > 0)


def test_residual_unit_is_aligned_and_keeps_the_hull():
    graph = Graph(64)
    graph.add("stem", Layer(3, 2, 1))
    graph.add("conv", Layer(3, 1, 1))
    graph.add("sum", Merge(), "conv", "stem")
    assert graph.field("sum") == Field(7, 2, 3) == graph.field("conv")


def test_branches_off_centre_are_reported_not_averaged():
    graph = Graph(64)
    graph.add("left", Crop(0, 60), "input")
    graph.add("right", Layer(3), "input")
    graph.add("cropped", Crop(0, 60), "right")
    graph.add("sum", Merge(), "left", "cropped")
    assert graph.field("sum") == Field(3, 1, 0, aligned=False)
    assert str(graph.misalignments[0]) == (
        "sum: branches are not aligned: left (size 1, stride 1, start 0), "
        "cropped (size 3, stride 1, start 1)"
    )
    assert not graph.field(graph.add("after", Layer(3, 1, 1), "sum")).aligned
    assert len(graph.misalignments) == 1


def test_branches_of_different_strides_have_no_single_field():
    graph = Graph(64)
    graph.add("half", Layer(2, 2))
    graph.add("quarter", Layer(2, 2))
    graph.add("cropped", Crop(0, 16), "half")
    graph.add("sum", Merge(), "quarter", "cropped")
    graph.add("after", Layer(3, 1, 1))
    message = r"different strides meet at 'sum': quarter \(size 4, stride 4, start 1.5\), cropped"
    for name in ("sum", "after"):
        with pytest.raises(NoSingleFieldError, match=message):
            graph.field(name)
    assert graph.region("sum", 3) == (6, 15)


def test_resized_units_differ_and_are_reported():
    graph = Graph(64)
    graph.add("conv", Layer(3, 8, 1))
    graph.add("up", Resize(64, "bilinear"))
    with pytest.raises(NoSingleFieldError, match=r"units of 'up' differ .* ask for region\('up'"):
        graph.field("up")
    # Most units lie between two pixels of the map, those at the border beyond the last.
    assert graph.extents("up") == (2, 11)
    assert graph.region("up", 32) == (23, 33)


def test_downsampling_by_a_whole_factor_is_a_window():
    graph = Graph(64)
    graph.add("conv", Layer(3, 1, 1))
    graph.add("down", Resize(32, "bilinear"))
    assert graph.field("down") == Field(4, 2, 1)


def test_transposed_convolution_by_its_phases():
    graph = Graph(8)
    graph.add("up", Transposed(4, 2, 1))
    assert graph.size("up") == 16
    assert [graph.region("up", unit) for unit in (0, 1, 2, 7)] == [(0, 0), (0, 1), (0, 1), (3, 4)]


@pytest.mark.parametrize("pooling", [Whole(), AdaptivePool(1)])
def test_global_pooling_sees_the_whole_image(pooling):
    graph = Graph(65)
    graph.add("map", Layer(3, 8, 1))
    graph.add("pool", pooling)
    assert graph.field("pool") == Field(65, 0, 0)
    graph.add("conv", Layer(1))
    graph.add("back", Resize(9, "bilinear"))
    graph.add("concat", Merge("concat"), "map", "back")
    graph.add("broadcast", Merge("multiply"), "map", "conv")
    for name in ("pool", "conv", "back", "concat", "broadcast"):
        assert graph.field(name) == Field(65, 0, 0)
        assert graph.whole_image(name)
    assert not graph.whole_image("map")


def test_global_pooling_of_a_part_sees_that_part():
    graph = Graph(65)
    graph.add("part", Crop(10, 20))
    graph.add("pool", Whole())
    assert graph.field("pool") == Field(20, 0, -10)
    assert not graph.whole_image("pool")


def test_regions_stay_inside_the_image_and_skip_padding():
    graph = Graph(10)
    graph.add("pad", Pad(3, 3))
    assert graph.region("pad", 0) is None
    assert graph.region("pad", 0, 4) == (0, 1)
    graph.add("conv", Layer(3, 1, 1))
    assert graph.region("conv", 2) == (0, 0)
    assert graph.extents("conv") == (0, 3)


def test_ceil_mode_adds_a_unit():
    graph = Graph(8)
    graph.add("pool", Layer(3, 2), size=4)
    assert graph.region("pool", 3) == (6, 7)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda g: g.add("a", Layer(3)), "there is a node 'a' already"),
        (lambda g: g.add("b", Layer(3), "x"), "there is no node 'x'; the nodes are input, a"),
        (lambda g: g.add("b", Layer(3), "a", "input"), "takes one input, got 2; merge them first"),
        (
            lambda g: g.add("b", Merge(), "a", "input"),
            "differ in size: a 6, input 8; crop or resize",
        ),
        (lambda g: g.add("b", Layer(9)), "does not fit"),
        (lambda g: g.region("a", 6), "units of 'a' are 0 to 5, got 6 to 6"),
        (lambda g: Graph(0), "size must be an integer >= 1, got 0"),
    ],
)
def test_bad_input_says_what_to_do(build, message):
    graph = Graph(8)
    graph.add("a", Layer(3))
    with pytest.raises(ValueError, match=message):
        build(graph)
