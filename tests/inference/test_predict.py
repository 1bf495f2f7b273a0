"""Averages over scales and mirror images against what they must be for networks that are known."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlseg.inference import evaluating, probabilities
from dlseg.models import FCN
from tests.inference.toys import CLASSES, Watched, convolutions, images, pointwise

SCALES = (0.5, 1.0, 1.75)
close = torch.testing.assert_close


def small_fcn():
    torch.manual_seed(0)
    return FCN("resnet18", CLASSES, output_stride=32, width=0.125)


def test_scale_one_is_the_softmax_of_the_output():
    model, x = convolutions(2), images()
    assert torch.equal(probabilities(model, x), model(x).softmax(1))


def test_the_mean_by_its_definition():
    model, x = convolutions(2), images(height=21, width=30)
    parts = []
    for scale, size in zip(SCALES, [(10, 15), (21, 30), (37, 52)], strict=True):
        assert size == (round(21 * scale), round(30 * scale))
        small = F.interpolate(x, size, mode="bilinear", align_corners=False)
        for columns in (list(range(size[1])), list(range(size[1]))[::-1]):
            logits = model(small[..., columns])[..., columns]
            full = F.interpolate(logits, (21, 30), mode="bilinear", align_corners=False)
            parts.append(full.exp() / full.exp().sum(1, keepdim=True))
    close(probabilities(model, x, SCALES, flip=True), torch.stack(parts).mean(0))


def test_mirroring_changes_nothing_where_the_network_commutes_with_it():
    x = images()
    model, other = convolutions(2, mirrored=True), convolutions(2)
    close(probabilities(model, x, flip=True), probabilities(model, x))
    assert (probabilities(other, x, flip=True) - probabilities(other, x)).abs().max() > 0.01


def test_mirrored_image_mirrored_prediction():
    model, x = convolutions(2), images()
    ours = probabilities(model, x, SCALES, flip=True)
    close(probabilities(model, x.flip(3), SCALES, flip=True).flip(3), ours)


def test_scales_change_nothing_on_a_flat_image_for_a_pointwise_network():
    x = images(height=1, width=1).expand(-1, -1, 19, 23)
    model = pointwise()
    close(probabilities(model, x, SCALES), model(x).softmax(1))


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (64, 32)])
@pytest.mark.parametrize("scales", [(1.0,), (0.5, 1.25)])
def test_any_size_sums_to_one(size, scales):
    model, x = small_fcn(), torch.rand(2, 3, *size)
    found = probabilities(model, x, scales, flip=True)
    assert found.shape == (2, CLASSES, *size)
    close(found.sum(1), torch.ones(2, *size))
    assert found.min() >= 0


def test_batch_is_its_images_even_with_batch_norm():
    model, x = small_fcn().double(), images(3, 40, 33)
    together = probabilities(model, x, (0.75, 1.0), flip=True)
    one_by_one = [probabilities(model, x[i : i + 1], (0.75, 1.0), flip=True) for i in range(3)]
    close(together, torch.cat(one_by_one))


def test_network_is_in_eval_mode_without_gradient_and_keeps_its_modes():
    model = Watched(nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(), convolutions(1))).double()
    frozen = model.model[0].eval()  # the rest trains
    before = [module.training for module in model.modules()]
    statistics = frozen.running_mean.clone()
    found = probabilities(model, images(), (0.5, 1.0), flip=True)
    assert [call[1:] for call in model.calls] == [(False, False)] * 4
    assert [module.training for module in model.modules()] == before
    assert any(before) and not all(before)
    assert torch.equal(frozen.running_mean, statistics)
    assert not found.requires_grad


class Keeping(nn.Module):
    """Keeps what it computed at its first call, as a CRF does with its tables."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(CLASSES, 1, 1, dtype=torch.float64))
        self.table = None

    def forward(self, x):
        if self.table is None:
            self.table = x.mean(1, keepdim=True)  # (B, 1, H, W)
        return self.table * self.weight


def test_result_and_model_can_take_part_in_training_afterwards():
    model, x = Keeping(), images()
    found = probabilities(model, x)
    (found * model(x)).sum().backward()
    assert model.weight.grad is not None


def test_modes_come_back_after_an_error():
    model = convolutions(1)
    with pytest.raises(KeyError), evaluating(model):
        assert not model.training
        raise KeyError
    assert model.training


@pytest.mark.parametrize("scales", [(), (0,), (1.0, -0.5), (float("inf"),), (float("nan"),)])
def test_bad_scales(scales):
    with pytest.raises(
        ValueError, match=r"scales must be positive numbers up to 100, at least one"
    ):
        probabilities(pointwise(), images(), scales)


@pytest.mark.parametrize(
    "bad",
    [
        torch.rand(3, 8, 8),
        torch.rand(1, 4, 8, 8),
        torch.rand(1, 3, 0, 8),
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
    ],
)
def test_bad_images(bad):
    with pytest.raises(ValueError, match="images must be floats of shape"):
        probabilities(pointwise(), bad)
