"""The tracer on networks that others wrote, against arithmetic and published values."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlseg.arithmetic import PUBLISHED, field_closed_form, mobilenet_v2, resnet, vgg16
from dlseg.inspect import gradient_support, receptive_field
from tests.peers import load_torchvision

torchvision = load_torchvision()
models = torchvision.models


def numbers(row):
    return row.size, row.stride, row.padding


def of_stack(layers):
    field = field_closed_form(layers)
    return field.size, field.stride, field.padding


def last_add(report):
    return [row for row in report.layers if row.operation == "add"][-1]


@pytest.mark.parametrize(
    ("depth", "size"), [(18, 435), (34, 899), (50, 427), (101, 971), (152, 1451)]
)
def test_resnet(depth, size):
    report = receptive_field(getattr(models, f"resnet{depth}")(), 224)
    assert numbers(last_add(report)) == of_stack(resnet(depth)) == (size, 32, (size - 1) // 2)
    assert last_add(report).aligned and report.unaligned == ()
    assert report.whole_image and report.layers[-1].name == "avgpool"


@pytest.mark.parametrize("output_stride", [16, 8])
def test_resnet_with_rates_instead_of_strides(output_stride):
    dense = [False, output_stride <= 8, output_stride <= 16]
    model = models.resnet50(replace_stride_with_dilation=dense)
    report = receptive_field(model, 224)
    expected = of_stack(resnet(50, output_stride=output_stride))
    assert numbers(last_add(report)) == expected == (427, output_stride, 213)


def test_resnet_layer_by_layer():
    layers = resnet(50, output_stride=8)
    model = models.resnet50(replace_stride_with_dilation=[False, True, True])
    report = receptive_field(model, 224)
    for count, layer in enumerate(layers, start=1):
        name = layer.name.replace("block", "layer").replace("pool1", "maxpool")
        assert numbers(report.layer(name)) == of_stack(layers[:count]), name


def test_vgg16():
    report = receptive_field(models.vgg16(), 224)
    ends = [row for row in report.layers if row.operation.startswith("max pool")]
    layers = vgg16()
    for row, stage in zip(ends, range(1, 6), strict=True):
        last = [layer.name for layer in layers].index(f"pool{stage}") + 1
        assert numbers(row) == of_stack(layers[:last])
    assert numbers(ends[-1]) == (212, 32, 90)
    assert report.layer("classifier.0").whole_image


def test_mobilenet_v2():
    report = receptive_field(models.mobilenet_v2().features, 224)
    assert numbers(report.layer("17.conv.2")) == of_stack(mobilenet_v2()) == (491, 32, 245)


def test_deeplabv3():
    model = models.segmentation.deeplabv3_resnet50(weights_backbone=None)
    report = receptive_field(model, 513)
    assert report.whole_image and report.region(0, 0) == ((0, 512), (0, 512))
    assert (report.size, report.output.output_size, report.aligned) == (513, 513, True)
    # 427 and the reach of 24, 48 or 72 positions, each 8 pixels apart.
    branches = [report.layer(f"classifier.0.convs.{branch}.0").size for branch in range(4)]
    assert branches == [427, 427 + 24 * 8, 427 + 48 * 8, 427 + 72 * 8]
    assert report.layer("classifier.0.convs.4.0").output_size == 1
    assert report.layer("classifier.0.convs.4.0").whole_image


def test_fcn_has_no_single_field_because_it_resizes():
    model = models.segmentation.fcn_resnet50(weights_backbone=None)
    report = receptive_field(model, 224)
    assert numbers(report.layer("classifier.4")) == (427 + 2 * 8, 8, 213 + 8)
    assert report.size is None and "'bilinear_resize' differ in what they see" in report.problem
    assert report.region(0, 0) == ((0, 221), (0, 221))


@pytest.mark.parametrize("unit", [(0, 0), (2, 3), (5, 5)])
def test_gradient_of_mobilenet_v2_goes_where_the_tracer_says(unit):
    model = models.mobilenet_v2(width_mult=0.1).features[:8]
    report = receptive_field(model, 96)
    assert report.region(*unit) == gradient_support(model, 96, unit)[:2]


def test_gradient_of_resnet18_goes_where_the_tracer_says():
    model = nn.Sequential(*list(models.resnet18().children())[:6])
    report = receptive_field(model, 129)
    assert report.size == 99
    assert report.region(8, 2) == gradient_support(model, 129, (8, 2))[:2] == ((15, 113), (0, 65))


class SlimUnit(nn.Module):
    """Bottleneck of TF-Slim: the stride on its 3x3, the shortcut subsampled by a 1x1 pooling."""

    def __init__(self, channels: int, stride: int):
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1)
        self.conv3 = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        out = self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))
        return F.relu(out + F.max_pool2d(x, 1, self.stride))


def slim_resnet(units: tuple[int, ...]) -> nn.Sequential:
    """ResNet v1 of TF-Slim, the stride in the last unit of each block, with few channels."""
    blocks = []
    for block, count in enumerate(units):
        strides = [1] * (count - 1) + [2 if block < 3 else 1]
        blocks += [SlimUnit(4, stride) for stride in strides]
    return nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3), nn.MaxPool2d(3, 2, 1), *blocks)


@pytest.mark.parametrize(
    ("depth", "units"),
    [(50, (3, 4, 6, 3)), (101, (3, 4, 23, 3)), (152, (3, 8, 36, 3)), (200, (3, 24, 36, 3))],
)
def test_placement_of_tf_slim_gives_the_published_sizes(depth, units):
    report = receptive_field(slim_resnet(units), 224)
    published = PUBLISHED[f"resnet{depth}"]
    assert (report.size, report.stride) == (published.size, published.stride)
    assert numbers(report) == of_stack(resnet(depth, "last unit"))
    assert report.aligned


def test_buffers_of_a_trained_model_stay():
    model = models.resnet18()
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    receptive_field(model, 64)
    assert model.training
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
