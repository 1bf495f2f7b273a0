"""The drawings of chapter 12: four ways to see one object, what crosses a U, and results."""

from collections.abc import Sequence
from typing import NamedTuple

from dlseg.arithmetic import Layer, stack_fields, vgg16
from dlseg.book import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    PAPER,
    RED,
    SKY,
    Picture,
    from_figure,
    from_svg,
    new_figure,
    svg,
)
from dlseg.models.relatives import RATES as CONTEXT_RATES

SIDE = 321  # of the image, pixels
SCALES = (1, 0.5, 0.25)  # of the image pyramid
ASPP_RATES = (6, 12, 18)
WAYS = ("a. image pyramid", "b. encoder-decoder", "c. deeper, with rates", "d. pyramid pooling")
UNITS = ("centre", "rim")
PAPER_BLUE = "#eef2f6"

CROSSINGS = (
    ("FCN-8s", "scores", "are added", "+", BLUE),
    ("U-Net", "features", "are joined", "&", GREEN),
    ("SegNet", "places of maxima,", "no values", "i", RED),
    ("RefineNet", "features, corrected", "and pooled, are added", "+", GREEN),
    ("LRR", "corrections of scores", "are gated, added", "\u00d7", ORANGE),
)  # name, what crosses in two lines, its sign, its colour


class Window(NamedTuple):
    """A square of the image that one way lets a unit see.

    size: pixels of its side, None for the whole image. source: where it comes from. last: whether
    the result reads it directly; the others are inside.
    """

    size: int | None
    source: str
    last: bool = True


def windows() -> tuple[tuple[Window, ...], ...]:
    """What each of the four ways sees with one beginning: VGG-16 up to pool3, at stride 8.

    a: that network on the image and on smaller images. b: it goes on to pool4 and pool5, and all
    three maps are joined. c: the context module behind it. d: ASPP of three rates and a mean.
    """
    fields = {field.stride: field.size for field in reversed(stack_fields(vgg16()))}  # the pools'
    trunk = fields[8]
    pyramid = [Window(round(trunk / scale), f"image x {scale:g}") for scale in SCALES]
    decoder = [Window(fields[2**k], f"pool{k}") for k in (3, 4, 5)]
    layers = [Layer(3, rate=rate) for rate in CONTEXT_RATES]
    grown = [trunk + 8 * (field.size - 1) for field in stack_fields(layers)]
    deeper = [Window(size, "inside", False) for size in grown[:-1]]
    deeper.append(Window(grown[-1], "the last layer"))
    aspp = [Window(trunk, "1x1")]
    aspp += [Window(trunk + 16 * rate, f"rate {rate}") for rate in ASPP_RATES]
    return tuple(pyramid), tuple(decoder), tuple(deeper), (*aspp, Window(None, "mean"))


def holding(way: Sequence[Window], diameter: int, unit: str) -> Window | None:
    """The smallest window of a way that the result reads and that holds all of a disc.

    diameter: of the disc, pixels. unit: "centre", the window stands on the disc's middle, or "rim",
    on its edge, where a window must be twice as wide.
    Raises: ValueError for another unit.
    """
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {UNITS}, got {unit!r}")
    needed = diameter if unit == "centre" else 2 * diameter
    fit = [w for w in way if w.last and (w.size is None or w.size >= needed)]
    return min(fit, key=lambda window: window.size or SIDE * 10, default=None)


def ways_picture(diameters: Sequence[int] = (20, 80, 260), unit: str = "centre") -> Picture:
    """The windows of the four ways on one disc at several sizes, in a 321 x 321 image.

    diameters: of the disc, pixels, a row each. unit: see `holding`; its window stands on it.
    """
    cell, gap, left, parts, sentences = 180, 20, 70, [], []
    for column, name in enumerate(WAYS):
        x = left + column * (cell + gap) + cell / 2
        parts.append(svg.text(x, 22, name, size=14, anchor="middle"))
    for row, diameter in enumerate(diameters):
        y, captions = 36 + row * (cell + 46), []
        for line, label in enumerate(("a disc of", f"{diameter} px")):
            parts.append(svg.text(4, y + cell / 2 + 18 * line, label, size=12))
        for column, (name, way) in enumerate(zip(WAYS, windows(), strict=True)):
            x, holder = left + column * (cell + gap), holding(way, diameter, unit)
            parts.append(_panel(x, y, cell, way, holder, diameter, unit))
            caption, colour = _caption(holder), INK if holder else RED
            look = {"size": 12, "anchor": "middle", "colour": colour}
            parts.append(svg.text(x + cell / 2, y + cell + 18, caption, **look))
            captions.append(f"{name[3:]}: {caption}")
        sentences.append(f"disc of {diameter} pixels: {', '.join(captions)}")
    alt = f"Windows of four ways on a disc in a {SIDE} x {SIDE} image, unit at its {unit}. "
    width, height = left + 4 * (cell + gap), 36 + len(diameters) * (cell + 46)
    return from_svg(svg.document(width, height, parts), f"{alt}{'; '.join(sentences)}.")


