"""Files that Pillow does not write, byte by byte from their specifications."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's colour type by channels


def png_part(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png(values: np.ndarray, bits: int, interlaced: bool = False, *parts: bytes) -> bytes:
    """A PNG of values (H, W) or (H, W, channels), of 1 to 16 bits; parts: more, before IDAT."""
    values = values if values.ndim == 3 else values[..., None]
    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, bits, COLOUR[channels], 0, 0, interlaced)
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    raw = b"".join(_rows(values[y::dy, x::dx], bits) for x, y, dx, dy in passes)
    content = [png_part(b"IHDR", header), *parts, png_part(b"IDAT", zlib.compress(raw))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(content) + png_part(b"IEND", b"")


def _rows(values: np.ndarray, bits: int) -> bytes:
    if not values.size:
        return b""
    if bits == 16:
        return b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    each = np.unpackbits(values.reshape(len(values), -1, 1).astype(np.uint8), axis=2)[
        ..., 8 - bits :
    ]
    return b"".join(b"\0" + np.packbits(row).tobytes() for row in each.reshape(len(values), -1))


def ycck(inks: np.ndarray) -> bytes:
    """A JPEG of C, M, Y, K (H, W, 4) as Photoshop writes it: marked by Adobe's transform 2.

    Inks are stored as 255 less them; then C, M, Y, taken for R, G, B, become luma and two colours
    (ITU-T T.872, 6.5.3). Pillow writes four channels as they are, 255 less them, transform 0.
    """
    luma = np.asarray(Image.fromarray(inks[..., :3]).convert("YCbCr"))
    image = Image.fromarray(np.concatenate([255 - luma, inks[..., 3:]], -1), "CMYK")
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=100, subsampling=0)
    content = bytearray(file.getvalue())
    transform = content.index(b"Adobe") + 11  # behind the name, the version, and two flags
    assert content[transform] == 0
    content[transform] = 2
    return bytes(content)


def tiff(values: np.ndarray, order: str = "<", **more: tuple) -> bytes:
    """An uncompressed TIFF of (H, W, channels), RGB first; more: tags as t254=(kind, value)."""
    height, width, channels = values.shape
    bits, content = (
        values.dtype.itemsize * 8,
        values.astype(values.dtype.newbyteorder(order)).tobytes(),
    )
    tags = {256: (3, width), 257: (3, height), 259: (3, 1), 262: (3, 2), 277: (3, channels)}
    tags |= {258: (3, bits), 273: (4, 0), 278: (3, height), 279: (4, len(content))}
    tags |= {int(name[1:]): value for name, value in more.items()}
    if channels > 3:
        tags[338] = (3, 0)
    start = 8 + 2 + 12 * len(tags) + 4
    depths = struct.pack(f"{order}{channels}H", *[bits] * channels)
    tags[273] = (4, start + len(depths))
    lines = b""
    for tag, (kind, value) in sorted(tags.items()):
        count = channels if tag == 258 else 1
        if tag == 258 and channels > 2:
            value, kept = start, "I"
        else:
            kept = "H2x" if kind == 3 else "I"
        lines += struct.pack(f"{order}HHI{kept}", tag, kind, count, value)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    return head + struct.pack(f"{order}H", len(tags)) + lines + bytes(4) + depths + content
