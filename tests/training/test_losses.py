"""Losses against the definition, pixel by pixel, and their sums over parts of a batch."""

import math

import pytest
import torch
import torch.nn.functional as F

from dlseg.backbones import ResNet
from dlseg.models import DeepLabV3, torchvision_deeplabv3
from dlseg.training import segmentation_loss, shrink_labels
from dlseg.training.losses import PixelLoss, ScoreMaps
from tests.training.toys import CLASSES, Net

GENERATOR = torch.Generator().manual_seed(0)
LABELS = torch.randint(0, CLASSES, (2, 32, 32), generator=GENERATOR)
LABELS[0, :20] = 255  # unevenly spread


def nearest(labels: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Each unit's label by its definition: of the pixel that holds the unit's centre."""
    rows = [math.floor((i + 0.5) * labels.shape[1] / height) for i in range(height)]
    columns = [math.floor((j + 0.5) * labels.shape[2] / width) for j in range(width)]
    return labels[:, rows][:, :, columns]


def by_definition(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Mean of -log softmax over labelled units, one unit after the other."""
    losses = []
    for b, i, j in (labels != 255).nonzero().tolist():
        scores = logits[b, :, i, j].double()
        losses.append(float(scores.exp().sum().log() - scores[labels[b, i, j]]))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("size", [(4, 4), (5, 3), (32, 32), (1, 1), (40, 40)])
def test_shrunk_labels_are_those_at_the_centres(size):
    assert torch.equal(shrink_labels(LABELS, size), nearest(LABELS, *size))


def test_a_label_shrunk_lies_where_upsampling_puts_its_score():
    """A score made from shrunk labels, upsampled, is largest on the label's own half."""
    labels = torch.zeros(1, 64, 64, dtype=torch.long)
    labels[:, :, 32:] = 1
    scores = F.one_hot(shrink_labels(labels, (8, 8)), 2).permute(0, 3, 1, 2).float()
    upsampled = F.interpolate(scores, (64, 64), mode="bilinear")
    assert torch.equal(upsampled.argmax(1), labels)


@pytest.mark.parametrize("size", [(4, 4), (5, 3), (32, 32)])
def test_loss_on_shrunk_labels_against_its_definition(size):
    logits = torch.randn(2, CLASSES, *size, generator=GENERATOR)
    expected = by_definition(logits, nearest(LABELS, *size))
    assert float(segmentation_loss([logits], LABELS)) == pytest.approx(expected, rel=1e-5)


def test_the_losses_of_several_maps_are_added():
    model = Net(maps=3).eval()
    images = torch.randn(2, 3, 32, 32, generator=GENERATOR)
    maps = ScoreMaps(model, "shrunk")(images)
    assert [tuple(m.shape[2:]) for m in maps] == [(8, 8), (4, 4), (2, 2)]
    expected = sum(by_definition(m.detach(), nearest(LABELS, *m.shape[2:])) for m in maps)
    assert segmentation_loss(maps, LABELS).item() == pytest.approx(expected, rel=1e-5)


def test_upsampled_logits_are_the_models_own_output():
    model = Net().eval()
    images = torch.randn(2, 3, 32, 32, generator=GENERATOR)
    (logits,) = ScoreMaps(model, "upsampled")(images)
    assert torch.equal(logits, model(images))
    ours = segmentation_loss([logits], LABELS)
    torch.testing.assert_close(ours, F.cross_entropy(logits, LABELS, ignore_index=255))


def test_an_auxiliary_head_is_not_left_untrained_in_silence():
    backbone = ResNet(depth=18, width=0.125)
    with pytest.raises(ValueError, match=r"auxiliary head .* Build the model with aux=False"):
        ScoreMaps(torchvision_deeplabv3(backbone, CLASSES, aux=True), "upsampled")
    ScoreMaps(DeepLabV3(backbone, CLASSES, channels=8), "upsampled")


def test_parts_of_a_batch_add_up_to_its_loss_though_void_is_uneven():
    logits = torch.randn(2, CLASSES, 32, 32, generator=GENERATOR)
    counts = PixelLoss().counts([logits], LABELS)
    parts = [PixelLoss().sums([logits[i : i + 1]], LABELS[i : i + 1]) for i in range(2)]
    whole = segmentation_loss([logits], LABELS)
    torch.testing.assert_close((sum(parts) / counts).sum(), whole)
    means = [segmentation_loss([logits[i : i + 1]], LABELS[i : i + 1]) for i in range(2)]
    assert abs(float(sum(means) / 2 - whole)) > 1e-3  # why means are not used


def test_void_teaches_nothing():
    logits = torch.randn(1, CLASSES, 8, 8, requires_grad=True)
    loss = segmentation_loss([logits], torch.full((1, 8, 8), 255))
    loss.backward()
    assert loss == 0 and not logits.grad.any()


def test_a_sum_does_not_overflow_in_half_precision():
    logits = torch.zeros(1, 2, 300, 300, dtype=torch.float16)  # 90000 log 2 > 65504 / 2
    labels = torch.zeros(1, 300, 300, dtype=torch.long)
    assert float(PixelLoss().sums([logits], labels)) == pytest.approx(
        90_000 * math.log(2), rel=1e-4
    )
