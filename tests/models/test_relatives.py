"""The relatives of DeepLab: what all of them promise, as networks of `dlseg.models`."""

import pytest
import torch
from torch import nn

from dlseg.backbones import VGG16, ResNet
from dlseg.crf import appearance, smoothness
from dlseg.models import FCN, with_aux
from dlseg.models.relatives import (
    LRR,
    CRFasRNN,
    DilatedNet,
    ImagePyramid,
    ParseNet,
    PSPNet,
    RefineNet,
    SegNet,
    SkipFCN,
    UNet,
)
from dlseg.training.losses import ScoreMaps, segmentation_loss
from dlseg.training.optimiser import parameter_groups
from tests.backbones.counting import without_weights

KERNELS = (smoothness(1, 1), appearance(4, 20, 1))


def resnet(output_stride):
    return ResNet(output_stride, depth=18, width=0.1)


# name: (output stride, the network for a number of classes)
RELATIVES = {
    "fcn-32s": (32, lambda classes: SkipFCN("vgg16_bn", classes, output_stride=32, width=0.02)),
    "fcn-16s": (16, lambda classes: SkipFCN("vgg16_bn", classes, output_stride=16, width=0.02)),
    "fcn-8s": (8, lambda classes: SkipFCN("vgg16_bn", classes, width=0.02)),
    "u-net": (1, lambda classes: UNet(classes, width=0.1)),
    "u-net, padded": (1, lambda classes: UNet(classes, valid=False, batch_norm=True, width=0.1)),
    "segnet": (1, lambda classes: SegNet("vgg16_bn", classes, width=0.1)),
    "pspnet": (8, lambda classes: PSPNet("resnet18", classes, output_stride=8, width=0.1)),
    "parsenet": (16, lambda classes: ParseNet("resnet18", classes, width=0.1)),
    "refinenet": (4, lambda classes: RefineNet("resnet18", classes, width=0.1, channels=8)),
    "lrr": (8, lambda classes: LRR("vgg16_bn", classes, width=0.1)),
    "dilated": (8, lambda classes: DilatedNet("vgg16_bn", classes, width=0.02, context="large")),
    "image pyramid": (16, lambda classes: ImagePyramid(FCN("resnet18", classes, width=0.1))),
    "crf-rnn": (16, lambda classes: CRFasRNN(FCN("resnet18", classes, width=0.1), KERNELS)),
}
ON_META = [name for name in RELATIVES if name != "crf-rnn"]  # the lattice needs colours


def build(name, classes=4, seed=0):
    torch.manual_seed(seed)
    return RELATIVES[name][1](classes)


def image(*size, batch=1):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ON_META)
@pytest.mark.parametrize("size", [(64, 64), (65, 97), (33, 40)])
def test_logits_are_as_large_as_the_image(name, size):
    model = without_weights(RELATIVES[name][1], 7)
    assert model(torch.empty(2, 3, *size, device="meta")).shape == (2, 7, *size)
    assert (model.num_classes, model.output_stride) == (7, RELATIVES[name][0])


