"""The plain head, and what all models share: upsampling and the model of the scores."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlseg.backbones import VGG16, MobileNetV2, ResNet, Xception
from dlseg.inspect import receptive_field
from dlseg.layers import upsample
from dlseg.models import FCN, ScoreMap
from tests.backbones.counting import parameters, without_weights

BACKBONES = {
    "vgg16": lambda: VGG16(8, width=0.05),
    "resnet18": lambda: ResNet(18, 16, width=0.1),
    "mobilenetv2": lambda: MobileNetV2(32, width=0.1),
    "xception41": lambda: Xception(41, 8, width=0.02),
}


def small(num_classes=5):
    torch.manual_seed(0)
    return FCN(ResNet(18, 16, width=0.1), num_classes)


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("size", [(64, 64), (33, 50)])
def test_shapes(name, size):
    model = FCN(without_weights(BACKBONES[name]), 7).to("meta").eval()
    image = torch.empty(2, 3, *size, device="meta")
    last = model.backbone(image).last
    assert model.scores(image).shape == (2, 7, *last.shape[2:])
    assert model(image).shape == (2, 7, *size)
    assert (model.num_classes, model.output_stride) == (7, model.backbone.output_stride)


def test_the_head_is_one_classifier():
    model = without_weights(FCN, ResNet(50, 16), 21)
    head = {name for name, _ in model.named_parameters() if not name.startswith("backbone.")}
    assert head == {"classifier.weight", "classifier.bias"}
    assert parameters(model) - parameters(model.backbone) == 2048 * 21 + 21


def test_forward_is_the_scores_upsampled():
    model, image = small().eval(), torch.randn(1, 3, 40, 56)
    with torch.no_grad():
        expected = F.interpolate(
            model.scores(image), size=(40, 56), mode="bilinear", align_corners=False
        )
        assert torch.equal(model(image), expected)


def test_state_dict_round_trip():
    model, other = small(), small()
    nn.init.ones_(other.classifier.weight)
    image = torch.randn(1, 3, 32, 32)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model.eval()(image), other.eval()(image))


def test_every_parameter_gets_a_gradient():
    model = small()
    model(torch.randn(2, 3, 33, 33)).square().sum().backward()
    assert all(values.grad.abs().max() > 0 for values in model.parameters())


def test_score_map_shows_the_field_of_the_backbone():
    model = ScoreMap(without_weights(FCN, ResNet(18, 8), 3))
    report = receptive_field(model, 65)
    assert (report.size, report.stride) == (435, 8)


def test_upsampling_has_two_ways_to_place_units():
    ramp = torch.arange(3.0).reshape(1, 1, 1, 3)
    squares = upsample(ramp, (1, 12)).flatten()  # their centres lie at 1.5, 5.5 and 9.5
    inner = [0.125, 0.375, 0.625, 0.875, 1.125, 1.375, 1.625, 1.875]
    assert squares.tolist() == pytest.approx([0, 0, *inner, 2, 2])
    corners = upsample(ramp, (1, 9), align_corners=True).flatten()
    assert corners.tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2])


@pytest.mark.parametrize("num_classes", [0, 2.5, "21"])
def test_bad_number_of_classes(num_classes):
    with pytest.raises(ValueError, match="num_classes must be an integer >= 1, got"):
        small(num_classes)


def test_images_only():
    with pytest.raises(ValueError, match=r"expected an image \(B, 3, H, W\), got \(1, 4, 8, 8\)"):
        small()(torch.zeros(1, 4, 8, 8))
