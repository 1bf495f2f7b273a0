"""Unary energies from probabilities and from labels."""

import math

import pytest
import torch

from dlseg.crf import unary_from_labels, unary_from_probabilities


def test_minus_log_p_kept_finite():
    p = torch.tensor([[0.25, 1.0, 1e-9], [0.75, 0.0, 1 - 1e-9]])[:, None]  # (2, 1, 3)
    result = unary_from_probabilities(p)
    expected = torch.tensor([[math.log(4), 0, 5 * math.log(10)], [math.log(4 / 3), 11.512925, 0]])
    torch.testing.assert_close(result[:, 0], expected)
    assert unary_from_probabilities(p.expand(5, 2, 1, 3), clip=0.5).shape == (5, 2, 1, 3)
    assert unary_from_probabilities(p, clip=0.5).max().item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_softmax_of_a_network_is_accepted_in_any_precision(dtype):
    logits = 5 * torch.randn(1, 21, 30, 40, generator=torch.Generator().manual_seed(0))
    assert unary_from_probabilities(logits.to(dtype).softmax(1)).isfinite().all()


@pytest.mark.parametrize(
    ("probabilities", "clip", "message"),
    [
        (torch.rand(3, 4), 1e-5, r"floats \(..., C, H, W\), got torch.float32 \(3, 4\)"),
        (torch.ones(1, 3, 4, dtype=torch.uint8), 1e-5, "got torch.uint8"),
        (torch.full((2, 3, 4), 3.0), 1e-5, "logits need a softmax first"),
        (torch.full((2, 3, 4), -0.5), 1e-5, "at least 0 and sum to 1"),
        (torch.tensor([-0.1, 1.1]).view(2, 1, 1), 1e-5, "at least 0 .* one of -0.1 and a sum that"),
        (torch.tensor([0.5, 0.48]).view(2, 1, 1), 1e-5, "sum that is off by 0.02"),
        (torch.full((2, 3, 4), math.nan), 1e-5, "must be finite, got 24 values .* 24 of them NaN"),
        (torch.rand(3, 4, 2).softmax(2), 1e-5, r"sum to 1 over axis -3, got .* \(3, 4, 2\)"),
        (torch.full((2, 3, 4), 0.5), 0, "clip must lie between 0 and 1, got 0"),
    ],
)
def test_what_is_no_probability(probabilities, clip, message):
    with pytest.raises(ValueError, match=message):
        unary_from_probabilities(probabilities, clip)


def test_labels_half_trusted():
    labels = torch.tensor([[0, 2], [255, 1]], dtype=torch.uint8)
    p = (-unary_from_labels(labels, 3, confidence=0.6)).exp()  # (3, 2, 2)
    expected = torch.tensor([[0.6, 0.2, 0.2], [0.2, 0.2, 0.6], [1 / 3] * 3, [0.2, 0.6, 0.2]])
    torch.testing.assert_close(p.flatten(1).T, expected)
    assert unary_from_labels(labels.expand(4, 2, 2), 3).shape == (4, 3, 2, 2)
    torch.testing.assert_close((-unary_from_labels(labels, 3)).exp().sum(0), torch.ones(2, 2))


def test_the_unsure_label_may_be_a_class_or_none():
    labels = torch.tensor([[0, 1]])
    p = (-unary_from_labels(labels, 2, 0.9, ignore_index=0)).exp()
    torch.testing.assert_close(p[:, 0], torch.tensor([[0.5, 0.1], [0.5, 0.9]]))
    p = (-unary_from_labels(labels, 2, 0.9, ignore_index=None)).exp()
    torch.testing.assert_close(p[:, 0], torch.tensor([[0.9, 0.1], [0.1, 0.9]]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.zeros(3, 3)}, "labels must be integers"),
        ({"labels": torch.zeros(3, dtype=torch.long)}, "labels must be integers"),
        ({"num_classes": 1}, "num_classes must be an integer >= 2"),
        ({"confidence": 1.0}, "below 1 .which nothing can change., got 1.0"),
        ({"confidence": 0.25}, "above 1/4 .which says nothing."),
        (
            {"labels": torch.tensor([[0, 7], [9, 255]])},
            "0 to 3, or 255 .* void, got 7, 9",
        ),
        ({"labels": torch.tensor([[0, -1]])}, "got -1"),
        ({"ignore_index": None}, "0 to 3, got 255"),
    ],
)
def test_what_is_no_label(change, message):
    arguments = {"labels": torch.tensor([[0, 255]]), "num_classes": 4, "confidence": 0.7, **change}
    with pytest.raises(ValueError, match=message):
        unary_from_labels(**arguments)
