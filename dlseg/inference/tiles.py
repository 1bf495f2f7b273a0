"""Images too large for the memory, predicted in overlapping tiles.

Near the edge of a tile the network sees padding where the image goes on, so that its prediction is
worst there. Two neighbours share `overlap` pixels: each leaves the outer quarter of them to the
other, and in the middle half the weight passes from one to the other in a straight line.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlseg.checks import check_integer
from dlseg.inference.predict import check_images, check_scales, probabilities


def tiled_probabilities(
    model: nn.Module,
    images: Tensor,
    tile: int,
    overlap: int,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
) -> Tensor:
    """`probabilities`, computed in square tiles; the network never sees more than one.

    tile: side of a tile in pixels of the image; a shorter side of the image is taken whole.
    overlap: pixels that neighbours share, less than the tile. With multiples of the network's
    output stride for both, all tiles but the last of a row and of a column lie on the grid of the
    whole image.
    Returns: (B, C, H, W), sums over the classes 1.
    A network of which no output depends on a pixel more than r away predicts what it does for the
    whole image everywhere if overlap >= 4 r, and outside the overlaps if overlap >= r. One with
    image pooling, as DeepLab v3, pools each tile by itself, and does so nowhere.
    Raises ValueError unless 0 <= overlap < tile, and as `probabilities`.
    """
    check_images(images)
    check_scales(scales)
    check_tile(tile, overlap)
    tile, overlap = int(tile), int(overlap)  # NumPy's would overflow
    rows, columns = (tile_weights(side, tile, overlap) for side in images.shape[2:])
    total = None
    for top, down in rows:
        for left, across in columns:
            window = (..., slice(top, top + len(down)), slice(left, left + len(across)))
            part = probabilities(model, images[window], scales, flip)  # (B, C, tile, tile)
            if total is None:
                total = part.new_zeros(*part.shape[:2], *images.shape[2:])  # (B, C, H, W)
            total[window] += part * torch.outer(down, across).to(part)
    return total


def tile_weights(side: int, tile: int, overlap: int) -> list[tuple[int, Tensor]]:
    """Where the tiles along one axis begin, and how much each counts at each of its pixels.

    side, tile, overlap: pixels; the last tile ends with the image, and so may overlap by more.
    Returns: (first pixel, float64 weights (length of the tile,)) of each tile. At every pixel of
    the axis the weights of all tiles sum to 1.
    Raises ValueError unless 0 <= overlap < tile and side >= 1.
    """
    check_integer("side", side, 1)
    check_tile(tile, overlap)
    side, tile, overlap = int(side), int(tile), int(overlap)
    length = min(tile, side)
    steps = -(-(side - length) // (tile - overlap))  # rounded up
    starts = [min(step * (tile - overlap), side - length) for step in range(steps + 1)]
    raw = [_window(start, length, side, overlap) for start in starts]
    total = torch.zeros(side, dtype=torch.float64)
    for start, weights in zip(starts, raw, strict=True):
        total[start : start + length] += weights
    return [
        (start, weights / total[start : start + length])
        for start, weights in zip(starts, raw, strict=True)
    ]


def check_tile(tile: int, overlap: int) -> None:
    """ValueError unless 0 <= overlap < tile, both whole numbers."""
    check_integer("tile", tile, 1)
    check_integer("overlap", overlap, 0)
    if overlap >= tile:
        raise ValueError(
            f"overlap must be smaller than the tile, got overlap={overlap} and tile={tile}"
        )


def _window(start: int, length: int, side: int, overlap: int) -> Tensor:
    """Weights of one tile before they are made to sum to 1: a ramp at each end inside the image."""
    unused = overlap // 4
    # Pixel centres, so that the ramps of two neighbours are each other's mirror image.
    inside = torch.arange(length, dtype=torch.float64) + 0.5 - unused
    ramp = (inside / max(overlap - 2 * unused, 1)).clamp(0, 1)
    flat = torch.ones(length, dtype=torch.float64)
    before = ramp if start > 0 and overlap else flat
    after = ramp.flip(0) if start + length < side and overlap else flat
    return torch.minimum(before, after)
