"""Published networks: every published size, stride and padding, and the tables by layer."""

from dataclasses import replace
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlseg.arithmetic import (
    PUBLISHED,
    Layer,
    alexnet_v2,
    deeplab_v1,
    field_closed_form,
    inception_resnet_v2,
    inception_v2,
    inception_v3,
    inception_v4,
    mobilenet_v1,
    mobilenet_v2,
    resnet,
    stack_fields,
    tensorflow_same,
    to_atrous,
    vgg16,
)

NETWORKS = {
    "alexnet_v2": alexnet_v2(),
    "vgg16": vgg16(),
    "mobilenet_v1": mobilenet_v1(),
    "inception_v2": inception_v2(),
    "inception_v3": inception_v3(),
    "inception_v4": inception_v4(),
    "inception_resnet_v2": inception_resnet_v2(),
} | {f"resnet{depth}": resnet(depth, "last unit") for depth in (50, 101, 152, 200)}


def size_of(layers):
    return field_closed_form(layers).size


def by_name(layers):
    fields = zip(layers, stack_fields(layers), strict=True)
    return {layer.name: (field.size, field.stride, field.padding) for layer, field in fields}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_field(name):
    field, published = field_closed_form(NETWORKS[name]), PUBLISHED[name]
    assert (field.size, field.stride) == (published.size, published.stride)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_padding_is_that_of_tensorflow_at_224(name):
    layers = NETWORKS[name]
    if name.startswith("resnet"):
        # TF-Slim pads the convolutions of stride 2 itself, on both sides, but not pool1.
        padded = [layers[0], *tensorflow_same(layers[1:2], 112), *layers[2:]]
    else:
        padded = tensorflow_same(layers, 224)
    assert field_closed_form(padded).padding == PUBLISHED[name].padding


def test_symmetric_padding_gives_the_published_one_only_without_same_at_stride_2():
    equal = {
        n for n, la in NETWORKS.items() if field_closed_form(la).padding == PUBLISHED[n].padding
    }
    valid = {"alexnet_v2", "vgg16", "inception_v3", "inception_v4", "inception_resnet_v2"}
    assert equal == valid
    assert field_closed_form(mobilenet_v1()).padding == 157


def test_vgg16_by_layer():
    table = {
        "conv1_1": (3, 1, 1),
        "pool1": (6, 2, 2),
        "conv2_1": (10, 2, 4),
        "pool2": (16, 4, 6),
        "conv3_1": (24, 4, 10),
        "conv3_2": (32, 4, 14),
        "pool3": (44, 8, 18),
        "conv4_1": (60, 8, 26),
        "conv4_2": (76, 8, 34),
        "pool4": (100, 16, 42),
        "conv5_1": (132, 16, 58),
        "conv5_2": (164, 16, 74),
        "pool5": (212, 32, 90),
    }
    assert by_name(vgg16()) | table == by_name(vgg16())


@pytest.mark.parametrize(
    ("depth", "ends"),
    [(50, (35, 99, 291, 483)), (101, (35, 99, 835, 1027)), (152, (35, 163, 1315, 1507))],
)
def test_resnet_by_block(depth, ends):
    fields = by_name(resnet(depth, "last unit"))
    last = {name.split(".")[0]: field for name, field in fields.items()}
    assert [last[f"block{stage}"][0] for stage in (1, 2, 3, 4)] == list(ends)
    assert [last[f"block{stage}"][1] for stage in (1, 2, 3, 4)] == [8, 16, 32, 32]


def test_mobilenet_v1_by_layer():
    fields = by_name(mobilenet_v1())
    sizes = [fields[f"pointwise{number}"][0] for number in range(1, 14)]
    assert sizes == [7, 11, 19, 27, 43, 59, 91, 123, 155, 187, 219, 251, 315]


def test_mobilenet_v2():
    assert size_of(mobilenet_v2()) == 491


@pytest.mark.parametrize(
    ("depth", "torchvision", "original"),
    [(18, 435, None), (34, 899, None), (50, 427, 483), (101, 971, 1027), (152, 1451, 1507)],
)
def test_resnet_depends_on_where_the_stride_is(depth, torchvision, original):
    assert size_of(resnet(depth)) == torchvision
    if original:
        assert size_of(resnet(depth, "1x1")) == size_of(resnet(depth, "last unit")) == original


@pytest.mark.parametrize(
    ("depth", "keeping", "whole_16", "whole_8"), [(50, 427, 459, 475), (101, 971, 1003, 1019)]
)
def test_resnet_at_smaller_output_strides(depth, keeping, whole_16, whole_8):
    assert [size_of(resnet(depth, output_stride=s)) for s in (32, 16, 8)] == [keeping] * 3
    whole = [size_of(resnet(depth, output_stride=s, first_unit="whole")) for s in (32, 16, 8)]
    assert whole == [keeping, whole_16, whole_8]
    assert [field_closed_form(resnet(depth, output_stride=s)).stride for s in (16, 8)] == [16, 8]


def test_resnet_rates_are_those_of_torchvision():
    rates = {la.name: la.rate for la in resnet(50, output_stride=8) if la.kernel_size == 3}
    assert [rates[f"block3.{unit}.conv2"] for unit in range(6)] == [1, 2, 2, 2, 2, 2]
    assert [rates[f"block4.{unit}.conv2"] for unit in range(3)] == [2, 4, 4]


