"""From a picture to its labels in bounded memory: what grows with the picture has a byte a pixel.

A tile is normalised, predicted and added to the few rows of probabilities that are still open; rows
that no later tile reaches become labels, and their probabilities are forgotten.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from dlseg.checks import check_rgb
from dlseg.data import normalise
from dlseg.inference.predict import check_scales, probabilities
from dlseg.inference.tiles import tile_weights

OPEN = 128 << 20  # bytes of probabilities held at once
ROWS = 32  # that become labels at once: argmax makes a copy
MOST = 256  # labels that a byte can tell apart


def label_image(
    model: nn.Module,
    image,
    tile: int | None = None,
    overlap: int | None = None,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
) -> np.ndarray:
    """The most probable label of each pixel, uint8 (H, W), as `tiled_probabilities` has it.

    model: normalised images (1, 3, H, W) to logits (1, C, H, W), on any device, in any mode, which
    it keeps; C is 256 at most.
    image: uint8 (H, W, 3), RGB: an array, or a picture that gives windows of it, `dlseg.data`'s
    `Decoded`. tile, overlap: pixels, see `tiled_probabilities`; None: the whole picture at once,
    and a quarter of the tile. scales, flip: as for `probabilities`.
    In tiles it needs, beside image, labels and what the network takes for one tile, 128 MB, or for
    a large tile of many classes C x tile x tile x 4 bytes; a picture too wide for them is done in
    stripes, and the tiles at their edges twice.
    Raises ValueError unless 0 <= overlap < tile, for bad scales, another image and more classes.
    """
    check_scales(scales)
    check_rgb("image", image)  # a `Decoded` has shape and number format too
    height, width = image.shape[:2]
    tile = max(height, width) if tile is None else tile
    overlap = tile // 4 if overlap is None else overlap
    rows, columns = tile_weights(height, tile, overlap), tile_weights(width, tile, overlap)
    device = next(chain(model.parameters(), model.buffers()), torch.empty(0)).device

    def predict(top: int, down: Tensor, left: int, across: Tensor) -> Tensor:
        window = image[top : top + len(down), left : left + len(across)]
        part = probabilities(model, normalise(window)[None].to(device), scales, flip)[0]
        if len(part) > MOST:
            raise ValueError(f"labels go up to {MOST - 1}, and the network has {len(part)} classes")
        return part * torch.outer(down, across).to(part)  # (C, tile, tile)

    labels = np.empty((height, width), np.uint8)
    left = 0
    while left < width:
        left = _label_stripe(labels, left, rows, columns, predict)
    return labels


def _label_stripe(labels: np.ndarray, left: int, rows, columns, predict) -> int:
    """Write the labels from column `left` as far as the memory allows; returns where it ends."""
    height, width = labels.shape
    ends = [top for top, _ in rows[1:]] + [height]  # rows that no later tile reaches
    right, total = width, None
    for (top, down), end in zip(rows, ends, strict=True):
        for start, across in columns:
            if not left - len(across) < start < right:
                continue
            part = predict(top, down, start, across)
            if total is None:
                fits = OPEN // (part[:, :, 0].numel() * part.element_size())
                right = min(width, left + max(len(across), fits))
                total = part.new_zeros(*part.shape[:2], right - left)
            first, last = max(start, left), min(start + len(across), right)
            total[:, :, first - left : last - left] += part[:, :, first - start : last - start]
        done = end - top
        best = [band.argmax(0).byte() for band in total[:, :done].split(ROWS, 1)]
        labels[top:end, left:right] = torch.cat(best).cpu().numpy()
        still_open = total[:, done:].clone()
        total[:, : still_open.shape[1]] = still_open
        total[:, still_open.shape[1] :] = 0
    return right
