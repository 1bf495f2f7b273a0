"""Published networks as stacks of layers, ready for receptive-field arithmetic.

A stack is the longest path through the network: at each fork, the branch that sees most.
Shortcuts, normalisation and activations see nothing more and are left out, and so are most 1x1
convolutions. Paddings are symmetric, `same_padding` or none, as PyTorch has them;
`tensorflow_same` gives those of TensorFlow, which differ at stride 2.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dlseg.arithmetic.layer import Layer
from dlseg.arithmetic.output_stride import OUTPUT_STRIDES, to_atrous
from dlseg.checks import check_choice, check_integer

BOTTLENECK_UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}
BASIC_UNITS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


@dataclass(frozen=True)
class Published:
    """Size, stride and padding of a field as published, in input pixels, and where."""

    size: int
    stride: int
    padding: int
    source: str


_TABLE = "Araujo, Norris and Sim 2019 (Distill), table of receptive fields"

# The models of TF-Slim at 224 x 224. A padding can be recomputed with `tensorflow_same` only:
# TensorFlow's 'SAME' pads an even map before a window of stride 2 by one pixel less in front than
# behind. AlexNet and VGG have no such layer, so theirs follow from symmetric padding as well.
PUBLISHED = {
    "alexnet_v2": Published(195, 32, 64, _TABLE),
    "vgg16": Published(212, 32, 90, _TABLE),
    "mobilenet_v1": Published(315, 32, 126, _TABLE),
    "resnet50": Published(483, 32, 239, _TABLE),
    "inception_v2": Published(699, 32, 318, _TABLE),
    "resnet101": Published(1027, 32, 511, _TABLE),
    "inception_v3": Published(1311, 32, 618, _TABLE),
    "resnet152": Published(1507, 32, 751, _TABLE),
    "resnet200": Published(1763, 32, 879, _TABLE),
    "inception_v4": Published(2071, 32, 998, _TABLE),
    "inception_resnet_v2": Published(3039, 32, 1482, _TABLE),
}


def alexnet_v2() -> list[Layer]:
    """AlexNet (one tower) up to pool5. Source: Krizhevsky 2014; TF-Slim alexnet_v2."""
    convs = [_same(f"conv{number}", 3) for number in (3, 4, 5)]
    return [
        Layer(11, 4, 0, name="conv1"),
        Layer(3, 2, 0, name="pool1"),
        _same("conv2", 5),
        Layer(3, 2, 0, name="pool2"),
        *convs,
        Layer(3, 2, 0, name="pool5"),
    ]


def vgg16(pool_size: int = 2) -> list[Layer]:
    """VGG-16 up to pool5, with layers named conv1_1 to pool5.

    pool_size: 2, or 3 for the padded pools of the released DeepLab v1.
    Raises ValueError for other pools. Source: Simonyan and Zisserman 2015, table 1 (D).
    """
    if pool_size not in (2, 3):
        raise ValueError(f"pool_size must be 2 (VGG) or 3 (released DeepLab v1), got {pool_size!r}")
    layers = []
    for stage, count in enumerate((2, 2, 3, 3, 3), start=1):
        layers += [_same(f"conv{stage}_{number}", 3) for number in range(1, count + 1)]
        layers.append(Layer(pool_size, 2, pool_size - 2, name=f"pool{stage}"))
    return layers


def deeplab_v1(kernel_size: int = 7, rate: int = 4) -> list[Layer]:
    """DeepLab v1: VGG-16 made dense to output stride 8, and its fc6 of that kernel and rate.

    Raises ValueError where a number is out of range.
    Source: DeepLab v1, sections 3.1 and 3.2 and table 2; fc6 variants 7x7/4, 4x4/4, 4x4/8, 3x3/12.
    """
    return [*to_atrous(vgg16(), 8), Layer(kernel_size, rate=rate, name="fc6")]


def mobilenet_v1() -> list[Layer]:
    """MobileNet up to the last pointwise convolution, `pointwise13`; the width changes nothing.

    Source: Howard et al. 2017, table 1 (whose last stride 2 is a slip for 1: see its sizes).
    """
    layers = [_same("conv1", 3, 2)]
    for number, stride in enumerate((1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1), start=1):
        layers += [_same(f"depthwise{number}", 3, stride), Layer(name=f"pointwise{number}")]
    return layers


def mobilenet_v2() -> list[Layer]:
    """MobileNetV2 up to the block of 320 channels: each block sees through one depthwise 3x3.

    Source: Sandler et al. 2018, table 2.
    """
    layers = [_same("conv1", 3, 2)]
    for row, (count, stride) in enumerate(
        ((1, 1), (2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1)), start=1
    ):
        layers += [_same(f"block{row}.{unit}", 3, 1 if unit else stride) for unit in range(count)]
    return layers


def resnet(
    depth: int,
    stride_on: str = "3x3",
    output_stride: int = 32,
    first_unit: str = "previous",
) -> list[Layer]:
    """ResNet of that depth up to the end of its last stage; layers are named block2.0.conv2.

    stride_on: where a stage has its stride: "3x3" of its first unit (torchvision), "1x1" of its
    first unit (the original, in Caffe), or "last unit" of the stage before, on its 3x3 (TF-Slim).
    output_stride: 32, 16 or 8; strides beyond it become rates (DeepLab v3, section 3.1).
    first_unit: of a stage whose stride became a rate: "previous" keeps its 3x3 at the rate before,
    which keeps the field of every unit (torchvision); "whole" gives all of the stage the new rate.
    Raises ValueError for other values, for "whole" unless stride_on is "3x3", and for "1x1" at
    depths 18 and 34, whose units have no 1x1.
    Source: He et al. 2016, table 1.
    """
    _check_resnet(depth, stride_on, output_stride, first_unit)
    layers = [Layer(7, 2, 3, name="conv1"), Layer(3, 2, 1, name="pool1")]
    for stage, count in enumerate((BASIC_UNITS | BOTTLENECK_UNITS)[depth], start=1):
        strides = _stage_strides(stage, count, stride_on)
        for unit, stride in enumerate(strides):
            layers += _unit(f"block{stage}.{unit}", stride, stride_on, depth in BASIC_UNITS)
    dense = to_atrous(layers, output_stride)
    return _whole_stages(dense) if first_unit == "whole" else dense


def inception_v2() -> list[Layer]:
    """Inception v2 (batch-normalised GoogLeNet) along its longest path.

    Source: Ioffe and Szegedy 2015; TF-Slim inception_v2.
    """
    stem = [_same("conv1", 7, 2), _same("pool1", 3, 2), _same("conv2", 3), _same("pool2", 3, 2)]
    pair, reduce = _pair(), [_same("reduce", 3), _same("reduce", 3, 2)]
    return stem + pair * 2 + reduce + pair * 4 + reduce + pair * 2


def inception_v3() -> list[Layer]:
    """Inception v3 along its longest path. Source: Szegedy et al. 2016, table 1; TF-Slim."""
    sevens = [_same("7x7", 7)] * 2
    return _stem_v3() + _pair() * 3 + _shrink("A", 3) + sevens * 4 + _shrink("B", 7) + _pair() * 2


def inception_v4() -> list[Layer]:
    """Inception v4 along its longest path. Source: Szegedy et al. 2017; TF-Slim."""
    stem = [Layer(3, 2, name="conv1"), Layer(3, name="conv2"), _same("conv3", 3)]
    stem += [Layer(3, 2, name="stem_a"), _same("stem_b", 7), Layer(3, name="stem_b")]
    stem += [Layer(3, 2, name="stem_c")]
    sevens = [_same("7x7", 7)] * 2
    return stem + _pair() * 4 + _shrink("A", 3) + sevens * 7 + _shrink("B", 7) + _pair() * 3


def inception_resnet_v2() -> list[Layer]:
    """Inception-ResNet v2 along its longest path.

    Source: Szegedy et al. 2017, with the stem of v3; TF-Slim inception_resnet_v2.
    """
    blocks17, blocks8 = [_same("block17", 7)] * 20, [_same("block8", 3)] * 10
    return _stem_v3() + _pair() * 11 + _shrink("A", 3) + blocks17 + _shrink("B", 3) + blocks8


def _stem_v3() -> list[Layer]:
    stem = [Layer(3, 2, name="conv1"), Layer(3, name="conv2"), _same("conv3", 3)]
    return [*stem, Layer(3, 2, name="pool1"), Layer(3, name="conv4"), Layer(3, 2, name="pool2")]


def _pair() -> list[Layer]:
    return [_same("double3x3", 3)] * 2


def _shrink(block: str, kernel_size: int) -> list[Layer]:
    return [_same(f"reduce{block}", kernel_size), Layer(3, 2, name=f"reduce{block}")]


def tensorflow_same(layers: Iterable[Layer], size: int) -> list[Layer]:
    """The same layers, their padding replaced by what TensorFlow's 'SAME' puts before the map.

    'SAME' makes ceil(size / stride) units, and pads the odd pixel behind. Layers without padding
    are 'VALID' and stay. For fields only: a `Layer` cannot hold the padding behind.
    Raises ValueError where size is no integer >= 1.
    """
    size = check_integer("size", size, 1)
    padded = []
    for layer in layers:
        units = -(-size // layer.stride)
        total = max(0, (units - 1) * layer.stride + layer.effective_kernel - size)
        if layer.padding == 0:
            units = layer.output_size(size)
        padded.append(replace(layer, padding=total // 2 if layer.padding else 0))
        size = units
    return padded


def _same(name: str, kernel_size: int, stride: int = 1) -> Layer:
    return Layer(kernel_size, stride, (kernel_size - 1) // 2, name=name)


def _stage_strides(stage: int, count: int, stride_on: str) -> list[int]:
    strides = [1] * count
    if stride_on == "last unit" and stage < 4:
        strides[-1] = 2
    if stride_on != "last unit" and stage > 1:
        strides[0] = 2
    return strides


def _unit(name: str, stride: int, stride_on: str, basic: bool) -> list[Layer]:
    """The convolutions of one residual unit."""
    if basic:
        return [_same(f"{name}.conv1", 3, stride), _same(f"{name}.conv2", 3)]
    first, second = (stride, 1) if stride_on == "1x1" else (1, stride)
    return [
        Layer(1, first, name=f"{name}.conv1"),
        _same(f"{name}.conv2", 3, second),
        Layer(name=f"{name}.conv3"),
    ]


def _whole_stages(layers: list[Layer]) -> list[Layer]:
    """Give the first layers of each stage the rate with which the stage ends."""
    rates = {layer.name.split(".")[0]: layer.rate for layer in layers}
    whole = []
    for layer in layers:
        rate = rates[layer.name.split(".")[0]]
        whole.append(replace(layer, rate=rate, padding=layer.padding * rate // layer.rate))
    return whole


def _check_resnet(depth: int, stride_on: str, output_stride: int, first_unit: str) -> None:
    check_choice("depth", depth, BASIC_UNITS | BOTTLENECK_UNITS)
    check_choice("stride_on", stride_on, ("3x3", "1x1", "last unit"))
    check_choice("output_stride", output_stride, OUTPUT_STRIDES)
    check_choice("first_unit", first_unit, ("previous", "whole"))
    if stride_on == "1x1" and depth in BASIC_UNITS:
        raise ValueError(f'stride_on="1x1" needs depth >= 50, got {depth}: its units have no 1x1')
    if first_unit == "whole" and stride_on != "3x3":
        raise ValueError(
            f'first_unit="whole" needs stride_on="3x3", got {stride_on!r}: the 3x3 of the first '
            "unit lies behind the stride there and has the new rate already"
        )
