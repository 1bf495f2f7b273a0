"""The unary energy U = -log P from what people have: probabilities, or labels they half trust."""

import math

import torch
from torch import Tensor

from dlseg.checks import check_classes, check_ignore, check_number, described
from dlseg.doors import check_finite, check_labels


def unary_from_probabilities(probabilities: Tensor, clip: float = 1e-5) -> Tensor:
    """-log P, with P kept above `clip` so that no label is ruled out for ever.

    probabilities: (..., C, H, W), the softmax of a network, sums of 1 over C.
    clip: as in pydensecrf's `unary_from_softmax`. Returns: (..., C, H, W), values 0..-log(clip).
    Raises: ValueError for other shapes, integers, values outside 0..1, or sums that are not 1.
    """
    p = probabilities
    if not isinstance(p, Tensor) or p.dim() < 3 or not p.is_floating_point():
        raise ValueError(f"probabilities must be floats (..., C, H, W), got {described(p)}")
    check_number("clip", clip, 0, 1)
    if not 0 < clip < 1:
        raise ValueError(f"clip must lie between 0 and 1, got {clip}")
    check_probabilities(p)
    return -p.clamp(clip, 1).log()


def check_probabilities(p: Tensor) -> None:
    """ValueError unless p (..., C, H, W) is at least 0 and adds up to 1 over the labels."""
    if not p.numel():
        return
    check_finite("probabilities", p)
    low, off = p.min().item(), (p.sum(-3) - 1).abs().max().item()
    if not (low >= 0 and off <= 1e-2):  # half precision adds up within 0.005
        raise ValueError(
            f"probabilities must be at least 0 and sum to 1 over axis -3, got {described(p)}, one "
            f"of {low:g} and a sum that is off by {off:.3g}; logits need a softmax first, and "
            "DenseCRF takes them as inputs='logits'"
        )


def unary_from_labels(
    labels: Tensor, num_classes: int, confidence: float = 0.7, ignore_index: int | None = 255
) -> Tensor:
    """-log P where P gives the label of each pixel `confidence`, and the others equal shares.

    labels: (..., H, W) integers 0..num_classes-1, or `ignore_index`, where P = 1 / num_classes.
    confidence: above 1 / num_classes and below 1 (pydensecrf's `gt_prob`).
    ignore_index: None if there is no such label; it may be one of the classes (pydensecrf's
    `zero_unsure` is ignore_index = 0).
    Returns: (..., num_classes, H, W) float32. Raises: ValueError for anything else.
    """
    if not isinstance(labels, Tensor) or labels.dim() < 2:
        raise ValueError(f"labels must be integers (..., H, W), got {described(labels)}")
    num_classes = check_classes("num_classes", num_classes, 2)
    if ignore_index is not None:
        ignore_index = check_ignore("ignore_index", ignore_index)
    check_number("confidence", confidence, 0, 1)
    check_labels("labels", labels, num_classes, ignore_index)
    if not 1 / num_classes < confidence < 1:
        raise ValueError(
            f"confidence must lie above 1/{num_classes} (which says nothing) and below 1 (which "
            f"nothing can change), got {confidence}"
        )
    labels = labels.long()
    unsure = labels == ignore_index if ignore_index is not None else labels < labels
    classes = torch.arange(num_classes, device=labels.device)[:, None, None]
    other = -math.log((1 - confidence) / (num_classes - 1))
    unary = torch.where(labels.unsqueeze(-3) == classes, -math.log(confidence), other)
    return torch.where(unsure.unsqueeze(-3), math.log(num_classes), unary)  # (..., C, H, W)
