"""Inputs for fuzzing: mostly what is wanted, now and then what people give by mistake.

Each takes a `random.Random`, which alone decides the input.
"""

import io
import math
import tarfile
import zipfile
from random import Random

import numpy as np
import torch
from PIL import Image

HUGE = (2**31, 2**63, 2**64 + 1, 10**30, -(2**63))
_ODD = (
    0,
    -1,
    -7,
    True,
    False,
    1.0,
    2.5,
    math.nan,
    math.inf,
    np.int8(5),
    np.uint8(250),
    np.int64(3),
)
_ODD_NUMBERS = (0, 0.0, -1.0, 1, 255, math.nan, math.inf, -math.inf, 1e-300, 1e300, 1e-9, True)
_WORDS = ("", " ", "\0", "..", "../../x", "/", "é", "%s", "{}", "-1", "nan", "x" * 500, "a\nb", ":")
_NUMPY = ("u1", "i1", "u2", "i2", "i4", "i8", "u8", "f2", "f4", "f8", "?", "c8")
_TORCH = (
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.bool,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.complex64,
)


def size(rng: Random):
    """A small whole number, 1 to 9, or an odd one that asks for little."""
    return rng.randint(1, 9) if rng.random() < 0.85 else rng.choice(_ODD)


def whole(rng: Random):
    """A whole number of any size, for formulas; or an odd one."""
    return rng.choice(HUGE) if rng.random() < 0.1 else size(rng)


def number(rng: Random):
    """A number of any kind and size."""
    return rng.uniform(0, 3) if rng.random() < 0.7 else rng.choice(_ODD_NUMBERS)


def flag(rng: Random):
    """True or False."""
    return rng.random() < 0.5


def listed(make, least: int = 0, most: int = 5):
    """A generator of lists, or tuples, of what `make` makes."""

    def some(rng: Random):
        values = [make(rng) for _ in range(rng.randint(least, most))]
        return tuple(values) if rng.random() < 0.5 else values

    return some


def one_of(*values, odd=None):
    """A generator of these values, and now and then of what `odd` makes, odd words for words."""
    odd = odd or (word if all(isinstance(value, str) for value in values) else None)

    def choose(rng: Random):
        return odd(rng) if odd and rng.random() < 0.15 else rng.choice(values)

    return choose


def always(value):
    """A generator of one value."""
    return lambda rng: value


def word(rng: Random) -> str:
    """An odd word, a letter of it changed perhaps."""
    text = rng.choice(_WORDS)
    return text + chr(rng.choice((0, 10, 65, 233, 0x1F600))) if rng.random() < 0.3 else text


def arrays(*shape, dtype="u1", low: float = 0, high: float = 255):
    """A generator of NumPy arrays of that kind; a number of the shape that is None is drawn.

    One in four is of another kind or shape, holds other values, or lies in memory another way.
    """

    def make(rng: Random) -> np.ndarray:
        sides, kind = _shape(rng, shape), dtype
        odd = rng.random() < 0.25
        if odd and rng.random() < 0.4:
            sides = [rng.choice((0, 1, 2, 3, 4)) for _ in range(rng.randint(0, 5))]
        if odd and rng.random() < 0.4:
            kind = rng.choice(_NUMPY)
        values = _values(rng, sides, low, high, odd)
        with np.errstate(all="ignore"):
            array = values.astype(kind)
        return _laid(rng, array) if odd else array

    return make


def tensors(*shape, dtype=torch.float32, low: float = 0, high: float = 255):
    """A generator of tensors, as `arrays`."""
    make = arrays(*shape, dtype="f4", low=low, high=high)

    def draw(rng: Random) -> torch.Tensor:
        kind = rng.choice(_TORCH) if rng.random() < 0.12 else dtype
        tensor = torch.from_numpy(_finite(make(rng))).to(kind)
        if kind.is_floating_point and tensor.numel() and rng.random() < 0.05:
            tensor.view(-1)[rng.randrange(tensor.numel())] = rng.choice((math.nan, math.inf))
        return tensor.transpose(-1, -2) if tensor.dim() > 1 and rng.random() < 0.05 else tensor

    return draw


def probabilities(*shape, axis: int = -3, as_tensor: bool = True):
    """A generator of arrays or tensors whose sums over an axis are 1; now and then not."""
    make = arrays(*shape, dtype="f4", low=0.1, high=1)

    def draw(rng: Random):
        values = _finite(make(rng))
        if values.ndim >= -axis and rng.random() < 0.9:
            values = np.abs(values) + 1e-3
            values = values / values.sum(axis, keepdims=True)
        return torch.from_numpy(np.ascontiguousarray(values)) if as_tensor else values

    return draw


def picture(rng: Random) -> bytes:
    """The file of a picture of any kind, now and then damaged."""
    modes = ("RGB", "RGB", "L", "P", "P", "1", "RGBA", "LA", "CMYK", "I;16", "I", "F", "YCbCr")
    mode, kind = rng.choice(modes), rng.choice(("PNG", "PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"))
    image = Image.frombytes("RGB", (8, 6), rng.randbytes(144)).resize(
        (rng.randint(1, 12), rng.randint(1, 12))
    )
    image = image.convert("L").convert(mode) if mode[0] in "IF" else image.convert(mode)
    options = {}
    if rng.random() < 0.2:
        exif = Image.Exif()
        exif[0x0112] = rng.randint(0, 9)
        options["exif"] = exif
    if kind in ("GIF", "TIFF", "WEBP") and rng.random() < 0.3:
        options |= {"save_all": True, "append_images": [image, image.rotate(90)]}
    file = io.BytesIO()
    try:
        image.save(file, format=kind, **options)
    except (OSError, ValueError):  # a mode that this format does not have
        file = io.BytesIO()
        image.convert("RGB").save(file, format="PNG")
    return damaged(rng, file.getvalue())


