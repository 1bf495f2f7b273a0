"""What a cell leaves in a notebook that is committed, and the files it leaves beside it."""

import base64
import hashlib
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

# Where a chapter's kernel writes files: a folder and the chapter's name, such as
# /tmp/x/02-atrous-convolution. `dlseg run` and chapters/conftest.py set it.
FRAMES = "DLSEG_FRAMES"
_numbers = itertools.count(1)


def executed_for_the_book() -> bool:
    """Whether the notebook is run to be published or tested (`DLSEG_BOOK=1`), not by a reader."""
    return os.environ.get("DLSEG_BOOK") == "1"


@dataclass(frozen=True)
class Kept:
    """A file beside the notebook. name: without folder. sha256: of its bytes."""

    name: str
    sha256: str


def keep(suffix: str, data: bytes) -> Kept:
    """Write a file that belongs to this chapter: the next number, and `suffix`.

    Raises: RuntimeError if nobody said where.
    """
    stem = os.environ.get(FRAMES)
    if not stem:
        raise RuntimeError(
            f"{FRAMES} says where the files of a chapter go, and is not set: execute the chapter "
            "with `dlseg run` or `python -m pytest --nbval chapters`, or unset DLSEG_BOOK"
        )
    path = Path(f"{stem}.{next(_numbers):02}{suffix}")
    path.write_bytes(data)
    return Kept(path.name, hashlib.sha256(data).hexdigest())


def bundle(png: bytes, size: tuple[int, int], alt: str, kept: Kept | None = None, words=""):
    """A picture in the form that every viewer shows: PNG, and its alt text as text.

    size: width and height in CSS pixels. kept: the file with its vectors or frames.
    words: more lines of text.
    Returns: data and metadata, as IPython takes them.
    """
    width, height = size
    about = {"alt": alt, "width": width, "height": height}
    if kept:
        about |= {"file": kept.name, "sha256": kept.sha256}
    data = {"image/png": base64.b64encode(png).decode(), "text/plain": alt + words}
    return data, {"image/png": about}
