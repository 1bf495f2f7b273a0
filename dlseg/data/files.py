"""Read and write the files of a data set; every fault names file, value and remedy.

A mask is a PNG of one byte per pixel, the class index. With a palette (Pascal VOC's own) it shows
in colours, without one (SegmentationClassAug, Cityscapes) it looks black; both are the same to
read, as long as nobody converts the first to RGB.
"""

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import numpy as np
from PIL import Image

# Whatever Pillow raises over bytes that are not the image they claim to be.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
_FORMATS = ("JPEG", "PNG")
_AGAIN = "unpack or copy the file again"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a data set.

    serious: False for a mere remark, with which one can train.
    """

    path: Path
    problem: str
    remedy: str
    serious: bool = True

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.remedy}"


class DataError(ValueError):
    """A data set cannot be read; `fault` says where, why, and what to do."""

    def __init__(self, fault: Fault):
        super().__init__(fault)
        self.fault = fault


def remark_count(path: Path, count: int, published: int | None) -> list[Fault]:
    """A remark where a list at `path` has another number of images than were published."""
    if published in (None, count):
        return []
    problem = f"{count} images, and {published} were published"
    return [Fault(path, problem, "nothing to do if this is a part, or data of your own", False)]


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
        return read_image(self.image)

    def read_label(self) -> np.ndarray:
        """As the function of this name."""
        return read_label(self.label, self.num_classes, self.ignore_index)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """The image, uint8 (H, W, 3), and its labels, uint8 (H, W). Raises DataError."""
        image, label = self.read_image(), self.read_label()
        self.check_sizes(image, label)
        return image, label

    def check_sizes(self, image: np.ndarray, label: np.ndarray) -> None:
        """DataError unless the two have one height and width."""
        if image.shape[:2] != label.shape:
            mask, picture = (f"{a.shape[0]} x {a.shape[1]}" for a in (label, image))
            problem = f"the mask has {mask} pixels (height x width), its image {picture}"
            remedy = f"make the mask anew for {self.image}, or resize it with nearest neighbour"
            raise DataError(Fault(self.label, problem, remedy))


def read_image(path: str | Path) -> np.ndarray:
    """The JPEG or PNG file as uint8 array (H, W, 3), RGB.

    Raises DataError where there is none, it is damaged, or has more than 8 bits per channel.
    """
    image, _ = _decode(Path(path))
    if image.mode.startswith(("I", "F")):
        problem = f"the image has more than 8 bits per channel (Pillow's mode {image.mode})"
        raise DataError(Fault(Path(path), problem, "convert it to 8 bits per channel"))
    return np.array(image.convert("RGB"))


def read_label(path: str | Path, num_classes: int, ignore_index: int | None = 255) -> np.ndarray:
    """The indices of a PNG mask as uint8 array (H, W); a palette is not looked at.

    ignore_index: allowed beside 0 .. num_classes - 1; None allows nothing else.
    Raises DataError where there is none, it is damaged, no PNG, in colours, not of one byte per
    pixel, or holds another label.
    """
    path = Path(path)
    image, content = _decode(path)
    _check_form(path, image, content)
    label = np.array(image)
    _check_range(path, label, num_classes, ignore_index)
    return label


def write_label(path: str | Path, label: np.ndarray, palette: np.ndarray | None = None) -> None:
    """Write labels, uint8 (H, W), as a PNG mask; with a palette, uint8 (256, 3), it is coloured.

    The indices are the same with and without. The file appears under its name when it is whole.
    Raises ValueError for another kind of array, OSError where it cannot be written.
    """
    if label.dtype != np.uint8 or label.ndim != 2:
        raise ValueError(f"label must be uint8 (H, W), got {label.dtype} {label.shape}")
    image = Image.fromarray(label)
    if palette is not None:
        image.putpalette(np.asarray(palette, dtype=np.uint8).tobytes())
    _save_whole(Path(path), image)


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write an image, uint8 (H, W, 3), as PNG; it appears under its name when it is whole.

    Raises OSError where it cannot be written.
    """
    _save_whole(Path(path), Image.fromarray(image))


def _save_whole(path: Path, image: Image.Image) -> None:
    partial = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        image.save(partial, format="PNG")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _decode(path: Path) -> tuple[Image.Image, bytes]:
    """The decoded image and the bytes of its file, which is closed again."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        remedy = "unpack the data again, or take the name out of the lists"
        raise DataError(Fault(path, "there is no such file", remedy)) from error
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise DataError(Fault(path, problem, "make it a file that you may read")) from error
    try:
        # Looks at the checksums in a PNG, as loading does not; needs a copy of its own.
        Image.open(BytesIO(content), formats=_FORMATS).verify()
        image = Image.open(BytesIO(content), formats=_FORMATS)
        image.load()
    except Image.UnidentifiedImageError as error:
        raise DataError(Fault(path, "is neither JPEG nor PNG, or damaged", _AGAIN)) from error
    except (*_DAMAGE, Image.DecompressionBombError) as error:
        raise DataError(Fault(path, f"is damaged: {error}", _AGAIN)) from error
    return image, content


def _check_form(path: Path, image: Image.Image, content: bytes) -> None:
    if image.format != "PNG":
        remedy = "take the original PNG: JPEG has changed the labels"
        raise DataError(Fault(path, f"the mask is a {image.format} file", remedy))
    if image.mode not in ("P", "L"):
        problem = f"the mask is no image of class indices (Pillow's mode {image.mode})"
        remedy = (
            "take the index PNG, or make it with labels_from_colours and write_label (dlseg.data)"
        )
        raise DataError(Fault(path, problem, remedy))
    bits = content[24]  # of the header: signature 8, length 4, "IHDR" 4, width 4, height 4
    if image.mode == "L" and bits < 8:
        problem = f"the mask is grey with {bits} bits per pixel, which every reader stretches"
        raise DataError(Fault(path, problem, "save it with 8 bits per pixel"))


def _check_range(path: Path, label: np.ndarray, num_classes: int, ignore_index: int | None) -> None:
    allowed = np.zeros(256, dtype=bool)
    allowed[:num_classes] = True
    if ignore_index is not None:
        allowed[ignore_index] = True
    good = allowed[label]
    if not good.all():
        values = np.unique(label[~good]).tolist()
        shown = ", ".join(map(str, values[:5])) + (", ..." if len(values) > 5 else "")
        expected = f"0 to {num_classes - 1}" + (
            f" or {ignore_index}" if ignore_index is not None else ""
        )
        problem = f"holds the labels {shown} in {(~good).sum()} of {label.size} pixels"
        remedy = f"labels must be {expected}: number the classes from 0 and save the mask again"
        raise DataError(Fault(path, problem, remedy))
