"""From strides to rates: tables of the papers, and agreement with the conversion of stacks."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlseg.arithmetic import Layer, StagePlan, plan_stages, to_atrous

RESNET = (4, 1, 2, 2, 2)  # stem and four stages


def rates(output_stride, first_unit="previous", strides=RESNET):
    plans = plan_stages(strides, output_stride, first_unit)
    return [(plan.first_rate, plan.rate) for plan in plans]


def test_nothing_changes_at_output_stride_32():
    assert plan_stages(RESNET, 32) == [StagePlan(stride, 1, 1) for stride in RESNET]


def test_resnet_at_smaller_output_strides():
    """DeepLab v3, section 4: at output stride 8 the last two stages have rates 2 and 4."""
    assert [plan.stride for plan in plan_stages(RESNET, 16)] == [4, 1, 2, 2, 1]
    assert [plan.stride for plan in plan_stages(RESNET, 8)] == [4, 1, 2, 1, 1]
    assert rates(16) == [(1, 1)] * 4 + [(1, 2)]
    assert rates(8) == [(1, 1)] * 3 + [(1, 2), (2, 4)]
    assert rates(16, "whole") == [(1, 1)] * 4 + [(2, 2)]
    assert rates(8, "whole") == [(1, 1)] * 3 + [(2, 2), (4, 4)]


def test_xception_at_output_stride_8():
    """Root, entry 1 to 3, middle, exit 1 and 2: the block that loses its stride keeps the rate."""
    assert rates(8, strides=(2, 2, 2, 2, 1, 2, 1)) == [(1, 1)] * 3 + [(1, 2), (2, 2), (2, 4)] + [
        (4, 4)
    ]


def by_hand(strides, output_stride):
    """(stride, rate before, rate behind) of each part, None where the strides do not fit."""
    reached, rate, parts = 1, 1, []
    for stride in strides:
        dense = reached == output_stride
        parts.append((1 if dense else stride, rate, rate * stride if dense else rate))
        reached, rate = reached if dense else reached * stride, parts[-1][2]
    return parts if reached == output_stride else None


@given(st.lists(st.sampled_from([1, 2, 4]), max_size=9), st.sampled_from([8, 16, 32]))
def test_stages_and_layers_by_hand(strides, output_stride):
    """Parts planned, and one layer that strides and one behind it for each part converted."""
    layers = [layer for stride in strides for layer in (Layer(3, stride, 1), Layer(3, 1, 1))]
    expected = by_hand(strides, output_stride)
    if expected is None:
        for call in (plan_stages, to_atrous):
            with pytest.raises(ValueError, match="must multiply to exactly output_stride"):
                call(strides if call is plan_stages else layers, output_stride)
        return
    plans = plan_stages(strides, output_stride)
    assert [(plan.stride, plan.first_rate, plan.rate) for plan in plans] == expected
    dense = to_atrous(layers, output_stride)
    pairs = zip(dense[::2], dense[1::2], strict=True)
    assert plans == [StagePlan(first.stride, first.rate, last.rate) for first, last in pairs]
    assert all(layer.padding == layer.rate for layer in dense)
    assert math.prod(plan.stride for plan in plans) == output_stride
    whole = plan_stages(strides, output_stride, "whole")
    assert whole == [StagePlan(plan.stride, plan.rate, plan.rate) for plan in plans]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plan_stages(RESNET, 12), "^output_stride must be 8, 16 or 32, got 12$"),
        (lambda: plan_stages(RESNET, 4), "^output_stride must be 8, 16 or 32, got 4$"),
        (lambda: plan_stages(RESNET, "16"), "^output_stride must be 8, 16 or 32, got '16'$"),
        (
            lambda: plan_stages(RESNET, 16, "last"),
            "one of previous, whole, got 'last'",
        ),
        (lambda: plan_stages((2, 0), 8), "stride must be an integer >= 1, got 0"),
        (lambda: plan_stages((2, 2), 8), r"output_stride=8 .* got \[2, 2\]; choose another"),
        (lambda: plan_stages((4, 4), 8), r"output_stride=8 .* got \[4, 4\]; choose another"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
