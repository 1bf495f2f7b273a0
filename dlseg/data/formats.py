"""What a file of a picture is, by its own bytes: the format, whether it is whole, how deep it is.

A decoder that fails does not say why, and Pillow's error for an intact file that it cannot read is
the same as for a damaged one. So damage is looked for by itself, in the format's own structure.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import TiffImagePlugin

from dlseg.data.faults import DataError, Fault

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# How the files that are read begin.
READ = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": re.escape(PNG_SIGNATURE),
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "GIF": rb"GIF8[79]a",
    "WEBP": rb"RIFF....WEBP",
    "BMP": rb"BM....\0\0\0\0",
}
LONG_TEXT = 1 << 20
_TEXTS = (b"iCCP", b"zTXt", b"iTXt", b"tEXt")
_SAVE = "save it as PNG with a program that opens it"
# How others begin, what they are, and what to do with them.
_OTHERS = (
    (rb"....ftyp(hei|hev|mif|msf)", "a HEIC file", _SAVE),
    (rb"....ftypavi", "an AVIF file", _SAVE),
    (rb"\0\0\0\x0cjP  |\xffO\xffQ", "a JPEG 2000 file", _SAVE),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL file", _SAVE),
    (rb"8BPS", "a Photoshop file", _SAVE),
    (rb"v/1\x01", "an OpenEXR file", _SAVE),
    (rb"%PDF", "a PDF file", "save its page as PNG with a program that opens it"),
    (rb"\x93NUMPY", "a NumPy file", "save the array with write_image or write_label (dlseg.data)"),
    (rb"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself: git lfs pull"),
    (rb"(?i:\s*<(!doctype )?html)", "a web page", "get the picture itself from that address"),
)


def format_of(path: Path, file: BinaryIO) -> str:
    """The key in READ of an open file. DataError where it is none of them, with what it is."""
    start = file.read(64)
    for name, pattern in READ.items():
        if re.match(pattern, start, re.DOTALL):
            return name
    if not start:
        raise DataError(Fault(path, "is empty", "copy the file again"))
    for pattern, kind, remedy in _OTHERS:
        if re.match(pattern, start, re.DOTALL):
            raise DataError(Fault(path, f"is {kind}", remedy))
    problem = "is neither JPEG, PNG, TIFF, GIF, WebP nor BMP"
    raise DataError(Fault(path, problem, f"if it is a picture, {_SAVE}"))


def damage(name: str, file: BinaryIO) -> str | None:
    """How the file of format `name` is damaged, as far as its structure shows; None: it is not.

    Reads no more than a piece at a time. An intact file is never called damaged; of the formats
    but PNG, which has checksums, only a missing end is noticed.
    """
    size = file.seek(0, 2)
    file.seek(0)
    try:
        end = {"PNG": _png, "JPEG": _jpeg, "TIFF": _tiff, "WEBP": _webp}.get(name, _unknown)(file)
    except struct.error:
        return "its header is not whole"
    if isinstance(end, str):
        return end
    return f"it has {size} bytes of at least {end}" if end > size else None


def png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(kind, where its content begins, bytes of it) of each part of a PNG, up to its end."""
    place, kind = 8, b""
    while kind != b"IEND":
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        yield kind, place + 8, length
        place += 12 + length


def bits_per_channel(name: str, file: BinaryIO) -> int:
    """As the header has it; of formats that have several depths, PNG and TIFF; of others 8."""
    if name == "PNG":
        file.seek(24)  # signature 8, length 4, "IHDR" 4, width 4, height 4
        return file.read(1)[0]
    return max(tiff_tags(file).get(258, (1,))) if name == "TIFF" else 8


def tiff_tags(file: BinaryIO) -> TiffImagePlugin.ImageFileDirectory_v2:
    """The tags of the first page of a TIFF. Raises what a damaged one may: anything."""
    file.seek(0)
    header = file.read(8)
    big = header[2] == 43 or header[3] == 43
    tags = TiffImagePlugin.ImageFileDirectory_v2(header + (file.read(8) if big else b""))
    file.seek(tags.next)
    tags.load(file)
    return tags


def without_texts(file: BinaryIO) -> BinaryIO:
    """A PNG as it is, or a copy without texts and profiles where they are too long for Pillow."""
    try:
        parts = list(png_chunks(file))
    except struct.error:
        return file
    if not any(kind in _TEXTS and _is_long(file, start, length) for kind, start, length in parts):
        return file
    copy = BytesIO()
    copy.write(PNG_SIGNATURE)
    for kind, start, length in parts:
        if kind not in _TEXTS:
            file.seek(start - 8)
            copy.write(file.read(length + 12))
    return copy


def webp_size(file: BinaryIO) -> tuple[int, int]:
    """Width and height in the header of a WebP; (0, 0) where it is not whole."""
    file.seek(0)
    head = file.read(30)
    if head[12:16] == b"VP8X":
        return tuple(1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
    if head[12:16] == b"VP8L":
        both = int.from_bytes(head[21:25], "little")
        return 1 + (both & 0x3FFF), 1 + (both >> 14 & 0x3FFF)
    return tuple(int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (26, 28))


def _is_long(file: BinaryIO, start: int, length: int) -> bool:
    """Whether a text or profile has over a megabyte, packed or not; no more of it is unpacked."""
    file.seek(start)
    content = file.read(min(length, LONG_TEXT + 1))
    packed = content.find(b"\x78")  # how zlib's streams begin
    with suppress(zlib.error):
        content = zlib.decompressobj().decompress(content[packed:], LONG_TEXT + 1)
    return max(length, len(content)) > LONG_TEXT


def _png(file: BinaryIO) -> int | str:
    end = 8
    try:
        for kind, start, length in png_chunks(file):
            end = start + length + 4
            found, check = _checksum(file, kind, start, length), file.read(4)
            if found is None or len(check) < 4:
                return 0 if kind == b"IEND" else end  # with a bare last part nothing is lost
            if found != int.from_bytes(check, "big"):
                return f"the checksum of a part of it ({kind.decode('latin-1')}) is wrong"
    except struct.error:
        return end + 12  # another part should come
    return end


def _checksum(file: BinaryIO, kind: bytes, start: int, left: int) -> int | None:
    """Of a part of a PNG with `left` bytes from `start`; None where the file ends before."""
    file.seek(start)
    checksum = zlib.crc32(kind)
    while left:
        piece = file.read(min(left, 1 << 20))
        if not piece:
            return None
        checksum, left = zlib.crc32(piece, checksum), left - len(piece)
    return checksum


def _jpeg(file: BinaryIO) -> int:
    """The end of the header; that of what follows shows in decoding alone."""
    place = 2
    while True:
        file.seek(place)
        mark, kind, length = struct.unpack(">BBH", file.read(4))
        if mark != 0xFF or kind == 0xDA:  # the scan begins, or this is no segment
            return place + 2 + length if mark == 0xFF else 0
        place += 1 if kind == 0xFF else 2 if kind == 1 or 0xD0 <= kind <= 0xD8 else 2 + length


def _tiff(file: BinaryIO) -> int:
    try:
        tags = tiff_tags(file)
    except (SyntaxError, KeyError, TypeError, ValueError):
        return 0
    parts = (
        (tags.get(where, ()), tags.get(count, ())) for where, count in ((273, 279), (324, 325))
    )
    return max(
        (w + c for where, count in parts for w, c in zip(where, count, strict=False)), default=0
    )


def _webp(file: BinaryIO) -> int:
    return 8 + struct.unpack("<4xI", file.read(8))[0]


def _unknown(_file: BinaryIO) -> int:
    return 0
