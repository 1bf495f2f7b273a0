"""Read and write the masks of a data set; every fault names file, value and remedy.

A mask is an image whose values are class indices. With a palette (Pascal VOC's own) it shows in
colours, without one (SegmentationClassAug, Cityscapes) it looks black; both are the same to read,
as long as nobody converts the first to RGB. The values are the file's own: a grey mask of 1, 2 or 4
bits, which other readers stretch to 255, holds the labels 0 and 1, 0 to 3, 0 to 15.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from PIL import Image

from dlseg.aside import new_file
from dlseg.checks import check_rgb, described
from dlseg.data.decode import MAX_PIXELS, Raw, decoded
from dlseg.data.faults import DataError, Fault, place_of, printable
from dlseg.data.formats import PNG_SIGNATURE
from dlseg.data.palette import check_colours
from dlseg.data.pictures import read_image, row_bands, whole_array

_LOSSY = ("JPEG", "WEBP")  # formats that change values, or have no indices


class Counted(NamedTuple):
    """Size (H, W) of a mask, and the pixels of each label, int64 (256,).

    foreign: pixels of values or colours that are no label. form: of the mask, in words.
    """

    mask: tuple[int, int]
    counts: np.ndarray
    foreign: Mapping = MappingProxyType({})
    form: str = ""


@dataclass(frozen=True)
class Pair:
    """An image, the mask that belongs to it, and the values allowed there.

    ignore_index: a label allowed beside 0 .. num_classes - 1, or None.
    """

    image: Path
    label: Path
    num_classes: int
    ignore_index: int | None = 255

    def read_image(self) -> np.ndarray:
        """As the function of this name."""
        with of_a_sample():
            return read_image(self.image)

    def read_label(self) -> np.ndarray:
        """As the function of this name."""
        with of_a_sample():
            return read_label(self.label, self.num_classes, self.ignore_index)

    def count_labels(self) -> Counted:
        """The pixels of each label. Raises DataError as `read_label`."""
        label = self.read_label()
        bands = row_bands(*label.shape)  # bincount takes 8 bytes a pixel
        counts = sum(np.bincount(label[rows].ravel(), minlength=256) for rows in bands)
        return Counted(label.shape, counts)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """The image, uint8 (H, W, 3), and its labels, uint8 (H, W). Raises DataError."""
        image, label = self.read_image(), self.read_label()
        self.check_sizes(image.shape[:2], label.shape)
        return image, label

    def check_sizes(self, image: tuple[int, int], label: tuple[int, int]) -> None:
        """DataError unless the two, each turned upright, have one height and width."""
        if image == label:
            return
        mask, picture = (f"{side[0]} x {side[1]}" for side in (label, image))
        problem = f"the mask has {mask} pixels (height x width), its image {picture}"
        remedy = (
            f"make the mask anew for {printable(self.image)}, or resize it with nearest neighbour"
        )
        if image == label[::-1]:
            problem += " as its orientation (EXIF) turns it"
            remedy = (
                f"turn the mask, or make it anew for {printable(self.image)} as a viewer shows it"
            )
        raise DataError(Fault(self.label, problem, remedy))


@contextmanager
def of_a_sample() -> Iterator[None]:
    """A missing file has another remedy where a list, or a mask, asks for it."""
    try:
        yield
    except DataError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        remedy = "put it there, or take the sample out of the data"
        raise DataError(replace(error.fault, remedy=remedy)) from error


def read_label(
    path: str | Path,
    num_classes: int,
    ignore_index: int | None = 255,
    max_pixels: float = MAX_PIXELS,
) -> np.ndarray:
    """The indices of a mask as uint8 array (H, W), turned upright; a palette is not looked at.

    The file is PNG, TIFF, GIF or BMP, of any bits per pixel, as long as its values are labels.
    ignore_index: allowed beside 0 .. num_classes - 1; None allows nothing else. max_pixels: as for
    `read_image`.
    Raises DataError where there is none, it is damaged, in colours, of another format, or holds
    another label.
    """
    path = place_of(path)
    raw = next(decoded(path, max_pixels=max_pixels))
    _check_form(path, raw)
    label = indices_of(raw)
    _check_range(path, label, num_classes, ignore_index)
    return label.astype(np.uint8, copy=False)


def read_palette(path: str | Path, max_pixels: float = MAX_PIXELS) -> np.ndarray | None:
    """The colours of a mask with a palette, uint8 (256, 3), black where it has fewer; else None.

    max_pixels: as for `read_image`. Raises DataError as it does.
    """
    image = next(decoded(place_of(path), max_pixels=max_pixels)).image
    colours = image.getpalette("RGB") if image.mode == "P" else None
    if colours is None:
        return None
    palette = np.zeros((256, 3), np.uint8)
    palette.ravel()[: len(colours)] = colours
    return palette


def write_label(path: str | Path, label: np.ndarray, palette: np.ndarray | None = None) -> None:
    """Write labels, uint8 (H, W), as a PNG mask; with a palette, uint8 (256, 3), it is coloured.

    The indices are the same with and without. The file appears under its name when it is whole, and
    folders on the way are made. Raises ValueError for another kind of array, OSError where it
    cannot be written.
    """
    fits = isinstance(label, np.ndarray) and label.ndim == 2 and label.size
    if not fits or label.dtype != np.uint8:
        raise ValueError(f"label must be uint8 (H, W), got {described(label)}")
    image = Image.fromarray(label)
    if palette is not None:
        check_colours(palette)
        image.putpalette(palette.tobytes())
    with new_file(path) as file:
        image.save(file, format="PNG")


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write an image, uint8 (H, W, 3), as PNG; the file as by `write_label`."""
    check_rgb("image", image)
    height, width, _ = image.shape
    write_bands(path, height, width, (image[rows] for rows in row_bands(height, width)))