@pytest.mark.parametrize("name", [name for name in ON_META if name != "u-net"])
def test_scores_have_the_output_stride(name):
    stride, make = RELATIVES[name]
    scores = without_weights(make, 5).scores(torch.empty(2, 3, 96, 64, device="meta"))
    finest = scores[-1] if isinstance(scores, tuple) else scores
    assert finest.shape == (2, 5, 96 // stride, 64 // stride)


def test_crf_keeps_the_size():
    model = build("crf-rnn").eval()
    with torch.no_grad():
        assert model(image(24, 17)).shape == (1, 4, 24, 17)
    assert (model.num_classes, model.output_stride) == (4, 16)


@pytest.mark.parametrize("name", RELATIVES)
def test_backbone_and_head_share_the_parameters(name):
    model = without_weights(RELATIVES[name][1], 4)
    all_of_it = {id(p) for p in model.parameters()}
    backbone = {id(p) for p in model.backbone.parameters()}
    assert set() < backbone < all_of_it
    groups = parameter_groups(model, freeze_batch_norm=False)
    assert {id(p) for group in groups.values() for p in group} == all_of_it


@pytest.mark.parametrize("name", RELATIVES)
def test_every_parameter_gets_a_gradient(name):
    model = build(name)
    x = image(12, 12, batch=2) if name == "u-net" else image(40, 48, batch=2)
    weights = torch.randn(2, 4, *x.shape[2:], generator=torch.Generator().manual_seed(2))
    (model(x) * weights).sum().backward()
    missing = [name for name, p in model.named_parameters() if not p.grad.abs().max() > 0]
    assert missing == []


@pytest.mark.parametrize("name", [name for name in RELATIVES if name != "u-net"])
@pytest.mark.parametrize("loss", ["upsampled", "shrunk"])
def test_training_takes_them(name, loss):
    maps = ScoreMaps(build(name), loss)(image(32, 32, batch=2))
    value = segmentation_loss(maps, torch.zeros(2, 32, 32, dtype=torch.int64))
    assert value.isfinite() and value > 0


@pytest.mark.parametrize("name", RELATIVES)
def test_state_dict_round_trip(name):
    model, other = build(name).eval(), build(name, seed=3).eval()
    x = image(33, 32)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
        assert not torch.equal(model(x), other(x))
        other.load_state_dict(model.state_dict())
        assert torch.equal(model(x), other(x))


@pytest.mark.parametrize(
    "make",
    [
        lambda w: SkipFCN("vgg16", width=w),
        lambda w: UNet(width=w),
        lambda w: SegNet("vgg16_bn", width=w),
        lambda w: LRR("vgg16", width=w),
        lambda w: DilatedNet("vgg16", width=w),
    ],
)
def test_width_scales_all_channels(make):
    narrow, wide = without_weights(make, 0.25), without_weights(make, 1.0)
    pairs = list(zip(narrow.modules(), wide.modules(), strict=True))
    convs = [(a, b) for a, b in pairs if isinstance(a, nn.Conv2d)]
    inside = [(a, b) for a, b in convs if b.out_channels >= 64]
    assert len(inside) >= 13
    assert all(4 * a.out_channels == b.out_channels for a, b in inside if b.out_channels < 600)


@pytest.mark.parametrize("name", RELATIVES)
def test_images_only(name):
    with pytest.raises(ValueError, match=r"an image \(B, 3, H, W\), got .*\(1, 4, 64, 64\)"):
        build(name)(torch.zeros(1, 4, 64, 64))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SkipFCN("vgg16", 0), "num_classes must be an integer >= 1, got 0"),
        (
            lambda: SkipFCN("vgg16", output_stride=4),
            "output_stride must be one of 32, 16, 8, got 4",
        ),
        (lambda: UNet(in_channels=0), "in_channels must be an integer >= 1, got 0"),
        (lambda: UNet(width=0), "width must be a number above 0, up to 100, got 0"),
        (
            lambda: UNet(in_channels=1, width=0.1)(image(8, 8)),
            r"image \(B, 1, H, W\), got \(1, 3, 8, 8\)",
        ),
        (lambda: SegNet("vgg16", 1.5), "num_classes must be an integer >= 1, got 1.5"),
        (lambda: build("segnet")(image(31, 40)), r"at least 32x32 pixels, got \(1, 3, 31, 40\)"),
        (lambda: PSPNet(resnet(8), bins=()), r"multiple of the number of bins, got 48 and \(\)"),
        (lambda: PSPNet(resnet(8), bins=range(1, 6)), r"number of bins, got 48 and \(1, 2, 3, 4"),
        (lambda: PSPNet(resnet(8), bins=(1, 0)), "bins must be an integer >= 1, got 0"),
        (
            lambda: PSPNet(VGG16(8, width=0.1), aux=True),
            "an auxiliary head needs a ResNet, got VGG16",
        ),
        (lambda: with_aux(build("pspnet"), image(8, 8)), "no auxiliary head; build it with aux"),
        (lambda: LRR(resnet(32)), "needs a VGG16 of output_stride=32, got ResNet"),
        (lambda: DilatedNet("resnet18"), "needs a VGG16 of output_stride=8, got ResNet"),
        (lambda: build("pspnet")(image(40, 40)), "batch norm cannot normalise a single value"),
        (lambda: ParseNet(resnet(8), "21"), "num_classes must be an integer >= 1, got '21'"),
        (lambda: RefineNet(VGG16(32, width=0.1)), "this network needs a ResNet, got VGG16"),
        (lambda: RefineNet(resnet(32), channels=0), "channels must be an integer >= 1, got 0"),
        (lambda: LRR("vgg16", window=4, width=0.1)(image(32, 32)), "window must be odd, got 4"),
        (
            lambda: DilatedNet("vgg16", context="small", width=0.02),
            "kind must be one of basic, large, got 'small'",
        ),
        (
            lambda: ImagePyramid(build("fcn-8s"), fusion="sum"),
            "fusion must be one of mean, max, got 'sum'",
        ),
        (lambda: ImagePyramid(build("fcn-8s"), (0.5, 2)), r"with 1 among them, .* got \(0.5, 2\)"),
        (
            lambda: CRFasRNN(build("fcn-8s"), KERNELS, (5, -1)),
            "iterations must be an integer >= 0, got -1",
        ),
    ],
)
def test_bad_input_says_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