@given(
    st.lists(
        st.builds(Layer, st.integers(1, 5), st.sampled_from([1, 2]), st.integers(0, 2)), max_size=9
    )
)
def test_to_atrous_keeps_the_field_and_makes_the_map_denser(layers):
    field = field_closed_form(layers)
    strides = {1}
    for layer in layers:
        strides.add(max(strides) * layer.stride)
    for output_stride in strides:
        dense = field_closed_form(to_atrous(layers, output_stride))
        assert (dense.size, dense.padding) == (field.size, field.padding)
        assert dense.stride == output_stride


@pytest.mark.parametrize(
    ("kernel_size", "rate", "field"), [(7, 4, 404), (4, 8, 404), (3, 12, 404), (4, 4, 308)]
)
def test_deeplab_v1(kernel_size, rate, field):
    """Section 3.2: 404 run convolutionally (224 of them in one crop), 308 for the 4x4 kernel."""
    assert size_of(deeplab_v1(kernel_size, rate)) == field
    assert field == size_of([*vgg16(), Layer(7 if field == 404 else 4)])


def test_deeplab_v1_with_an_undilated_pool5():
    layers = [replace(la, rate=1) if la.name == "pool5" else la for la in deeplab_v1(7, 4)]
    assert size_of(layers) == 396
    assert size_of([*layers[:-1], Layer(4, rate=4)]) == 300


def test_released_deeplab_v1():
    """Pools of 3x3, pool5 undilated; LargeFOV adds a 3x3 average pool, the ASPP branches do not."""
    dense = to_atrous(vgg16(pool_size=3), 8)
    trunk = [replace(la, rate=1) if la.name == "pool5" else la for la in dense]
    assert size_of([*trunk, Layer(3), Layer(3, rate=12)]) == 435
    assert [size_of([*trunk, Layer(3, rate=r)]) for r in (6, 12, 18, 24)] == [323, 419, 515, 611]


def test_front_end_of_the_context_module():
    """Yu and Koltun 2016, section 4: both last pools deleted, conv5 at rate 2, fc6 at rate 4."""
    kept = [la for la in vgg16() if la.name not in ("pool4", "pool5")]
    layers = [replace(la, rate=2) if la.name.startswith("conv5") else la for la in kept]
    assert size_of([*layers, Layer(7, rate=4)]) == 380


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: resnet(51), r"depth must be one of 18, 34, .* got 51"),
        (lambda: resnet(50, "first"), "stride_on must be one of .* got 'first'"),
        (lambda: resnet(50, output_stride=4), "output_stride must be one of 8, 16, 32, got 4"),
        (lambda: resnet(50, first_unit="none"), "first_unit must be one of .* got 'none'"),
        (lambda: resnet(18, "1x1"), 'stride_on="1x1" needs depth >= 50, got 18'),
        (lambda: resnet(50, "last unit", 16, "whole"), "needs stride_on=\"3x3\", got 'last unit'"),
        (
            lambda: to_atrous(vgg16(), 3),
            "must multiply to exactly output_stride=3 ",
        ),
        (lambda: vgg16(4), "pool_size must be 2 .* got 4"),
        (lambda: deeplab_v1(3, 0), "rate must be an integer >= 1, got 0"),
        (lambda: tensorflow_same(vgg16(), 0), "size must be an integer >= 1, got 0"),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        (alexnet_v2(), "conv1 pool1 conv2 pool2 conv3 conv4 conv5 pool5"),
        (deeplab_v1()[-7:], "conv4_3 pool4 conv5_1 conv5_2 conv5_3 pool5 fc6"),
        (mobilenet_v1()[:4], "conv1 depthwise1 pointwise1 depthwise2"),
        (
            mobilenet_v2(),
            "conv1 block1.0 block2.0 block2.1 block3.0 block3.1 block3.2 block4.0 block4.1 "
            "block4.2 block4.3 block5.0 block5.1 block5.2 block6.0 block6.1 block6.2 block7.0",
        ),
        (resnet(18)[:6], "conv1 pool1 block1.0.conv1 block1.0.conv2 block1.1.conv1 block1.1.conv2"),
        (resnet(50)[:5], "conv1 pool1 block1.0.conv1 block1.0.conv2 block1.0.conv3"),
        (
            inception_v2(),
            "conv1 pool1 conv2 pool2 double3x3 reduce double3x3 reduce double3x3",
        ),
        (
            inception_v3(),
            "conv1 conv2 conv3 pool1 conv4 pool2 double3x3 reduceA 7x7 reduceB double3x3",
        ),
        (
            inception_v4(),
            "conv1 conv2 conv3 stem_a stem_b stem_c double3x3 reduceA 7x7 reduceB double3x3",
        ),
        (
            inception_resnet_v2(),
            "conv1 conv2 conv3 pool1 conv4 pool2 double3x3 reduceA block17 reduceB block8",
        ),
    ],
)
def test_layers_bear_the_names_that_tables_show(layers, names):
    """Neighbours of one name count once."""
    assert [name for name, _ in groupby(layer.name for layer in layers)] == names.split()
