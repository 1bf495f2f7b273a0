"""Committed pictures against fresh ones: by pixels and, for drawings, by what is drawn."""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlseg.book import raster
from dlseg.book.frames import SUFFIX, Frames, read_frames
from dlseg.book.picture import PNG, SVG, Picture, from_svg

# Between processors a computed shade moves by a few levels and a curve by a fraction of a pixel.
LEVELS = 32  # of 255: a pixel that moved less looks the same
SHARE = 0.0002  # of the pixels of a figure may look different
SHARE_TRAINED = 0.35  # of the pixels of what a network draws that was trained on the page
SHARE_INSIDE = 0.01  # of the pixels of an image inside a drawing, whose lines and words are exact
STEP = 0.11  # pixels by which a drawn line may move: one step of a coordinate's last digit
NUMBER = re.compile(r"\d+(?:\.\d+)?")
TOKEN = re.compile(r"(#[0-9a-f]{6}\b|-?\d+(?:\.\d+)?(?:e-?\d+)?)")


@dataclass(frozen=True)
class Shown:
    """A picture in the output of a cell.

    png: its file. text: its text output. about: its metadata: alt, width, height, and where it
    has a file beside the notebook: file, sha256.
    """

    png: bytes
    text: str
    about: dict


def shown(outputs: Iterable[dict]) -> list[Shown]:
    """The pictures in the outputs of a cell.

    Raises: ValueError if one is no base64.
    """
    found = []
    for output in outputs:
        data, about = output.get("data", {}), output.get("metadata", {}).get(PNG, {})
        if PNG in data:
            png = base64.b64decode(data[PNG].replace("\n", ""), validate=True)
            found.append(Shown(png, data.get("text/plain", ""), dict(about)))
    return found


def kept(picture: Shown, folder: Path) -> Frames | Picture:
    """What lies beside the notebook for a picture: its frames, or its drawing.

    folder: where the files are.
    Raises: ValueError if the file is absent, another one, or cannot be read.
    """
    path = folder / picture.about["file"]
    if path.parent != folder or not path.is_file():
        raise ValueError(f"its file {picture.about['file']} is not in {folder.name}")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != picture.about["sha256"]:
        raise ValueError(f"its file {path.name} is another one: the SHA-256 differs")
    if path.name.endswith(SUFFIX):
        if picture.about["sha256"] not in picture.text or path.name not in picture.text:
            raise ValueError(f"its text does not name {path.name} with its SHA-256")
        return read_frames(path)
    return from_svg(data.decode(), picture.about["alt"])


def compare_shown(
    old: list[Shown], new: list[Shown], folders: tuple[Path, Path], trained: bool = False
) -> list[str]:
    """The faults of a cell's committed pictures, told from fresh ones.

    folders: where the committed and the fresh files lie.
    trained: a network that was trained on the page drew them: on another processor it learns
        something else, so numbers and shades are others; kind, size and words are the same.
    """
    if len(old) != len(new):
        return [f"{len(old)} pictures are committed, but {len(new)} are drawn"]
    faults = []
    for number, pair in enumerate(zip(old, new, strict=True), start=1):
        if fault := _fault(*pair, folders, trained):
            faults.append(f"picture {number} ({pair[1].about['alt'][:60]}...): {fault}")
    return faults


def _fault(old: Shown, new: Shown, folders: tuple[Path, Path], trained: bool) -> str:
    about = [_told(picture.about, trained) for picture in (old, new)]
    if about[0] != about[1]:
        return f"its metadata is {about[0]}, but should be {about[1]}"
    share = SHARE
    try:
        if "file" in old.about:
            share = SHARE_INSIDE  # the words and lines of a drawing are compared in its file
            if fault := compare_files(kept(old, folders[0]), kept(new, folders[1]), trained):
                return fault
        return compare_pixels(old.png, new.png, SHARE_TRAINED if trained else share)
    except ValueError as error:
        return str(error)


def _told(about: dict, trained: bool) -> dict:
    alt = without_numbers(about.get("alt", "")) if trained else about.get("alt")
    return {**about, "alt": alt, "sha256": None}


def without_numbers(text: str) -> str:
    """What of a text is the same whatever a network learned."""
    return NUMBER.sub("N", text)


def compare_files(old: Frames | Picture, new: Frames | Picture, trained: bool = False) -> str:
    """What differs between two files beside a notebook, "" if nothing that could be seen.

    trained: as for `compare_shown`; only the sliders and the number of frames are compared.
    """
    if isinstance(new, Picture):
        return "" if trained else compare_pictures(old, new)
    if (list(old.stops), list(old.first)) != ([list(s) for s in new.stops], list(new.first)):
        return "its sliders are others"
    if len(old.pictures) != len(new.pictures):
        return f"it has {len(old.pictures)} frames, but should have {len(new.pictures)}"
    for number, pair in enumerate(zip(old.pictures, new.pictures, strict=True)):
        if not trained and (fault := compare_pictures(*pair)):
            return f"frame {number}: {fault}"
    return ""


def compare_pictures(old: Picture, new: Picture) -> str:
    """What differs between two drawings or two images, "" if nothing that could be seen."""
    if (old.mime, old.alt) != (new.mime, new.alt):
        return f"{old.mime}, {old.alt!r} should be {new.mime}, {new.alt!r}"
    if old.data == new.data:
        return ""
    if new.mime == SVG:
        return compare_markup(old.data.decode(), new.data.decode())
    return compare_pixels(old.data, new.data)


def compare_pixels(old: bytes, new: bytes, share: float = SHARE) -> str:
    """What differs between two PNG files, "" if nothing that could be seen.

    share: the part of the pixels that may differ.
    """
    if old == new:
        return ""
    one, other = raster.pixels(old), raster.pixels(new)
    if one.shape != other.shape:
        return f"it has {_size(one)} pixels, but should have {_size(other)}"
    far = np.abs(one.astype(int) - other).max(axis=-1) > LEVELS
    if far.sum() <= share * far.size:
        return ""
    return f"{far.sum():,} of {far.size:,} pixels differ, {share * far.size:,.0f} may"


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"


def compare_markup(old: str, new: str) -> str:
    """What differs between two drawings: words, lines further than a step, or images inside."""
    for one, other in zip(*(raster.EMBEDDED.findall(text) for text in (old, new)), strict=False):
        fault = one != other and compare_pixels(*map(base64.b64decode, (one, other)), SHARE_INSIDE)
        if fault:
            return f"an image inside: {fault}"
    bare = [raster.EMBEDDED.sub("image", text) for text in (old, new)]
    words = [re.findall(r">([^<]+)<", text) for text in bare]
    if words[0] != words[1]:
        return f"it says {_first_other(*words)}"
    pieces = [TOKEN.split(text) for text in bare]
    same = len(pieces[0]) == len(pieces[1]) and all(map(_near, *pieces))
    return "" if same else f"it draws {_first_other(*(re.findall('<[^>]*>', b) for b in bare))}"


def _near(one: str, other: str) -> bool:
    if one == other:
        return True
    if not (TOKEN.fullmatch(one) and TOKEN.fullmatch(other)):
        return False
    if one[0] == "#" or other[0] == "#":
        pairs = [(int(one[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5)]
        return one[0] == other[0] and all(abs(a - b) <= LEVELS for a, b in pairs)
    return abs(float(one) - float(other)) <= STEP


def _first_other(old: list[str], new: list[str]) -> str:
    pairs = zip([*old, "nothing"], [*new, "nothing"], strict=False)
    one, other = next((pair for pair in pairs if pair[0] != pair[1]), ("nothing", "nothing"))
    return f"{one!r}, but should be {other!r}"
