"""Fields of stacks: three ways to compute them, and the table of a paper."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlseg.arithmetic import Field, Layer, field_backward, field_closed_form, stack_fields

layers = st.builds(
    Layer, st.integers(1, 7), st.integers(1, 3), st.integers(0, 5), st.integers(1, 12)
)
stacks = st.lists(layers, max_size=12)


@given(stacks)
def test_three_ways_agree(stack):
    forward = stack_fields(stack)
    assert len(forward) == len(stack)
    assert [Field(), *forward][-1] == field_closed_form(stack) == field_backward(stack)


@given(stacks.filter(bool), st.integers(-3, 9))
def test_region_is_what_the_taps_reach(stack, unit):
    reached = {unit}
    for layer in reversed(stack):
        # The ends suffice: taps in between cannot reach further.
        ends = (min(reached), max(reached))
        reached = {tap for position in ends for tap in layer.taps(position)}
    field = field_closed_form(stack)
    assert field.region(unit) == (min(reached), max(reached))
    assert field.centre(unit) == sum(field.region(unit)) / 2


def test_region_of_several_units():
    field = Field(size=5, stride=2, padding=2)
    assert field.region(1, 3) == (0, 8)
    with pytest.raises(ValueError, match="last must not lie before first, got first=3, last=1"):
        field.region(3, 1)


def test_context_module():
    """Yu and Koltun 2016, table 1."""
    rates = (1, 1, 2, 4, 8, 16, 1)
    stack = [Layer(3, rate=rate) for rate in rates] + [Layer(1)]
    assert [field.size for field in stack_fields(stack)] == [3, 5, 9, 17, 33, 65, 67, 67]


def test_centres_stay_on_the_grid_where_paddings_are_half_kernels():
    stack = [Layer(7, 2, 3), Layer(3, 2, 1), Layer(3, 1, 4, rate=4)]
    assert field_closed_form(stack).start == 0