def mask(rng: Random) -> bytes:
    """The PNG of labels 0 to 3 and 255, with a palette or without; now and then another picture."""
    if rng.random() < 0.4:
        return picture(rng)
    labels = np.array([rng.choice((0, 1, 2, 3, 255)) for _ in range(24)], np.uint8)
    image, file = Image.fromarray(labels.reshape(4, 6)), io.BytesIO()
    if rng.random() < 0.5:
        image.putpalette(rng.randbytes(rng.choice((3, 12, 768))))
    image.save(file, format="PNG")
    return damaged(rng, file.getvalue())


def damaged(rng: Random, data: bytes, times=(0, 0, 1, 1, 2, 4)) -> bytes:
    """The bytes, some of them changed, doubled, or gone."""
    for _ in range(rng.choice(times)):
        first = rng.randrange(len(data) + 1)
        last = min(len(data), first + rng.choice((1, 1, 2, 4, 16, 200)))
        kind = rng.randrange(6)
        if kind == 0:
            middle = rng.randbytes(last - first)
        elif kind == 1:
            middle = b""
        elif kind == 2:
            middle = data[first:last] * 2
        elif kind == 3:
            middle = rng.choice((b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff"))
        elif kind == 4:
            return data[:first]
        else:
            middle = bytes(byte ^ (1 << rng.randrange(8)) for byte in data[first:last])
        data = data[:first] + middle + data[last:]
    return data


def text_of(rng: Random, lines: list[str]) -> bytes:
    """A text of these lines, some of them doubled, moved, emptied or damaged."""
    lines = list(lines)
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        place = rng.randrange(len(lines) or 1)
        change = rng.randrange(5)
        if change == 0 and lines:
            del lines[place]
        elif change == 1:
            lines.insert(place, rng.choice(lines or [""]))
        elif change == 2:
            lines.insert(place, rng.choice(_WORDS))
        elif change == 3:
            rng.shuffle(lines)
        elif lines:
            key, equals, _ = lines[place].partition("=")
            lines[place] = (
                f"{key}{equals} {rng.choice(('1', '-1', 'true', '[]', '{}', '1.5', '[1]'))}"
            )
    return damaged(rng, "\n".join(lines).encode("utf-8"), (0, 0, 0, 1))


def archive(rng: Random) -> bytes:
    """A tar or zip of a folder `top`, with members that no data set has now and then."""
    names = ["top/a", "top/b/c", "top/b/d.png", "other/x"]
    for _ in range(rng.choice((0, 0, 1, 2))):
        names.insert(
            rng.randrange(len(names)),
            rng.choice(
                (
                    "../out",
                    "/tmp/out",
                    "top/../../out",
                    "top",
                    "top/a",
                    "C:\\out",
                    "top/" + "n" * 300,
                    "top/\0",
                    "",
                    "top/b",
                    "./top/e",
                    "top/a/f",
                )
            ),
        )
    file = io.BytesIO()
    (_tar if rng.random() < 0.5 else _zip)(rng, file, names)
    return damaged(rng, file.getvalue())


def _tar(rng: Random, file, names: list[str]) -> None:
    with tarfile.open(fileobj=file, mode=rng.choice(("w", "w:gz", "w:xz"))) as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type = tarfile.REGTYPE
            if rng.random() < 0.05:
                member.type = rng.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE))
                member.linkname = rng.choice(("a", "/etc/passwd", "../../out"))
            content = rng.randbytes(5)
            member.size = len(content) if member.type == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(content))


def _zip(rng: Random, file, names: list[str]) -> None:
    with zipfile.ZipFile(file, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as zip_:
        for name in names:
            info = zipfile.ZipInfo(name)
            if rng.random() < 0.05:
                info.external_attr = 0o120777 << 16
            if name not in zip_.NameToInfo:
                zip_.writestr(info, rng.randbytes(5))


def changed(rng: Random, entries: dict, replacements: tuple) -> dict:
    """A nested dict with one value or key changed, somewhere."""
    entries = dict(entries)
    key = rng.choice(list(entries) or ["x"])
    kind = rng.random()
    if kind < 0.2:
        entries.pop(key, None)
    elif kind < 0.3:
        entries[rng.choice(("x", 1, None, "num_classes"))] = rng.choice(replacements)
    elif isinstance(entries.get(key), dict) and kind < 0.8:
        entries[key] = changed(rng, entries[key], replacements)
    else:
        entries[key] = rng.choice(replacements)
    return entries


def _shape(rng: Random, shape: tuple) -> list[int]:
    return [rng.randint(1, 9) if side is None else side for side in shape]


def _values(rng: Random, sides: list[int], low: float, high: float, odd: bool) -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64(rng.getrandbits(64)))
    values = generator.uniform(low, high, sides)
    if odd and rng.random() < 0.4:
        scale = rng.choice((0.0, 1 / 255, -1.0, 1e30, math.nan, math.inf))
        values = np.asarray(values * scale)
    return np.asarray(values)


def _finite(array: np.ndarray) -> np.ndarray:
    """The array as float32 without what no integer can hold."""
    values = np.clip(np.nan_to_num(array.real.astype("f8")), -1e9, 1e9)
    return np.array(values, dtype="f4", order="C")


def _laid(rng: Random, array: np.ndarray) -> np.ndarray:
    """The array as a view that is not contiguous, or cannot be written, perhaps."""
    kind = rng.randrange(4)
    if kind == 0 and array.ndim:
        return array[::-1]
    if kind == 1 and array.ndim > 1:
        return np.asfortranarray(array)
    if kind == 2:
        array.flags.writeable = False
    return array
