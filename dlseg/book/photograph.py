"""A real photograph that every reader already has: it comes with matplotlib."""

import numpy as np
from matplotlib import cbook
from PIL import Image

FACE = (96, 40, 416, 360)  # a square crop around head and cap, in pixels of the original


def photograph(size: int = 128) -> np.ndarray:
    """Rear Admiral Grace Hopper, in grey (official portrait of the U.S. Navy, public domain).

    size: side of the square result, pixels; at most 320, the side of the crop.
    Returns: float64 array (size, size) in [0, 1].
    Raises: ValueError if the size is not between 1 and 320.
    """
    if not 1 <= size <= FACE[2] - FACE[0]:
        raise ValueError(f"size must be between 1 and {FACE[2] - FACE[0]} pixels, got {size}")
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        face = Image.open(file).convert("L").crop(FACE)
    return np.asarray(face.resize((size, size), Image.Resampling.BOX), dtype=float) / 255
