"""The drawings of chapter 05: one convolution split in two, what each half costs, and its block."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from dlseg.arithmetic import (
    conv_multiply_adds,
    conv_parameters,
    depthwise_parameters,
    effective_kernel,
    inverted_residual_multiply_adds,
    separable_multiply_adds,
    separable_parameters,
    taps,
)
from dlseg.book import BLUE, FAINT, GREEN, INK, ORANGE, PAPER, RED, SKY, Picture, from_svg, svg
from support.maps import key

MAP = 65  # side of the map that costs are drawn for, in pixels
CELL = 13  # side of one pixel in `split_picture`
BAR = 430  # length of the longest bar


def split_picture() -> Picture:
    """Which values one output is made of, ordinary, depthwise and pointwise: 3 channels to 4."""
    parts = []
    panels = (
        (10, "ordinary: 3 x 3 x 3 = 27 products", _ordinary),
        (290, "depthwise: 3 x 3 = 9 products", _depthwise),
        (570, "pointwise: 3 products", partial(_ordinary, first=1, cells=1)),
    )
    for left, title, draw in panels:
        parts += [svg.text(left, 20, title), draw(left)]
    alt = "One output of an ordinary convolution reads 3 x 3 pixels in all 3 channels, 27 values. "
    alt += "A depthwise output reads 3 x 3 pixels of its own channel, 9 values. "
    alt += "A pointwise output reads one pixel in all 3 channels, 3 values."
    return from_svg(svg.document(830, 330, parts), alt)


def _ordinary(left: float, first: int = 0, cells: int = 3) -> str:
    reads = [(left, _top(channel, 3), first, cells) for channel in range(3)]
    return _maps(left, 3) + _maps(left + 170, 4) + _links(reads, left + 170, _top(1, 4), ORANGE)


def _depthwise(left: float) -> str:
    links = [
        _links([(left, _top(channel, 3), 0, 3)], left + 170, _top(channel, 3), colour)
        for channel, colour in enumerate((BLUE, ORANGE, GREEN))
    ]
    return _maps(left, 3) + _maps(left + 170, 3) + "".join(links)


def _top(channel: int, channels: int) -> float:
    """Where the map of a channel begins; the columns of maps are centred on each other."""
    return 40 + (4 - channels) * 36 + channel * 72


def _maps(left: float, channels: int) -> str:
    return "".join(
        svg.rect(left, _top(channel, channels), 5 * CELL, 5 * CELL, fill="#eef2f6")
        + svg.grid(left, _top(channel, channels), 5, 5, CELL, colour="#c3c9d1")
        for channel in range(channels)
    )


def _links(reads, left: float, top: float, colour: str) -> str:
    """Windows (x, y, first cell, cells), and lines to cell (1, 1) of the map at (left, top)."""
    end = (left + CELL, top + 1.5 * CELL)
    parts = []
    for x, y, first, cells in reads:
        corner, side = (x + first * CELL, y + first * CELL), cells * CELL
        parts.append(svg.rect(*corner, side, side, fill=colour, stroke=INK))
        for edge in (0, side):
            parts.append(svg.line(corner[0] + side, corner[1] + edge, *end, colour=colour))
    return "".join(parts) + svg.rect(left + CELL, top + CELL, CELL, CELL, fill=colour, stroke=INK)


def cost_picture(in_channels: int, out_channels: int, kernel_size: int, rate: int) -> Picture:
    """Weights and multiply-adds of a convolution and of its split form, on a map of 65 x 65."""
    whole = conv_parameters(in_channels, out_channels, kernel_size)
    depthwise = depthwise_parameters(in_channels, kernel_size)
    split = separable_parameters(in_channels, out_channels, kernel_size)
    work = conv_multiply_adds(in_channels, out_channels, MAP, kernel_size)
    split_work = separable_multiply_adds(in_channels, out_channels, MAP, kernel_size)
    given = f"{in_channels} to {out_channels} channels, {kernel_size} x {kernel_size}, rate {rate}"
    ratio = f"1/{out_channels} + 1/{kernel_size**2} = {split / whole:.3f}"
    verdict = f"split / ordinary = {ratio}: {_times(whole, split)}"
    unit = BAR / max(whole, split)
    halves = [(depthwise, ORANGE), (split - depthwise, BLUE)]
    legend = [
        (f"{name}: {_grouped(weights)} weights", {"fill": colour})
        for name, (weights, colour) in zip(("depthwise", "pointwise"), halves, strict=True)
    ]
    parts = [
        svg.text(20, 24, f"{given}, on a map of {MAP} x {MAP}", size=15),
        _bar_row(58, "ordinary", [(whole, SKY)], unit, whole, work),
        _bar_row(136, "split", halves, unit, split, split_work),
        key(legend, 20, 214, 280),
        svg.text(20, 258, verdict, size=15),
        _window(640, 52, kernel_size, rate),
    ]
    alt = f"{given}: ordinary {_grouped(whole)} weights, {_amount(work)} multiply-adds; split "
    alt += f"{_grouped(split)} weights, {_amount(split_work)} multiply-adds; {verdict}."
    return from_svg(svg.document(850, 276, parts), alt)


def _bar_row(y, name, shares, unit, weights, work) -> str:
    """A name with its two numbers, and below it one bar cut into (weights, colour)."""
    label = f"{name}: {_grouped(weights)} weights, {_amount(work)} multiply-adds"
    parts, x = [svg.text(20, y, label)], 20.0
    for share, colour in shares:
        parts.append(svg.rect(x, y + 10, max(share * unit, 0.5), 26, fill=colour))
        x += share * unit
    return "".join(parts)


def _window(left: float, top: float, kernel_size: int, rate: int) -> str:
    """The taps of the kernel, scaled to fit: what changes when the rate does."""
    span = effective_kernel(kernel_size, rate)
    cell = 168 / 37 if span > 13 else 168 / 13
    middle = 84 - span * cell / 2
    parts = [svg.rect(left, top, 168, 168, fill="#eef2f6", stroke=FAINT)]
    for row in taps(0, kernel_size, rate=rate):
        for column in taps(0, kernel_size, rate=rate):
            x, y = left + middle + column * cell, top + middle + row * cell
            parts.append(svg.rect(x, y, cell, cell, fill=ORANGE, stroke=INK, thick=0.5))
    label = f"{kernel_size} x {kernel_size} taps over {span} x {span} pixels"
    return "".join(parts) + svg.text(left, top + 188, label, size=12)


def block_picture(channels: int, expansion: int, stride: int) -> Picture:
    """MobileNetV2's block, its maps as wide as they have channels, and what each step costs.

    channels: into and out of the block; stride: 1, which brings a shortcut, or 2.
    """
    wide, made = channels * expansion, -(-MAP // stride)
    maps = [(channels, MAP), (wide, MAP), (wide, made), (channels, made)]
    steps = [
        _expanding(channels, expansion),
        (f"depthwise 3x3, stride {stride}, ReLU6", depthwise_parameters(wide) * made**2),
        ("project 1x1, linear", conv_multiply_adds(wide, channels, made, 1)),
    ]
    total = inverted_residual_multiply_adds(channels, channels, MAP, expansion, stride=stride)
    narrow = conv_multiply_adds(channels, channels, MAP, 3, stride)
    ordinary = _amount(narrow), _amount(narrow * expansion**2)
    given = f"{channels} channels, expansion {expansion}, stride {stride}"
    parts = [svg.text(20, 24, f"{given}: {_amount(total)} multiply-adds", size=15)]
    parts += [_map_bar(52 + 76 * i, *one, 420 / (10 * channels)) for i, one in enumerate(maps)]
    for i, (name, work) in enumerate(steps):
        y = 100 + 76 * i
        parts.append(svg.text(270, y, f"{name}: {_amount(work)}", size=12, anchor="middle"))
        parts.append(svg.rect(640, y - 10, max(200 * work / total, 0.5), 12, fill=BLUE))
    parts += [_shortcut() if stride == 1 else "", svg.text(640, 70, "share of the cost", size=12)]
    closing = "an ordinary 3 x 3 on the narrow map: {}; on the wide map: {}".format(*ordinary)
    parts.append(svg.text(20, 346, closing))
    works = ", ".join(f"{name} {_amount(work)}" for name, work in steps)
    alt = f"{given}: {works}; {'with' if stride == 1 else 'no'} shortcut; {closing}."
    return from_svg(svg.document(850, 362, parts), alt)


def _expanding(channels: int, expansion: int) -> tuple[str, int]:
    if expansion == 1:
        return "nothing to expand", 0
    return "expand 1x1, ReLU6", conv_multiply_adds(channels, channels * expansion, MAP, 1)


def _map_bar(y: float, channels: int, side: int, unit: float) -> str:
    """One map as a bar as long as it has channels, centred, with its size beside it."""
    width = channels * unit
    bar = svg.rect(270 - width / 2, y, width, 26, fill=SKY, stroke=INK)
    return bar + svg.text(500, y + 18, f"{channels} x {side} x {side}", size=12)


def _shortcut() -> str:
    corner = svg.polyline([(24, 65), (14, 65), (14, 293), (24, 293)], colour=RED)
    return corner + svg.text(24, 184, "+", size=18, colour=RED)


def curve_panels(
    curves: Sequence[np.ndarray], titles: Sequence[str], alt: str, lost: np.ndarray | None = None
) -> Picture:
    """Curves in the plane, side by side, coloured from one end to the other.

    curves: arrays (points, 2) inside [-1.2, 1.2]; beyond that they are cut off.
    lost: booleans (points,), the points that are marked on the first curve.
    """
    parts, side = [], 250
    for index, (curve, title) in enumerate(zip(curves, titles, strict=True)):
        left, scale = 10 + index * (side + 16), side / 2.4
        places = np.clip(curve, -1.2, 1.2) * (scale, -scale) + (left + side / 2, 28 + side / 2)
        parts.append(svg.text(left, 18, title, size=12))
        parts.append(svg.rect(left, 28, side, side, fill=PAPER, stroke=FAINT))
        if lost is not None and index == 0:
            parts += [svg.dot(x, y, 5, fill=FAINT) for x, y in places[lost]]
        thirds = np.array_split(np.arange(len(places)), 3)
        for part, colour in zip(thirds, (BLUE, ORANGE, GREEN), strict=True):
            parts.append(svg.polyline(places[part[0] : part[-1] + 2], colour=colour))
    width = 20 + len(curves) * (side + 16) - 16
    return from_svg(svg.document(width, side + 38, parts), alt)


def _times(whole: int, split: int) -> str:
    dearer = f"{split / whole:.1f} times dearer"
    return f"{whole / split:.1f} times cheaper" if whole >= split else dearer


def _grouped(number: int) -> str:
    """1234567 as 1 234 567."""
    return f"{number:,}".replace(",", " ")


def _amount(number: int) -> str:
    """Three digits and a unit: 12.3 M."""
    for size, name in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            value = number / size
            return f"{value:.{(value < 100) + (value < 10)}f}{name}"
    return str(number)
