"""Pictures as pixels: sharp, small PNG files that are the same bytes at every run."""

import base64
import functools
import io
import re
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

DENSITY = 1.5  # pixels of a committed picture per CSS pixel: sharp on dense screens
COLOURS = (256, 128, 64)  # of a palette: as many as keep the file below `LARGEST`
FLAT, AREA = 32, 250  # so many colours stay as they are that fill so many pixels
NONE = Image.Dither.NONE
LARGEST = 72_000  # bytes: as base64, one line of a notebook below 100 kB
FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")  # matplotlib's own, the same on every machine
EMBEDDED = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")


def render(markup: str) -> bytes:
    """A drawing as a compact PNG file, `DENSITY` pixels per pixel of the drawing.

    Raises: ImportError with the line that installs the renderer; ValueError if it is no SVG.
    """
    try:
        import resvg_py
    except ImportError as error:
        raise ImportError(
            "resvg_py is not installed, which turns drawings into pixels for the book; "
            "run: pip install -c constraints.txt -e '.[test]'"
        ) from error
    folder = Path(matplotlib.get_data_path(), "fonts/ttf")
    data = resvg_py.svg_to_bytes(
        svg_string=markup,
        zoom=DENSITY,
        skip_system_fonts=True,
        font_files=[str(folder / name) for name in FONTS],
        font_family="DejaVu Sans",
        sans_serif_family="DejaVu Sans",
    )
    return compact(data)


def compact(data: bytes) -> bytes:
    """A PNG file without transparency, with the palette that fits it best where that is smaller.

    A picture of at most 256 colours keeps them exactly. In one of more colours, flat areas and
    lines stay, and near shades become one.
    """
    image = Image.open(io.BytesIO(data)).convert("RGB")
    best = _encoded(image)
    for colours in COLOURS:
        best = min(best, _encoded(_quantised(image, colours)), key=len)
        if len(best) <= LARGEST:
            break
    return best


def _quantised(image: Image.Image, colours: int) -> Image.Image:
    """The image in so many colours: those of flat areas, as of a key, exactly, others by fit."""
    values = np.asarray(image)
    corner = values[:-1, :-1]
    even = (corner == values[1:, :-1]).all(2) & (corner == values[:-1, 1:]).all(2)
    shades, counts = np.unique(corner[even], axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:FLAT]
    flat = shades[order][counts[order] >= AREA].ravel().tolist()
    fitted = image.quantize(
        colours - len(flat) // 3, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=NONE
    )
    palette = Image.new("P", (1, 1))
    palette.putpalette(flat + fitted.getpalette())
    return image.quantize(palette=palette, dither=NONE)


def tidy(markup: str) -> str:
    """The same drawing with the images inside it compressed as well as can be without loss."""
    return EMBEDDED.sub(lambda found: f"data:image/png;base64,{_smaller(found[1])}", markup)


@functools.lru_cache(maxsize=256)
def _smaller(words: str) -> str:
    image = Image.open(io.BytesIO(base64.b64decode(words)))
    if image.mode == "RGB" and image.getcolors(256):
        image = image.quantize(256, dither=NONE)
    return min(words, base64.b64encode(_encoded(image)).decode(), key=len)


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray:
    """The pixels of a PNG file. Returns: uint8 array (H, W, 3).

    Raises: ValueError if the file cannot be read.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"it is no PNG file that can be read: {error}") from error