def write_bands(path: str | Path, height: int, width: int, bands: Iterable[np.ndarray]) -> None:
    """Write an image that comes in bands of rows, uint8 (rows, width, 3); one is in memory.

    The file as by `write_label`.
    """
    packer = zlib.compressobj()
    with new_file(path) as file:

        def part(kind: bytes, content: bytes) -> None:
            check = zlib.crc32(content, zlib.crc32(kind))
            file.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check))

        file.write(PNG_SIGNATURE)
        part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))  # 8 bits, RGB
        for band in bands:
            part(b"IDAT", packer.compress(_differences(band)))
        part(b"IDAT", packer.flush())
        part(b"IEND", b"")


def _differences(band: np.ndarray) -> bytes:
    """Rows as PNG's filter 1 has them: each pixel less its left neighbour; they pack better."""
    rows = np.empty((len(band), 1 + 3 * band.shape[1]), np.uint8)
    rows[:, 0] = 1
    flat = band.reshape(len(band), -1)
    rows[:, 1:4] = flat[:, :3]
    np.subtract(flat[:, 3:], flat[:, :-3], out=rows[:, 4:])  # modulo 256
    return rows.tobytes()


def indices_of(raw: Raw) -> np.ndarray:
    """All values of a mask, upright, as its file has them."""
    values = whole_array(raw)
    if raw.image.mode == "L" and raw.bits < 8:
        return values // (255 // (2**raw.bits - 1))  # Pillow has stretched them
    return values


def refuse_lossy(path: Path, raw: Raw) -> None:
    """DataError for a mask in a format that changes values."""
    if raw.name in _LOSSY:
        problem = f"the mask is a {raw.name} file"
        raise DataError(Fault(path, problem, f"take the original PNG: {raw.name} changes labels"))


def _check_form(path: Path, raw: Raw) -> None:
    mode = raw.image.mode
    refuse_lossy(path, raw)
    if mode in ("1", "L", "P", "F") or mode.startswith("I"):
        return
    read = "read_image(OLD)" if raw.bits <= 8 else "read_image(OLD, white=65535)"
    problem = f"the mask is no image of class indices (Pillow's mode {mode})"
    if _is_grey(whole_array(raw)):
        problem = f"the mask is grey, but saved in colours (Pillow's mode {mode})"
        remedy = f"write_label(NEW, {read}[..., 0]) of dlseg.data makes an index PNG of it"
    else:
        remedy = (
            f"take the index PNG, or make it: write_label(NEW, labels_from_colours({read}, "
            "COLOURS)) of dlseg.data, with the colour of each class, as voc_palette() has them"
        )
    raise DataError(Fault(path, problem, remedy))


def _is_grey(colours: np.ndarray) -> bool:
    return bool((colours[..., :3] == colours[..., :1]).all()) or colours.shape[2] == 2


def _check_range(path: Path, label: np.ndarray, num_classes: int, ignore_index: int | None) -> None:
    allowed = np.zeros(257, dtype=bool)  # the last: for all that is no label
    allowed[:num_classes] = True
    if ignore_index is not None:
        allowed[ignore_index] = True
    allowed[256] = False
    numbers = label
    if label.dtype != np.uint8:
        with np.errstate(invalid="ignore"):  # of floats that are no numbers
            fits = (label >= 0) & (label <= 255) & (label == np.floor(label))
        numbers = np.where(fits, label, 256).astype(np.int16)
    good = allowed[numbers]
    if not good.all():
        values = np.unique(label[~good]).tolist()
        some = ", ".join(f"{value:g}" for value in values[:5]) + (
            ", ..." if len(values) > 5 else ""
        )
        expected = f"0 to {num_classes - 1}" + (
            f" or {ignore_index}" if ignore_index is not None else ""
        )
        problem = f"holds the labels {some} in {(~good).sum()} of {label.size} pixels"
        remedy = f"labels must be {expected}: number the classes from 0 and save the mask again"
        raise DataError(Fault(path, problem, remedy))
