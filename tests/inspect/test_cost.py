"""Counts of parameters, multiply-adds and memory: published totals, peers, and counting by hand."""

import copy

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from dlseg.arithmetic import Layer
from dlseg.backbones.features import Features
from dlseg.backbones.resnet import ResNet
from dlseg.backbones.vgg import STAGES, VGG16
from dlseg.inspect import Cost, cost, from_layers, receptive_field
from tests.backbones.counting import without_weights
from tests.peers import load_torchvision

# torchvision's networks for segmentation at 513 x 513 and output stride 8, 21 classes, without the
# auxiliary head: multiply-adds and parameters.
SEGMENTATION = {
    ("fcn", 50): (142_647_529_152, 32_957_013),
    ("fcn", 101): (222_668_623_552, 51_949_141),
    ("deeplabv3", 50): (168_652_962_240, 39_638_869),
    ("deeplabv3", 101): (248_674_056_640, 58_630_997),
}


def head(kind):
    """Multiply-adds and parameters of the head on a 65 x 65 map of 2048 channels, by hand."""
    if kind == "fcn":
        convs = 9 * 2048 * 512 + 512 * 21
        return 65**2 * convs, convs + 2 * 512 + 21
    pooling = 2048 * 256  # at one position only
    convs = 2048 * 256 + 3 * 9 * 2048 * 256 + 1280 * 256 + 9 * 256 * 256 + 256 * 21
    return 65**2 * convs + pooling, convs + pooling + 7 * 2 * 256 + 21


@pytest.mark.parametrize(("kind", "depth"), SEGMENTATION)
def test_backbone_of_torchvision_s_segmentation_networks(kind, depth):
    multiply_adds, parameters = SEGMENTATION[kind, depth]
    result = cost(without_weights(ResNet, 8, depth=depth), 513)
    assert result.multiply_adds == multiply_adds - head(kind)[0]
    assert result.parameters == parameters - head(kind)[1]


def paper_head(size):
    """Multiply-adds of the head of DeepLab v3, 21 classes, on 2048 maps of size x size."""
    convs = 2048 * 256 + 3 * 9 * 2048 * 256 + 1280 * 256 + 256 * 21
    return size**2 * convs + 2048 * 256


@pytest.mark.parametrize(
    ("depth", "stem", "style", "billions"),
    [  # at output stride 16 and 8
        (50, "7x7", "torchvision", (50.44, 166.16)),
        (101, "7x7", "torchvision", (71.06, 246.18)),
        (101, "7x7", "caffe", (70.24, 245.78)),  # Caffe's, as kazuto1011/deeplab-pytorch has it
        (101, "beta", "slim", (76.05, 252.25)),  # Google's, as TF-Slim has it
    ],
)
def test_deeplab_v3_as_others_built_it(depth, stem, style, billions):
    """513 x 513; numbers counted on independent implementations with the paper's head."""
    result = [
        cost(
            without_weights(ResNet, stride, depth=depth, stem=stem, style=style), 513
        ).multiply_adds
        + paper_head(size)
        for stride, size in ((16, 33), (8, 65))
    ]
    assert tuple(round(number / 1e9, 2) for number in result) == billions


def test_deeplab_v2_of_kazuto():
    """kazuto1011/deeplab-pytorch: ResNet-101 of Caffe and four 3x3 convolutions, summed."""
    result = cost(without_weights(ResNet, 8, depth=101, style="caffe"), 513)
    taps = 4 * 9 * 2048 * 21
    assert result.parameters + taps + 4 * 21 == 44_048_532
    assert round((result.multiply_adds + 65**2 * taps) / 1e9, 3) == 188.886


@pytest.mark.parametrize(
    ("name", "build", "billions"),
    [
        ("resnet50", lambda: ResNet(32, num_classes=1000), 4.089),
        ("resnet101", lambda: ResNet(32, depth=101, num_classes=1000), 7.801),
        ("resnet18", lambda: ResNet(32, depth=18, num_classes=1000), None),
        ("vgg16", lambda: VGG16(32, num_classes=1000), 15.470),
        ("vgg16_bn", lambda: VGG16(32, batch_norm=True, num_classes=1000), None),
    ],
)
def test_same_as_torchvision_at_224(name, build, billions):
    """The peer's forward has the classifier in it, ours not: `forward` ends at the last map."""
    peer = without_weights(getattr(load_torchvision().models, name), weights=None)
    classifier = sum(m.weight.numel() for m in peer.modules() if isinstance(m, nn.Linear))
    theirs, ours = cost(peer, 224), cost(without_weights(build), 224)
    assert ours.parameters == theirs.parameters
    assert ours.multiply_adds + classifier == theirs.multiply_adds
    assert billions is None or round(theirs.multiply_adds / 1e9, 3) == billions


