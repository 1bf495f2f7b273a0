"""A real photograph that every reader already has: it comes with matplotlib."""

import numpy as np
from matplotlib import cbook
from PIL import Image, ImageDraw

FACE = (96, 40, 416, 360)  # a square crop around head and cap, in pixels of the original
LABELS = ("background", "head", "cap and uniform")

# Traced by hand over the crop, x and y in its pixels. What is painted later covers what was before.
HEAD = """62,138 59,150 57,160 59,172 62,181 65,189 63,200 62,210 62,218 64,226 67,234 69,240
73,246 80,250 90,255 100,259 104,256 106,264 108,273 109,285 112,305 115,320 213,320 220,311
228,300 232,292 233,272 236,267 240,268 250,263 258,254 262,245 265,235 266,225 267,217 271,204
273,192 276,180 279,166 280,158 278,150 275,145 270,142 262,110 200,80 120,80 80,100"""
CAP = """124,-4 110,5 100,10 90,19 84,26 80,33 77,45 72,50 66,55 62,60 59,68 56,80 54,92 54,104
55,116 58,128 62,138 66,126 70,119 76,112 82,106 90,103 100,97 108,94 120,92 140,91 160,92
180,91 200,89 215,89 225,92 235,97 245,104 252,110 258,117 262,124 266,132 270,142 273,138
275,130 275,118 276,105 276,95 275,80 275,66 274,58 271,51 267,47 259,46 256,36 250,28 243,19
235,13 225,7 215,3 201,-4"""
LEFT_SIDE = """108,273 104,276 98,281 92,288 86,294 80,297 70,302 60,306 50,309 40,313 30,317
20,322 116,322 112,305 109,285"""
RIGHT_SIDE = """234,272 238,278 245,283 250,287 258,294 266,300 275,304 285,308 297,313 316,322
211,322 220,311 228,300 232,292"""


def photograph(size: int = 128) -> np.ndarray:
    """Rear Admiral Grace Hopper, in grey (official portrait of the U.S. Navy, public domain).

    size: side of the square result, pixels; at most 320, the side of the crop.
    Returns: float64 array (size, size) in [0, 1].
    Raises: ValueError if the size is not between 1 and 320.
    """
    return np.asarray(_face("L", size), dtype=float) / 255


def colour_photograph(size: int = 128) -> np.ndarray:
    """The same photograph in colour.

    size: as for `photograph`.
    Returns: uint8 array (size, size, 3), RGB.
    Raises: ValueError if the size is not between 1 and 320.
    """
    return np.array(_face("RGB", size))


def traced_labels(size: int = 128) -> np.ndarray:
    """Which of `LABELS` every pixel of the photograph has, by an outline drawn by hand.

    size: as for `photograph`.
    Returns: uint8 array (size, size): 0 background, 1 head with hair and neck, 2 cap and uniform.
    Raises: ValueError if the size is not between 1 and 320.
    """
    _check(size)
    fine = 8  # Pillow paints the outline too, half a pixel too much: draw it small
    paper = Image.new("L", (fine * size, fine * size))
    scale = fine * size / (FACE[2] - FACE[0])
    for outline, label in ((HEAD, 1), (CAP, 2), (LEFT_SIDE, 2), (RIGHT_SIDE, 2)):
        corners = [tuple(map(float, corner.split(","))) for corner in outline.split()]
        placed = [(x * scale - 0.5, y * scale - 0.5) for x, y in corners]  # to pixel centres
        ImageDraw.Draw(paper).polygon(placed, fill=label)
    return np.asarray(paper)[fine // 2 :: fine, fine // 2 :: fine].copy()


def _face(mode: str, size: int) -> Image.Image:
    _check(size)
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        face = Image.open(file).convert(mode).crop(FACE)
    return face.resize((size, size), Image.Resampling.BOX)


def _check(size: int):
    if not 1 <= size <= FACE[2] - FACE[0]:
        raise ValueError(f"size must be between 1 and {FACE[2] - FACE[0]} pixels, got {size}")
