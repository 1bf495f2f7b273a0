"""Decode the pictures of a file, after a look at its header: too large, too deep, or damaged?

Pillow's own limit of pixels is one number for the whole process, so that its `Image.open` is not
used here: the decoders are called directly, and the limit is ours.
"""

import math
import re
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ImageFile import ImageFile

from dlseg.data.faults import DataError, Fault, place_of
from dlseg.data.formats import (
    bits_per_channel,
    damage,
    format_of,
    tiff_tags,
    webp_size,
    without_texts,
)
from dlseg.data.quiet import QUIET

MAX_PIXELS = 250_000_000
ORIENTATION = 274  # the tag of EXIF and TIFF
# Decoders that hold about three times what a decoded picture takes: 4 bytes for a pixel in colours.
_HUNGRY = 3
# Pillow reads one byte of each two of 16-bit colours: the first, or with the other name the second.
OTHER_BYTE = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
_DECODERS = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}
_AGAIN = "unpack or copy the file again"
_ELSEWHERE = "save it as PNG of 8 bits with a program that opens it"


class Raw(NamedTuple):
    """A decoded picture in its own mode, and what its header says about it.

    orientation: of EXIF, still to apply. bits: per channel. layout: Pillow's name of the file's.
    """

    image: ImageFile
    name: str
    orientation: int
    bits: int
    layout: str


def frame_numbers(path: Path) -> list[int]:
    """The numbers of the pictures in a file: [0], or one for each frame of a clip or full page.

    Nothing is decoded. Pages of a TIFF that hold another one smaller, or its mask, do not count.
    Raises DataError where the file cannot be read.
    """
    with open_file(path) as file:
        name = format_of(path, file)
        with _explained(path, name, file):
            return _numbers(_opened(path, name, file, math.inf), name)


def decoded(
    path: Path,
    frames: Sequence[int] | None = None,
    max_pixels: float = MAX_PIXELS,
    other_byte: bool = False,
) -> Iterator[Raw]:
    """Frames of a file, each good until the next is asked for; None: its only picture.

    max_pixels: as for `read_image`. other_byte: of colours of 16 bits, of which Pillow reads one
    byte, the other one.
    Raises DataError where the file cannot be read, has more pixels, or several frames for None.
    """
    with open_file(path) as file:
        name = format_of(path, file)
        # Decoders do not look at the checksums of a PNG.
        if name == "PNG" and (found := damage(name, file)):
            raise DataError(Fault(path, f"is damaged: {found}", _AGAIN))
        with _explained(path, name, file):
            bits = bits_per_channel(name, file)
            image = _opened(path, name, file, max_pixels)
            if frames is None:
                frames = _only(path, _numbers(image, name))
        for frame in frames:
            with _explained(path, name, file):
                if frame != image.tell():
                    image.seek(frame)
                    _check_size(path, name, image.size, _hungry(image, name), max_pixels)
                layout = _layout(image)
                if other_byte:
                    _swap(image, layout)
                _load(image, name)
                # A TIFF Pillow has turned. In a PNG EXIF may come last: to ask before would load.
                orientation = 1 if name == "TIFF" else _orientation(image)
            yield Raw(image, name, orientation, bits, layout)


def _numbers(image: ImageFile, name: str) -> list[int]:
    numbers = range(getattr(image, "n_frames", 1))
    if name != "TIFF" or len(numbers) == 1:
        return list(numbers)
    full = []
    for number in numbers:
        image.seek(number)
        full += [] if image.tag_v2.get(254, 0) & 5 else [number]  # bits: a smaller copy, a mask
    image.seek(0)
    return full or [0]


def _only(path: Path, numbers: list[int]) -> list[int]:
    if len(numbers) == 1:
        return numbers
    problem = f"holds {len(numbers)} pictures, frames of a clip or pages"
    remedy = "write_image(NEW, read_image(OLD, frame=0)) of dlseg.data takes the first out of it"
    raise DataError(Fault(path, problem, remedy))


def open_file(path: Path) -> BinaryIO:
    """The file, to read bytes. DataError, with the cause and its remedy, where that cannot be."""
    path = place_of(path)
    try:
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError) as error:  # a file is no folder on the way
        others = sorted(p.name for p in path.parent.glob("*") if p.stem == path.stem)
        remedy = f"name {', or '.join(others[:3])}, which is there" if others else "look for it"
        raise DataError(Fault(path, "there is no such file", remedy)) from error
    except IsADirectoryError as error:
        raise DataError(Fault(path, "is a folder", "name a file in it")) from error
    except PermissionError as error:
        remedy = "give yourself the right to read it, as by chmod u+r"
        raise DataError(Fault(path, "you may not read it", remedy)) from error
    except OSError as error:
        remedy = "copy it to another place, and read it there"
        raise DataError(Fault(path, f"cannot be read: {error.strerror}", remedy)) from error


