"""A picture with the words for it: what every figure and every explorer stop of the book is."""

import base64
import html
import io
import re
from dataclasses import dataclass

from matplotlib.figure import Figure

from dlseg.book import publish, raster

SVG, PNG = "image/svg+xml", "image/png"
VECTORS = 200_000  # bytes of a drawing at most: in a larger one nearly all is photographs
SIZE = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"')


@dataclass(frozen=True)
class Picture:
    """One image and its alt text; the last expression of a cell shows it.

    data: the bytes of an SVG or PNG file.
    mime: `image/svg+xml` or `image/png`.
    alt: what is seen, in words; it is also the text output that the notebook tests compare.
    density: pixels of a PNG file per CSS pixel.
    Raises: ValueError if the alt text is empty.
    """

    data: bytes
    mime: str
    alt: str
    density: float = 1.0

    def __post_init__(self):
        if not self.alt.strip():
            raise ValueError("a picture needs alt text: say in one sentence what is seen")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in CSS pixels.

        Raises: ValueError if the file does not tell.
        """
        if self.mime == PNG:
            height, width, _ = raster.pixels(self.data).shape
            return round(width / self.density), round(height / self.density)
        if found := SIZE.search(self.data.decode()):
            return round(float(found[1])), round(float(found[2]))
        raise ValueError("a drawing needs width and height: make it with svg.document")

    def html(self) -> str:
        """One `<img>` with the file inside, so that it needs neither network nor kernel."""
        source = f"data:{self.mime};base64,{base64.b64encode(self.data).decode()}"
        fit = 'style="max-width:100%;height:auto"'  # never wider than its cell
        fit += f' width="{self.size[0]}"' if self.density != 1 else ""
        alt = html.escape(self.alt)
        return f'<img class="dlseg-picture" {fit} src="{source}" alt="{alt}">'

    def png(self) -> bytes:
        """The compact PNG file that stands for this picture in a committed notebook."""
        return raster.render(self.data.decode()) if self.mime == SVG else raster.compact(self.data)

    def _repr_mimebundle_(self, include=None, exclude=None):
        if not publish.executed_for_the_book():
            # HTML rather than image/png: an <img> keeps its alt text in every front end.
            return {"text/html": self.html(), "text/plain": self.alt}
        kept = None
        if self.mime == SVG:
            drawing = raster.tidy(self.data.decode()).encode()
            if len(drawing) <= VECTORS:
                kept = publish.keep(".svg", drawing)
        return publish.bundle(self.png(), self.size, self.alt, kept)


def from_svg(markup: str, alt: str) -> Picture:
    """A picture from SVG markup."""
    return Picture(markup.encode(), SVG, alt)


def from_figure(figure: Figure, alt: str) -> Picture:
    """A picture from a matplotlib figure, drawn once as PNG.

    figure: made with `dlseg.book.style.new_figure`, so that it is not registered with pyplot.
    """
    buffer = io.BytesIO()
    sharp = raster.DENSITY * figure.dpi
    figure.savefig(buffer, format="png", dpi=sharp, metadata={"Software": None})
    return Picture(buffer.getvalue(), PNG, alt, raster.DENSITY)
