"""Labels of a picture after the network and the fully connected CRF."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import nn

from dlseg.checks import check_rgb
from dlseg.crf import DenseCRF, unary_from_probabilities
from dlseg.data import normalise
from dlseg.inference.predict import probabilities
from dlseg.inference.tiles import tiled_probabilities


def refined_labels(
    model: nn.Module,
    image: np.ndarray,
    crf: DenseCRF,
    tile: int | None = None,
    overlap: int | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
) -> np.ndarray:
    """The label of each pixel, uint8 (H, W), that is most probable after the CRF.

    model, tile, overlap, scales, flip: as for `label_image`. crf: one that takes logits.
    image: uint8 (H, W, 3), RGB, an array or `Decoded`. Only the network sees tiles: the CRF joins
    all pixels of a picture, and takes 0.6 to 1.2 GB for each megapixel with 21 classes.
    Raises ValueError as `label_image`, and for fewer than 2 classes or more than 256.
    Source: DeepLab v1, section 4.2.
    """
    check_rgb("image", image)
    image = np.asarray(image)  # the CRF looks at all of it
    device = next(chain(model.parameters(), model.buffers()), torch.empty(0)).device
    x = normalise(image)[None].to(device)  # (1, 3, H, W)
    if tile is None:
        p = probabilities(model, x, scales, flip)  # (1, C, H, W)
    else:
        overlap = tile // 4 if overlap is None else overlap
        p = tiled_probabilities(model, x, tile, overlap, scales, flip)  # (1, C, H, W)
    if not 2 <= p.shape[1] <= 256:
        raise ValueError(f"a CRF needs 2 to 256 classes, the network has {p.shape[1]}")
    pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].to(device)
    with torch.inference_mode():
        q = crf.to(device)(-unary_from_probabilities(p), pixels)  # (1, C, H, W)
    return q[0].argmax(0).byte().cpu().numpy()
