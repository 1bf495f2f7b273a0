"""The colours in which labels are drawn, and the way back from colours to labels."""

import numpy as np

from dlseg.checks import check_integer, check_rgb, described

_CITYSCAPES = """
128 64 128, 244 35 232, 70 70 70, 102 102 156, 190 153 153, 153 153 153, 250 170 30,
220 220 0, 107 142 35, 152 251 152, 70 130 180, 220 20 60, 255 0 0, 0 0 142,
0 0 70, 0 60 100, 0 80 100, 0 0 230, 119 11 32"""


def voc_palette(size: int = 256) -> np.ndarray:
    """Pascal VOC's label colours, by spreading the bits of the index over the three channels.

    Returns: uint8 array (size, 3), RGB; index 255 is void, (224, 224, 192).
    """
    index = np.arange(check_integer("size", size, 1, 256))
    colours = np.zeros((size, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype("u1")
    return colours


def _cityscapes_palette() -> np.ndarray:
    colours = np.zeros((256, 3), dtype=np.uint8)
    named = [[int(value) for value in colour.split()] for colour in _CITYSCAPES.split(",")]
    colours[: len(named)] = named
    return colours


# uint8 (256, 3), RGB, of Cityscapes' train ids 0 to 18 in their order; all others, void too, black.
CITYSCAPES_PALETTE = _cityscapes_palette()


def labels_from_colours(image: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The labels, uint8 (H, W), of a mask that was saved in colours.

    image: uint8 (H, W, 3) RGB; palette: uint8 (at most 256, 3). Where labels share a colour the
    highest is taken, so that Cityscapes' black becomes 255.
    Raises ValueError for an array of another kind or a colour that is not in the palette, as
    resizing or JPEG makes them.
    """
    check_rgb("image", image)
    check_colours(palette)
    labels, known = colours_found(image, palette)
    foreign = image[~known]
    if foreign.size:
        raise ValueError(
            f"{len(foreign)} pixels have colours that are not in the palette, the first "
            f"{tuple(foreign[0].tolist())}; take a mask neither resized nor saved as JPEG"
        )
    return labels


def colours_found(image: np.ndarray, palette: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The row of each colour in a palette, uint8 (H, W), and whether it is there, bools (H, W).

    Of equal rows the last. image: uint8 (H, W, 3); palette: uint8 (at most 256, 3).
    """
    codes, known = _codes(image), _codes(palette)
    order = np.argsort(known, kind="stable")
    last = np.searchsorted(known[order], codes, side="right") - 1  # of the equal ones
    rows = order[np.maximum(last, 0)]
    return rows.astype(np.uint8), known[rows] == codes


def check_colours(palette: np.ndarray) -> None:
    """ValueError unless palette is uint8 (1..256, 3)."""
    shape = getattr(palette, "shape", ())
    fits = len(shape) == 2 and 1 <= shape[0] <= 256 and shape[1] == 3
    if not fits or palette.dtype != np.uint8:
        raise ValueError(f"palette must be uint8 (256, 3), got {described(palette)}")


def _codes(colours: np.ndarray) -> np.ndarray:
    """One number for each colour (..., 3)."""
    return colours.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
