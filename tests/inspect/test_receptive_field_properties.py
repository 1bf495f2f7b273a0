"""Random networks: what the tracer says of a unit is exactly where its gradient goes.

Any unit will do, at the border too: regions are those inside the image. Branches never read padding
alone: rows and columns are followed apart, so a branch that reads nothing along its rows would
still be counted along its columns (see `receptive_field`).
"""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from dlseg.arithmetic import Layer, field_closed_form
from dlseg.inspect import from_layers, gradient_support, receptive_field

SIZE = (2, 48, 40)

sizes = st.tuples(st.integers(1, 4), st.integers(1, 4))
strides = st.tuples(st.integers(1, 2), st.integers(1, 2))
rates = st.tuples(st.integers(1, 3), st.integers(1, 3))
some = settings(max_examples=60, derandomize=True, deadline=None)


@st.composite
def convolutions(draw):
    kernel = draw(sizes)
    padding = draw(st.tuples(*(st.integers(0, k // 2) for k in kernel)))
    return nn.Conv2d(2, 2, kernel, draw(strides), padding, draw(rates))


@st.composite
def pools(draw):
    kernel = draw(sizes)
    padding = draw(st.tuples(*(st.integers(0, k // 2) for k in kernel)))
    ceil_mode = draw(st.booleans())
    if draw(st.booleans()):
        return nn.AvgPool2d(kernel, draw(strides), padding, ceil_mode)
    return nn.MaxPool2d(kernel, draw(strides), padding, draw(rates), ceil_mode=ceil_mode)


@st.composite
def transposed(draw):
    stride = draw(strides)
    kernel = tuple(s + draw(st.integers(0, 3)) for s in stride)  # no unit without a pixel
    padding = draw(st.tuples(*(st.integers(0, k // 2) for k in kernel)))
    return nn.ConvTranspose2d(2, 2, kernel, stride, padding)


class Same(nn.Module):
    """Bring a map back to the size of its input, however a branch changed it."""

    def __init__(self, branch: nn.Module, how: str):
        super().__init__()
        self.branch, self.how = branch, how

    def forward(self, x):
        made = self.branch(x)
        size = x.shape[2:]
        if self.how == "crop":
            missing = [max(0, a - b) for a, b in zip(size, made.shape[2:], strict=True)]
            made = F.pad(made, (0, missing[1], 0, missing[0]), mode="replicate")
            return made[:, :, : size[0], : size[1]]
        return F.interpolate(made, size, mode="nearest")


class Branches(nn.Module):
    """Branches that are added or concatenated, with a shortcut, in place or not."""

    def __init__(self, branches: list[nn.Module], join: str):
        super().__init__()
        self.branches, self.join = nn.ModuleList(branches), join
        self.mix = nn.Conv2d(2 * len(branches), 2, 1) if join == "concat" else nn.ReLU(inplace=True)

    def forward(self, x):
        made = [branch(x) for branch in self.branches]
        if self.join == "concat":
            return self.mix(torch.cat(made, dim=1))
        total = made[0].clone()
        for other in made[1:]:
            total += other
        return self.mix(total + x)


simple = st.one_of(
    convolutions(),
    pools(),
    st.builds(nn.ReLU, st.booleans()),
    st.builds(lambda: nn.BatchNorm2d(2)),
    st.builds(nn.ZeroPad2d, st.integers(-2, -1)),
    st.builds(nn.ReflectionPad2d, st.integers(1, 2)),
    st.builds(nn.ReplicationPad2d, st.integers(1, 2)),
)
upsampling = st.one_of(
    transposed(),
    st.builds(lambda mode: nn.Upsample(scale_factor=2, mode=mode), st.sampled_from(["nearest"])),
    st.builds(
        lambda corners: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=corners),
        st.booleans(),
    ),
)
stacks = st.lists(simple, min_size=1, max_size=4)
branching = st.builds(
    Branches,
    st.lists(
        st.builds(
            lambda parts, how: Same(nn.Sequential(*parts), how),
            stacks,
            st.sampled_from(["crop", "resize"]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(["add", "concat"]),
)
networks = st.lists(st.one_of(simple, simple, upsampling, branching), min_size=1, max_size=4).map(
    lambda parts: nn.Sequential(*parts)
)


def output_size(model):
    try:
        with torch.no_grad():
            return tuple(model.eval()(torch.zeros(1, *SIZE)).shape[2:])
    except RuntimeError:  # a kernel that does not fit
        return None


def agree(model, unit):
    report = receptive_field(model, SIZE)
    support = gradient_support(model, SIZE, unit)
    assert report.region(*unit) == (support.rows, support.columns), f"{model}\n{report}"


@some
@given(st.data(), networks)
def test_region_is_where_the_gradient_goes(data, model):
    size = output_size(model)
    assume(size is not None)
    assert receptive_field(model, SIZE).output.output_size in (size, size[0])
    agree(model, tuple(data.draw(st.integers(0, length - 1)) for length in size))


@some
@given(st.lists(convolutions() | pools(), min_size=1, max_size=4))
def test_size_is_that_of_the_gradient_inside(parts):
    """A unit whose field lies inside the image: the formula, not the reading of taps."""
    model = nn.Sequential(*parts)
    size = output_size(model)
    assume(size is not None)
    report = receptive_field(model, SIZE)
    for axis in (0, 1):
        field = report.graphs[axis].field(report.output.name)
        inside = [
            u
            for u in range(size[axis])
            if 0 <= field.region(u)[0] <= field.region(u)[1] < SIZE[axis + 1]
        ]
        assume(inside)
        unit = [length // 2 for length in size]
        unit[axis] = inside[len(inside) // 2]
        assert gradient_support(model, SIZE, tuple(unit))[axis] == field.region(unit[axis])


layer_lists = st.lists(
    st.builds(Layer, st.integers(1, 5), st.integers(1, 2), st.integers(0, 2), st.integers(1, 3)),
    min_size=1,
    max_size=5,
)


@some
@given(layer_lists)
def test_tracing_a_stack_gives_the_closed_form(layers):
    model = from_layers(layers)
    report = receptive_field(model, 800)
    field = field_closed_form(layers)
    assert (report.size, report.stride, report.padding) == (field.size, field.stride, field.padding)
    assert (report.start, report.aligned) == (field.start, True)


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
def test_pyramid_pooling(bins):
    """PSPNet, section 3.2: pooled, made 1x1, resized, and joined to the map."""

    class Pyramid(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = nn.Conv2d(2, 2, 3, 4, 1)
            self.head = nn.Conv2d(4, 2, 1)

        def forward(self, x):
            x = self.trunk(x)
            pooled = F.adaptive_avg_pool2d(x, bins)
            back = F.interpolate(pooled, x.shape[2:], mode="bilinear", align_corners=True)
            return self.head(torch.cat([x, back], dim=1))

    for unit in ((0, 0), (5, 4), (11, 9)):
        agree(Pyramid(), unit)
