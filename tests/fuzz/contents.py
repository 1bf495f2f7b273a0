"""Contents of files for fuzzing: pictures, masks, texts, archives, all of them damaged at times."""

import io
import tarfile
import warnings
import zipfile
from random import Random

import numpy as np
from PIL import Image

from tests.fuzz.generators import WORDS


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
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
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
            lines.insert(place, rng.choice(WORDS))
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
            if info.filename not in zip_.NameToInfo:  # cut at a zero byte
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