@pytest.mark.parametrize(
    ("output_stride", "sizes"), [(32, (65, 33)), (16, (65, 33)), (8, (65, 65))]
)
def test_vgg_by_hand(output_stride, sizes):
    """3x3 kernels at each position of maps of 513, 257, 129 and then `sizes` pixels."""
    channels, expected = 3, 0
    for (out, count), size in zip(STAGES, (513, 257, 129, *sizes), strict=True):
        for _ in range(count):
            expected += 9 * channels * out * size**2
            channels = out
    assert cost(without_weights(VGG16, output_stride, pool_size=3), 513).multiply_adds == expected


@pytest.mark.parametrize("depth", [18, 50])
def test_output_stride_costs_work_and_memory_but_no_parameters(depth):
    result = [cost(without_weights(ResNet, stride, depth=depth), 257) for stride in (32, 16, 8)]
    assert len({(c.parameters, c.field) for c in result}) == 1
    work, memory = [c.multiply_adds for c in result], [c.activation_bytes for c in result]
    assert work == sorted(work) and len(set(work)) == 3
    assert memory == sorted(memory) and len(set(memory)) == 3


def test_memory_by_hand():
    """Image, map of the convolution, map of the BN (kept by ReLU as its result), pool's places."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 1),
    )
    image, wide, narrow = 3 * 8 * 8 * 4, 4 * 8 * 8 * 4, 4 * 4 * 4 * 4
    result = cost(model, 8)
    assert result.activation_bytes == image + 2 * wide + narrow + 2 * narrow  # places are int64
    assert result.multiply_adds == 27 * 4 * 64 + 4 * 5 * 16
    assert result.parameters == 27 * 4 + 4 + 2 * 4 + 4 * 5 + 5
    assert cost(model.double(), 8).activation_bytes == 2 * (image + 2 * wide + narrow) + 2 * narrow


@pytest.mark.parametrize("build", [lambda: ResNet(depth=18), lambda: VGG16(8, batch_norm=True)])
def test_memory_is_what_a_real_run_keeps(build):
    model = build().eval()
    kept = {tensor.data_ptr(): 0 for tensor in model.state_dict().values()}
    alive = []

    def pack(tensor):
        alive.append(tensor)
        if tensor.dim() > 1:
            kept.setdefault(tensor.data_ptr(), tensor.numel() * tensor.element_size())
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(torch.randn(1, 3, 65, 97))
    assert cost(model, (65, 97)).activation_bytes == sum(kept.values())
    del output


def test_field_is_that_of_the_last_map_and_of_the_main_output():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3, 4, 1), nn.Conv2d(4, 4, 3, 2, 1)

        def forward(self, x):
            low_level = self.first(x)
            return Features(low_level, self.second(low_level))

    assert cost(Both(), 33).field == receptive_field(Both(), 33).size == 3 + 2 * 4
    assert cost(nn.Conv2d(3, 4, (1, 5)), 16).field == (1, 5)
    assert cost(nn.Upsample(scale_factor=2, mode="bilinear"), 8).field is None
    assert cost(from_layers([Layer(3, 2, 1), Layer(3, rate=4)]), 33).field == 19


def test_model_is_left_as_it_was():
    model = ResNet(depth=18, num_classes=10)
    before = copy.deepcopy(model.state_dict())
    result = cost(model, 33)
    assert model.training and all(not parameter.is_meta for parameter in model.parameters())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert result == cost(model.to("meta"), 33)


def test_bad_input_says_what_to_do():
    with pytest.raises(ValueError, match="height of input_size must be an integer >= 1, got 0"):
        cost(nn.Conv2d(3, 4, 3), 0)
    with pytest.raises(ValueError, match=r"input_size must be an int, .* got \(1, 3, 8, 8\)"):
        cost(nn.Conv2d(3, 4, 3), (1, 3, 8, 8))


def test_cost_is_a_plain_record():
    assert cost(nn.Conv2d(3, 4, 3), 8) == Cost(112, 27 * 4 * 36, 3 * 64 * 4, 3)
