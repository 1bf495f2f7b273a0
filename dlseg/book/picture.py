"""A picture with the words for it: what every figure and every explorer stop of the book is."""

import base64
import html
import io
from dataclasses import dataclass

from matplotlib.figure import Figure

SVG, PNG = "image/svg+xml", "image/png"


@dataclass(frozen=True)
class Picture:
    """One image and its alt text; the last expression of a cell shows it.

    data: the bytes of an SVG or PNG file.
    mime: `image/svg+xml` or `image/png`.
    alt: what is seen, in words; it is also the text output that the notebook tests compare.
    Raises: ValueError if the alt text is empty.
    """

    data: bytes
    mime: str
    alt: str

    def __post_init__(self):
        if not self.alt.strip():
            raise ValueError("a picture needs alt text: say in one sentence what is seen")

    def html(self) -> str:
        """One `<img>` with the file inside, so that it needs neither network nor kernel."""
        source = f"data:{self.mime};base64,{base64.b64encode(self.data).decode()}"
        fit = 'style="max-width:100%;height:auto"'  # never wider than its cell
        alt = html.escape(self.alt)
        return f'<img class="dlseg-picture" {fit} src="{source}" alt="{alt}">'

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        # HTML rather than image/png: an <img> keeps its alt text in every front end.
        return {"text/html": self.html(), "text/plain": f"Picture: {self.alt}"}


def from_svg(markup: str, alt: str) -> Picture:
    """A picture from SVG markup."""
    return Picture(markup.encode(), SVG, alt)


def from_figure(figure: Figure, alt: str) -> Picture:
    """A picture from a matplotlib figure, drawn once as PNG.

    figure: made with `dlseg.book.style.new_figure`, so that it is not registered with pyplot.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return Picture(buffer.getvalue(), PNG, alt)
