"""A few strings of SVG: enough for grids of taps, and redrawn in about a millisecond."""

import base64
import html
import io
from collections.abc import Iterable

import numpy as np
from PIL import Image

from dlseg.book.style import FAINT, INK, PAPER

FONT = "DejaVu Sans, Verdana, Arial, sans-serif"


def document(width: float, height: float, parts: Iterable[str]) -> str:
    """A whole SVG file on white paper, `width` x `height` pixels, that scales with its page."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="{FONT}" font-size="13">'
        f'<rect width="100%" height="100%" fill="{PAPER}"/>{"".join(parts)}</svg>'
    )


def text(x: float, y: float, words: str, *, size: int = 13, anchor="start", colour=INK) -> str:
    """One line of text whose baseline starts (or is centred, or ends) at (x, y)."""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">'
        f"{html.escape(words)}</text>"
    )


def rect(x, y, width, height, *, fill="none", stroke="none", thick=1.0, dash="") -> str:
    """A rectangle; `dash` such as "4 3" draws its outline in dashes."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}" '
        f'stroke="{stroke}" stroke-width="{thick:g}"{dashes}/>'
    )


def line(x1, y1, x2, y2, *, colour=INK, thick=1.0, opacity=1.0) -> str:
    """A straight line from (x1, y1) to (x2, y2)."""
    return (
        f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" stroke="{colour}" '
        f'stroke-width="{thick:g}" opacity="{opacity:g}"/>'
    )


def dot(x, y, radius, *, fill=INK) -> str:
    """A filled circle."""
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}"/>'


def ring(x, y, radius, *, colour=INK, thick=2.5) -> str:
    """An open circle."""
    return (
        f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="none" stroke="{colour}" '
        f'stroke-width="{thick:g}"/>'
    )


def polyline(points: Iterable[tuple[float, float]], *, colour=INK, thick=2.0, dash="") -> str:
    """A curve through the points, in pixels."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    look = f'stroke="{colour}" stroke-width="{thick:g}"'
    look += f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline points="{path}" fill="none" {look}/>'


def grid(x, y, rows: int, columns: int, cell: float, *, colour=FAINT) -> str:
    """The lines of a grid whose top left corner is (x, y), as a single path."""
    down = "".join(f"M{x + i * cell:g} {y:g}v{rows * cell:g}" for i in range(columns + 1))
    across = "".join(f"M{x:g} {y + i * cell:g}h{columns * cell:g}" for i in range(rows + 1))
    return f'<path d="{down}{across}" stroke="{colour}" fill="none"/>'


def pixels(x, y, width, height, image: np.ndarray) -> str:
    """An image inside the drawing, every pixel a crisp square.

    image: uint8 array (H, W) grey, (H, W, 3) RGB or (H, W, 4) with what covers what is below.
    """
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", compress_level=1)
    source = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return (
        f'<image x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'preserveAspectRatio="none" style="image-rendering:pixelated" href="{source}"/>'
    )
