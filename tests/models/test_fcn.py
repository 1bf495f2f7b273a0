"""The plain head, and what all models share: upsampling and the model of the scores."""

import pytest
import torch
import torch.nn.functional as F

from dlseg.inspect import receptive_field
from dlseg.layers import upsample
from dlseg.models import FCN, ScoreMap
from tests.backbones.counting import parameters, without_weights


def small(num_classes=5):
    torch.manual_seed(0)
    return FCN("resnet18", num_classes, width=0.1)


def test_the_head_is_one_classifier():
    model = without_weights(FCN, "resnet50")
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


def test_score_map_shows_the_field_of_the_backbone():
    model = ScoreMap(without_weights(FCN, "resnet18", 3, output_stride=8))
    report = receptive_field(model, 65)
    assert (report.size, report.stride) == (435, 8)


def test_upsampling_has_two_ways_to_place_units():
    ramp = torch.arange(3.0).reshape(1, 1, 1, 3)
    squares = upsample(ramp, (1, 12)).flatten()  # their centres lie at 1.5, 5.5 and 9.5
    inner = [0.125, 0.375, 0.625, 0.875, 1.125, 1.375, 1.625, 1.875]
    assert squares.tolist() == pytest.approx([0, 0, *inner, 2, 2])
    corners = upsample(ramp, (1, 9), align_corners=True).flatten()
    assert corners.tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2])
