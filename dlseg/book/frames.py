"""The frames of an explorer in one file, and the page that moves through them without a kernel."""

import base64
import gzip
import html
import json
import lzma
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlseg.book import raster, svg
from dlseg.book.picture import PNG, SVG, Picture, from_svg

SUFFIX = ".json.xz"
HINT = "Run this cell to drag it"
STRIP = 26  # height of the line that says so, below the first picture


@dataclass(frozen=True)
class Frames:
    """Every picture of an explorer.

    stops: (name, values) of every slider. first: the place of the first view on each.
    pictures: one for every combination, last slider fastest. play: the slider that a button runs
    through. strip: the pictures that stand for all on paper.
    """

    stops: Sequence[tuple[str, list]]
    first: Sequence[int]
    pictures: Sequence[Picture]
    play: int | None = None
    strip: Sequence[int] = ()

    @property
    def first_picture(self) -> Picture:
        """The picture that is seen before anybody moves a slider."""
        index = 0
        for (_, values), place in zip(self.stops, self.first, strict=True):
            index = index * len(values) + place
        return self.pictures[index]

    def pack(self) -> bytes:
        """The compressed file; the same pictures give the same bytes."""
        content = self._told() | {"frames": self._rows()}
        return lzma.compress(json.dumps(content).encode())

    def html(self) -> str:
        """The first picture and all others, packed; site/_static/explorer.js adds the controls."""
        packed = base64.b64encode(gzip.compress(json.dumps(self._rows()).encode(), mtime=0))
        data = "".join(f' data-{k}="{html.escape(json.dumps(v))}"' for k, v in self._told().items())
        return (
            f'<div class="explorer"{data}>{framed(self.first_picture)}'
            f"<p><em>{HINT}.</em></p>"
            f'<script type="text/plain">{packed.decode()}</script></div>'
        )

    def _told(self) -> dict:
        """All but the pictures."""
        told = {"stops": list(self.stops), "first": list(self.first), "strip": list(self.strip)}
        return told if self.play is None else told | {"play": self.play}

    def still(self) -> Picture:
        """The first picture, and below it a line that says how it moves."""
        first = self.first_picture
        width, height = first.size
        hint = svg.text(10, height + STRIP - 9, f"\u25b8 {HINT}.")
        return from_svg(svg.document(width, height + STRIP, [_inner(first), hint]), first.alt)

    def _rows(self) -> list:
        return [[p.mime, _text(p), p.alt, p.density] for p in self.pictures]


def framed(picture: Picture) -> str:
    """The picture in a frame that scrolls where a narrow page would make its words too small."""
    width, _ = picture.size
    return (
        f'<div class="picture-frame" style="--natural:{width}px" tabindex="0" role="group" '
        f'aria-label="Picture">{picture.html()}</div>'
    )


def _inner(picture: Picture) -> str:
    if picture.mime == SVG:
        return picture.data.decode()
    width, height = picture.size
    source = f"data:{PNG};base64,{base64.b64encode(picture.data).decode()}"
    return f'<image width="{width}" height="{height}" href="{source}"/>'


def _text(picture: Picture) -> str:
    if picture.mime == SVG:
        return raster.tidy(picture.data.decode())
    return base64.b64encode(picture.png()).decode()


def read_frames(path: Path) -> Frames:
    """The frames in a file.

    Raises: ValueError if they cannot be read.
    """
    try:
        content = json.loads(lzma.decompress(path.read_bytes()))
        pictures = [_picture(*row) for row in content["frames"]]
        play, strip = content.get("play"), content["strip"]
        return Frames(content["stops"], content["first"], pictures, play, strip)
    except (OSError, EOFError, lzma.LZMAError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the frames in {path.name} cannot be read: {error}") from error


def _picture(mime: str, data: str, alt: str, density: float) -> Picture:
    binary = data.encode() if mime == SVG else base64.b64decode(data)
    return Picture(binary, mime, alt, density)