def _opened(path: Path, name: str, file: BinaryIO, max_pixels: float) -> ImageFile:
    """The picture, of which no more is read than the header."""
    if name == "WEBP":  # its decoder takes its memory at once
        _check_size(path, name, webp_size(file), True, max_pixels)
    if name == "PNG":
        file = without_texts(file)
    file.seek(0)
    image = _DECODERS[name](file)
    _check_size(path, name, image.size, _hungry(image, name), max_pixels)
    return image


def _load(image: ImageFile, name: str) -> None:
    if name == "TIFF":  # else Pillow would hold the size against its own limit
        image.im = Image.core.new(image.mode, image._tile_size)
    image.load()


def _layout(image: ImageFile) -> str:
    arguments = image.tile[0].args if image.tile else ""
    return str(arguments if isinstance(arguments, str) or not arguments else arguments[0])


def _swap(image: ImageFile, layout: str) -> None:
    mode, _, kind = layout.partition(";")
    other = f"{mode};{OTHER_BYTE[kind]}"
    image.tile = [
        tile._replace(args=other if isinstance(tile.args, str) else (other, *tile.args[1:]))
        for tile in image.tile
    ]


def _hungry(image: ImageFile, name: str) -> bool:
    """Whether decoding takes about three times as much memory as the picture."""
    turned = name == "TIFF" and _orientation(image) > 1
    return turned or bool(image.info.get("progressive")) or getattr(image, "is_animated", False)


def _check_size(
    path: Path, name: str, size: tuple[int, int], hungry: bool, max_pixels: float
) -> None:
    pixels, factor = size[0] * size[1], _HUNGRY if hungry else 1
    if pixels * factor <= max_pixels:
        return
    need, limit = (math.ceil(n / 1e6) for n in (pixels * factor, max_pixels))
    problem = f"has {math.ceil(pixels / 1e6)} megapixels, the limit is {limit // factor}"
    problem += f" for a {name} of this kind, which takes more memory to decode" if hungry else ""
    remedy = f"--max-pixels {need} of dlseg predict, or max_pixels={need}e6 of read_image, lifts it"
    raise DataError(Fault(path, problem, remedy))


def _orientation(image: ImageFile) -> int:
    """1 to 8; 1, upright, where none or nonsense is given."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # there is no end to what damaged EXIF can raise; the picture may be sound
        return 1
    return value if value in range(1, 9) else 1


@contextmanager
def _explained(path: Path, name: str, file: BinaryIO) -> Iterator[None]:
    """What a decoder raises as DataError, with the cause that the file's own structure shows."""
    with QUIET, _causes(path, name, file):
        yield


@contextmanager
def _causes(path: Path, name: str, file: BinaryIO) -> Iterator[None]:
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        problem = f"has more pixels than Pillow reads of a {name}"
        raise DataError(Fault(path, problem, _ELSEWHERE)) from error
    except Exception as error:  # there is no end to what damaged bytes can raise
        found = damage(name, file)
        if found is None and name in ("JPEG", "GIF", "BMP") and _too_short(error):
            found = "it ends too soon"
        if found is not None:
            raise DataError(Fault(path, f"is damaged: {found}", _AGAIN)) from error
        raise DataError(Fault(path, _unreadable(name, file, error), _ELSEWHERE)) from error


def _too_short(error: Exception) -> bool:
    """Whether a decoder came to the end of the file."""
    text = isinstance(error, OSError) and "truncated" in str(error).lower()
    return text or isinstance(error, EOFError | IndexError | struct.error)


def _unreadable(name: str, file: BinaryIO, error: Exception) -> str:
    """Why an intact file is not decoded, in plain words where they are known."""
    if deep := re.search(r"(\d+)-bit layers", str(error)):
        return f"has {deep[1]} bits per channel, more than are read of a JPEG"
    if name == "TIFF" and isinstance(error, SyntaxError):
        tags = tiff_tags(file)
        bits = "/".join(map(str, sorted(set(tags.get(258, (1,))))))
        return f"is a TIFF of {tags.get(277, 1)} channels of {bits} bits, which is not read"
    return f"is a {name} that cannot be decoded ({error or type(error).__name__})"
