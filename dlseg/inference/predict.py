"""Class probabilities of whole images, averaged over scales and mirror images.

DeepLab v3, tables 4 and 6, on Pascal VOC: the scales 0.5, 0.75, ... 1.75 and their mirror images.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlseg.checks import check_scales, described
from dlseg.doors import check_fit, logits_of
from dlseg.inspect import evaluating
from dlseg.layers import upsample


def probabilities(
    model: nn.Module, images: Tensor, scales: Sequence[float] = (1.0,), flip: bool = False
) -> Tensor:
    """Probability of each class at each pixel, the mean over all scales and both mirrorings.

    model: images (B, 3, H, W) to logits (B, C, H, W), in any mode, which it keeps.
    images: of any size, on the model's device; resized bilinearly, align_corners=False, to each
    of the scales.
    flip: average in the prediction for the image mirrored left to right, mirrored back.
    Returns: (B, C, H, W), sums over the classes 1, without gradient. The logits are brought back
    to the size of the image, then made probabilities, then averaged: with one scale of 1 it is
    the softmax of the model's output.
    Raises ValueError for no scale, a scale that is not positive, images of another shape, number
    format or device than the model's, and where the model returns no logits or no numbers.
    Source: DeepLab v3, section 4, tables 4 and 6.
    """
    check_images(images)
    check_fit(images, model)
    check_scales(scales)
    total = 0
    # Not inference_mode: what a model keeps from its tensors (tables) could not be trained with.
    with evaluating(model), torch.no_grad():
        for scale in scales:
            scaled = _resized(images, [max(1, round(scale * side)) for side in images.shape[2:]])
            for mirrored in (False, True) if flip else (False,):
                logits = _logits(model, scaled, mirrored)  # (B, C, scale H, scale W)
                total = total + _resized(logits, images.shape[2:]).softmax(1)  # (B, C, H, W)
    return total / (len(scales) * (1 + flip))


def check_images(images: Tensor) -> None:
    """ValueError unless the images are a float tensor of shape (B, 3, H, W) with pixels."""
    shape = tuple(images.shape) if isinstance(images, Tensor) else ()
    if len(shape) != 4 or shape[1] != 3 or 0 in shape or not images.is_floating_point():
        raise ValueError(
            "images must be floats of shape (B, 3, H, W), normalised as for training, "
            f"got {described(images)}"
        )


def _logits(model: nn.Module, images: Tensor, mirrored: bool) -> Tensor:
    logits = logits_of(model(images.flip(3) if mirrored else images))
    return logits.flip(3) if mirrored else logits


def _resized(x: Tensor, size: Sequence[int]) -> Tensor:
    return x if x.shape[2:] == torch.Size(size) else upsample(x, size)
