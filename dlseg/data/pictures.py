"""Pictures as people see them: upright, RGB of 8 bits, on white where they are transparent."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dlseg.checks import check_number
from dlseg.data.decode import MAX_PIXELS, OTHER_BYTE, Raw, decoded
from dlseg.data.faults import DataError, Fault, place_of

_ALPHA = ("LA", "PA", "RGBA", "RGBa")
_PLAIN = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr")
_BAND = 1 << 20  # pixels
_ELSEWHERE = "save it as PNG of 8 bits with a program that opens it"


class Decoded:
    """A decoded picture that gives its pixels a window at a time.

    In memory it takes 1 byte a pixel, with colours 4, and no copy is made of the whole.
    shape: (H, W, 3). `picture[top:bottom, left:right]`: uint8 (h, w, 3), RGB; `numpy.array` takes
    all of it.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, image: Image.Image, orientation: int = 1):
        self.image, self.orientation = image, orientation
        self.shape = (*_sides(image, orientation), 3)

    def __getitem__(self, window: slice | tuple[slice, slice]) -> np.ndarray:
        rows, columns = window if isinstance(window, tuple) else (window, slice(None))
        ends = [
            part.indices(side)[:2] for part, side in zip((rows, columns), self.shape, strict=False)
        ]
        part = _cut(self.image, _box(self.image.size, self.orientation, *ends))
        return upright(np.asarray(_rgb(part)), self.orientation)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        whole = np.empty(self.shape, np.uint8)
        for rows in row_bands(*self.shape[:2]):
            whole[rows] = self[rows]
        return whole if dtype is None else whole.astype(dtype)


def read_image(
    path: str | Path,
    max_pixels: float = MAX_PIXELS,
    frame: int | None = None,
    white: float | None = None,
) -> np.ndarray:
    """The picture in a JPEG, PNG, TIFF, GIF, WebP or BMP file as uint8 array (H, W, 3), RGB.

    It is turned upright as its EXIF orientation says, and laid on white where it is transparent;
    a colour profile is not applied. The header decides, before anything is decoded.
    max_pixels: more are refused; of progressive JPEG, WebP, clips and turned TIFF, whose decoders
    need more memory, more than a third. frame: of a file of several, from 0. white: the value that
    becomes 255, in a file of more than 8 bits per channel.
    Raises DataError where there is none, it is damaged or has too many pixels, several frames and
    no `frame` is given, or more than 8 bits per channel and no `white`; ValueError for a white that
    is no number above 0.
    """
    path, frames = place_of(path), None if frame is None else [frame]
    if white is not None:
        white = check_number("white", white, 1e-30)
        if (scaled := _scaled(path, frames, max_pixels, white)) is not None:
            return scaled
    return np.array(next(read_pictures(path, frames, max_pixels)))


def read_pictures(
    path: Path, frames: Sequence[int] | None = None, max_pixels: float = MAX_PIXELS
) -> Iterator[Decoded]:
    """Frames of a file, each good until the next is asked for; None: its only picture.

    max_pixels, and what else is refused by DataError: as for `read_image`.
    """
    for raw in decoded(path, frames, max_pixels):
        if _is_deep(raw):
            raise DataError(_too_deep(path, raw))
        if raw.image.mode not in _ALPHA + _PLAIN:
            problem = f"has colours of a kind that is not read (Pillow's mode {raw.image.mode})"
            raise DataError(Fault(path, problem, _ELSEWHERE))
        yield Decoded(raw.image, raw.orientation)


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """A view of (H, W, ...), turned and mirrored as EXIF's orientation, 1 to 8, says."""
    rows, columns = _mirrored(orientation)
    array = array[:: -1 if rows else 1, :: -1 if columns else 1]
    return array.swapaxes(0, 1) if orientation > 4 else array


def whole_array(raw: Raw) -> np.ndarray:
    """All values of a picture in its own mode, upright; read in bands, since Pillow would copy."""
    width, height = raw.image.size
    bands = row_bands(height, width)
    parts = (np.asarray(_cut(raw.image, (0, b.start, width, b.stop))) for b in bands)
    first = next(parts)
    whole = np.empty((height, *first.shape[1:]), first.dtype)
    for rows, part in zip(row_bands(height, width), (first, *parts), strict=True):
        whole[rows] = part
    return upright(whole, raw.orientation)


def row_bands(height: int, width: int) -> Iterator[slice]:
    """Slices of rows from top to bottom, each of about a megapixel, at least a row."""
    rows = max(1, _BAND // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def _sides(image: Image.Image, orientation: int) -> tuple[int, int]:
    width, height = image.size
    return (width, height) if orientation > 4 else (height, width)


def _mirrored(orientation: int) -> tuple[bool, bool]:
    """Whether the rows, and the columns, of the file run backwards; both before it is turned."""
    return orientation in (3, 4, 6, 7), orientation in (2, 3, 7, 8)


def _box(size: tuple[int, int], orientation: int, rows, columns) -> tuple[int, int, int, int]:
    """Pillow's box, in the file's own pixels, of a window in those of the upright picture."""
    (top, bottom), (left, right) = (columns, rows) if orientation > 4 else (rows, columns)
    upside_down, mirrored = _mirrored(orientation)
    width, height = size
    if upside_down:
        top, bottom = height - bottom, height - top
    if mirrored:
        left, right = width - right, width - left
    return left, top, right, bottom


def _cut(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """A part of a picture, of any size: Pillow's own `crop` holds to its limit of pixels."""
    return image._new(image.im.crop(box))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode not in _ALPHA and "transparency" not in image.info:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _is_deep(raw: Raw) -> bool:
    return raw.bits > 8 or raw.image.mode.startswith(("I", "F"))


def _too_deep(path: Path, raw: Raw) -> Fault:
    """Which value is white only the owner knows: cameras write 10 or 12 bits into 16."""
    if raw.image.mode == "F":
        problem, white = "holds floating-point numbers", "1.0"
    else:
        problem, white = f"has {raw.bits} bits per channel", f"{2 ** min(raw.bits, 16) - 1}"
    if raw.image.mode.startswith("RGB") and not _has_other_byte(raw):
        return Fault(path, problem, _ELSEWHERE)
    problem += ", and does not say which value is white"
    remedy = f"write_image(NEW, read_image(OLD, white={white})) of dlseg.data makes 8 bits of it"
    return Fault(path, problem, f"{remedy}, with the value that you name")


def _has_other_byte(raw: Raw) -> bool:
    mode, _, kind = raw.layout.partition(";")
    return raw.bits == 16 and mode in ("RGB", "RGBA", "RGBX") and kind in OTHER_BYTE


def _scaled(
    path: Path, frames: Sequence[int] | None, max_pixels: float, white: float
) -> np.ndarray | None:
    """RGB of 8 bits, in which `white` became 255; None for a file that has no more."""
    raw = next(decoded(path, frames, max_pixels))
    if not _is_deep(raw):
        return None
    values = whole_array(raw)
    if values.ndim == 3 and _has_other_byte(raw):
        low = next(decoded(path, frames, max_pixels, other_byte=True))
        values = values * np.uint16(256) + whole_array(low)
    elif values.ndim == 3:
        raise DataError(_too_deep(path, raw))
    if values.ndim == 3 and values.shape[2] == 4:
        cover = values[..., 3:] / 65535
        values = values[..., :3] * cover + white * (1 - cover)
    with np.errstate(over="ignore", invalid="ignore"):  # of floats that are no numbers, or large
        values = np.clip(np.nan_to_num(values * (255 / white)) + 0.5, 0, 255).astype(np.uint8)
    return np.array(Image.fromarray(values).convert("RGB"))
