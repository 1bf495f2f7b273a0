"""Integers of NumPy overflow without a word; here they give what Python's give."""

import numpy as np
import pytest

from dlseg import arithmetic as a

# Every public function and class that takes integers, with numbers whose products leave int8.
CALLS = {
    "effective_kernel": lambda n: a.effective_kernel(n(11), n(90)),
    "output_size": lambda n: a.output_size(n(120), n(3), n(2), n(100), n(12)),
    "same_padding": lambda n: a.same_padding(n(11), n(90)),
    "taps": lambda n: a.taps(n(100), n(3), n(8), n(7), n(100)),
    "Layer": lambda n: a.stack_fields([a.Layer(n(3), n(2), n(1), n(1))] * 9),
    "Layer.reads": lambda n: a.Layer(n(3), n(2), n(1), n(24)).reads(n(100), n(120)),
    "Layer.output_size": lambda n: a.Layer(n(3), n(1), n(100), n(2)).output_size(n(120)),
    "field_closed_form": lambda n: a.field_closed_form([a.Layer(n(7), n(4), n(3))] * 5),
    "field_backward": lambda n: a.field_backward([a.Layer(n(7), n(4), n(3))] * 5),
    "Field": lambda n: a.Field(n(100), n(32), n(90)).after(n(11), n(4), n(7)),
    "Field.region": lambda n: a.Field(n(100), n(32), n(90)).region(n(100), n(110)),
    "Field.centre": lambda n: a.Field(n(100), n(32), n(90)).centre(n(100)),
    "coverage": lambda n: a.coverage([n(60), n(40)], n(5)),
    "coverage_2d": lambda n: a.coverage_2d([n(2)] * 6, n(3)),
    "holes": lambda n: a.holes([n(60), n(40)], n(5)),
    "path_spread": lambda n: a.path_spread([a.Layer(n(11), n(8), n(1), n(90))] * 3),
    "middle_part": lambda n: a.middle_part([n(100)] * 9, 0.5),
    "hdc_distances": lambda n: a.hdc_distances([n(1), n(100), n(120)]),
    "no_holes": lambda n: a.no_holes([n(1), n(3), n(9), n(27), n(81), n(120)]),
    "valid_tap_fractions": lambda n: a.valid_tap_fractions(n(65), n(36), n(3)),
    "conv_parameters": lambda n: a.conv_parameters(n(100), n(100), n(3)),
    "conv_multiply_adds": lambda n: a.conv_multiply_adds(n(100), n(100), n(65), n(3), n(2)),
    "depthwise_parameters": lambda n: a.depthwise_parameters(n(100), n(5), n(4)),
    "separable_parameters": lambda n: a.separable_parameters(n(100), n(100), n(3), n(4)),
    "separable_multiply_adds": lambda n: a.separable_multiply_adds(
        n(100), n(100), n(65), n(3), n(2), n(4)
    ),
    "inverted_residual_parameters": lambda n: a.inverted_residual_parameters(n(100), n(100), n(6)),
    "inverted_residual_multiply_adds": lambda n: a.inverted_residual_multiply_adds(
        n(100), n(100), n(65), n(6), n(3), n(2)
    ),
    "AdaptivePool": lambda n: list(a.AdaptivePool(n(6)).reads(n(5), n(100))),
    "Crop": lambda n: a.Crop(n(100), n(3), n(90)).reads(n(2), n(120)),
    "Crop.output_size": lambda n: a.Crop(n(100), n(3), n(2)).output_size(n(120)),
    "Merge": lambda n: a.Merge().reads(n(2), n(120)),
    "Pad": lambda n: a.Pad(n(100), n(100), "circular").reads(n(3), n(90)),
    "Pad.output_size": lambda n: a.Pad(n(100), n(100)).output_size(n(120)),
    "Resize": lambda n: list(a.Resize(n(120)).reads(n(100), n(120))),
    "Transposed": lambda n: a.Transposed(n(3), n(1), n(1), n(60)).reads(n(120), n(120)),
    "Transposed.output_size": lambda n: a.Transposed(n(3), n(16), n(1)).output_size(n(100)),
    "Whole": lambda n: a.Whole(n(100)).output_size(n(3)),
    "Graph": lambda n: _graph(n).region("b", n(1), n(100)),
    "plan_stages": lambda n: a.plan_stages([n(2)] * 5, n(8)),
    "to_atrous": lambda n: a.to_atrous([a.Layer(n(3), n(4), n(60))] * 4, n(4)),
    "round_channels": lambda n: a.round_channels(n(100), n(120)),
    "vgg16": lambda n: a.vgg16(n(3)),
    "deeplab_v1": lambda n: a.deeplab_v1(n(4), n(100)),
    "resnet": lambda n: a.resnet(n(50), output_stride=n(16)),
    "tensorflow_same": lambda n: a.tensorflow_same(a.resnet(50), n(120)),
}
ABSTRACT = {"Misalignment", "NoSingleFieldError", "Published", "StagePlan", "stack_fields"}
ABSTRACT |= {"alexnet_v2", "mobilenet_v1", "mobilenet_v2", "inception_resnet_v2"}
ABSTRACT |= {f"inception_v{version}" for version in (2, 3, 4)}


def _graph(n) -> a.Graph:
    graph = a.Graph(n(120))
    graph.add("a", a.Layer(n(3), n(1), n(1)), size=n(120))
    graph.add("b", a.Layer(n(3), n(1), n(12), n(12)))
    return graph


def plain(value: object) -> bool:
    """Whether nothing of NumPy is in it."""
    parts = vars(value).values() if hasattr(value, "__dict__") else value
    if isinstance(parts, dict):
        parts = [*parts, *parts.values()]
    if isinstance(parts, str | int | float | bool) or parts is None:
        return not isinstance(parts, np.generic)
    return all(map(plain, parts))


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.int64])
@pytest.mark.parametrize("name", CALLS)
def test_the_same_as_with_pythons(name, kind):
    found = CALLS[name](kind)
    assert found == CALLS[name](int)
    assert plain(found)


def test_every_public_name_was_thought_of():
    public = {name for name, value in vars(a).items() if callable(value) and name[0] != "_"}
    assert public - ABSTRACT == {name.split(".")[0] for name in CALLS} - {"stack_fields"}


@pytest.mark.parametrize("wrong", [True, 3.0, "3", None, np.float32(3), np.True_])
def test_what_is_no_integer_is_refused(wrong):
    for make in (a.Layer, a.Field, a.AdaptivePool, a.Graph, a.Transposed, a.no_holes, a.Whole):
        with pytest.raises(ValueError, match="must be an integer"):
            make([wrong] if make is a.no_holes else wrong)


@pytest.mark.parametrize("channels", [float("nan"), float("inf"), -1])
def test_channels_that_are_none(channels):
    with pytest.raises(ValueError, match="channels must be a finite number >= 0"):
        a.round_channels(channels)