def _caption(holder: Window | None) -> str:
    if holder is None:
        return "no window holds it"
    return f"{holder.size or 'the whole image'}{' px' if holder.size else ''}: {holder.source}"


def _panel(x, y, cell: float, way, holder: Window | None, diameter: int, unit: str) -> str:
    """One image with its disc, the windows of one way, and the one that holds the disc in green."""
    scale = cell / SIDE
    middle, shift = SIDE / 2, 0 if unit == "centre" else -diameter / 2
    parts = [
        svg.rect(x, y, cell, cell, fill=PAPER_BLUE, stroke=FAINT),
        svg.dot(x + middle * scale, y + middle * scale, diameter / 2 * scale, fill="#f2c879"),
    ]
    for window in sorted(way, key=lambda window: window is holder):
        look = {"stroke": BLUE if window.last else SKY, "thick": 1.5 if window.last else 1}
        if window is holder:
            look = {"stroke": GREEN, "thick": 3.5}
        parts.append(_clipped(x, y, scale, middle + shift, middle, window.size, look))
    parts.append(svg.dot(x + (middle + shift) * scale, y + middle * scale, 3.5))
    return "".join(parts)


def _clipped(x, y, scale: float, column: float, row: float, size: int | None, look: dict) -> str:
    """The part of a window that lies on the image; dashed where it reaches beyond."""
    size = size or 2 * SIDE
    sides = [(max(0, at - size / 2), min(SIDE, at + size / 2)) for at in (column, row)]
    (left, right), (top, bottom) = sides
    if right - left < size or bottom - top < size:
        look = look | {"dash": "6 4"}
    thick = look["thick"]
    width, height = ((end - start) * scale - thick for start, end in sides)
    return svg.rect(
        x + left * scale + thick / 2, y + top * scale + thick / 2, width, height, **look
    )


def crossings_picture() -> Picture:
    """Five ways to bring resolution back: what crosses from the way down to the way up."""
    parts, sentences = [], []
    for number, (name, *lines, sign, colour) in enumerate(CROSSINGS):
        x = 90 + 180 * number
        parts += [svg.text(x, 22, name, size=14, anchor="middle"), _crossing(x, sign, colour)]
        for row, line in enumerate(lines):
            parts.append(svg.text(x, 236 + 18 * row, line, size=12, anchor="middle"))
        sentences.append(f"{name}: {' '.join(lines)}")
    alt = "Five networks that come down to small maps and go up again. What crosses over: "
    return from_svg(svg.document(900, 268, parts), f"{alt}{'; '.join(sentences)}.")


def _crossing(x: float, sign: str, colour: str) -> str:
    """Maps going down on the left and up on the right, seen from the side, and what crosses."""
    levels, parts = [(46 + 46 * level, width) for level, width in enumerate((70, 46, 28))], []
    for (y, width), (below, next_width) in zip(levels, [*levels[1:], (184, 0)], strict=True):
        shift = 12 + width / 2
        to = 12 + next_width / 2 if next_width else 0
        for side in (-1, 1):  # down on the left, up on the right
            parts.append(svg.line(x + side * shift, y + 13, x + side * to, below, colour=FAINT))
        parts.append(svg.rect(x - 12 - width, y, width, 13, fill=SKY, stroke=INK))
        parts.append(svg.rect(x + 12, y, width, 13, fill=FAINT, stroke=INK))
        parts.append(svg.line(x - 12, y + 6.5, x + 12, y + 6.5, colour=colour, thick=2.5))
        parts.append(svg.dot(x, y + 6.5, 9, fill=colour))
        parts.append(svg.text(x, y + 11, sign, size=13, anchor="middle", colour="#ffffff"))
    parts.append(svg.rect(x - 8, 184, 16, 13, fill=SKY, stroke=INK))
    return "".join(parts)


def results_picture(results: Sequence[tuple[str, float, str]]) -> Picture:
    """One bar per network: its name, mIoU in per cent, and the table that prints it.

    Bars of the DeepLabs are filled, those of the others hatched.
    """
    figure, axes = new_figure(height=0.85 + 0.32 * len(results))
    for row, (name, value, source) in enumerate(results):
        own = name.startswith("DeepLab")
        look = {"color": BLUE} if own else {"color": PAPER, "edgecolor": INK, "hatch": "////"}
        drawn = axes.barh(row, float(value), height=0.66, **look)
        axes.bar_label(drawn, [f"{value}  {source}"], padding=3, fontsize=8.5)
    axes.set(yticks=range(len(results)), yticklabels=[name for name, *_ in results])
    axes.set(xlim=(55, 97), xlabel="mIoU on Pascal VOC 2012 test, %")
    axes.invert_yaxis()
    listed = "; ".join(f"{name} {value} ({source})" for name, value, source in results)
    return from_figure(figure, f"Mean IoU on the test set of Pascal VOC 2012, per cent: {listed}.")
