"""The drawings of chapter 14: where pitfalls lie, a mask that slid away, programs side by side."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dlseg.arithmetic import resnet
from dlseg.book import BLUE, FAINT, INK, ORANGE, RED, SKY, Picture, from_svg, svg
from dlseg.data import PALETTE
from support.maps import RIGHT_KEY, SCENE_KEY, panels, right_and_wrong

LOUD, SILENT, CHOICE = "an error", "nothing complains", "a choice"
KINDS = {LOUD: RED, SILENT: BLUE, CHOICE: ORANGE}
STATIONS = {  # where they lie, in the order of the data, each with its number
    "files": "3 void; 4 own labels; 5 colours; 6 leaked lists",
    "weights": "14 not loaded; 15 converted",
    "backbone": "10 two strides; 11 two grids",
    "ASPP": "7 one value; 9 rates; 12 dead branch; 13 after block7",
    "stretch": "1 shifted mask; 2 crop at 19",
    "loss": "16 NaN, blank; 18 auxiliary",
    "training": "8 small batches; 17 dropout",
    "score": "19 left training",
    "CRF": "20 no install; 21 sigmas; 22 made worse",
}
NOT_SILENT = {7: LOUD, 20: LOUD, 10: CHOICE, 17: CHOICE, 18: CHOICE, 22: CHOICE}
STEP, TOP, ROW = 110, 56, 26

OTHER = "#f8dfae"  # pale orange: not as the authors have it
SEA = "#7fceb9"
ALIGNED = "corners aligned"


class Program(NamedTuple):
    """How one program builds DeepLab, as far as programs differ.

    options: of `dlseg.arithmetic.resnet`, where the backbone strides and what it dilates.
    multi_grid: unit rates of the last stage. rates: of ASPP at output stride 16 and 8.
    kind: of ASPP's 3x3 convolutions. behind: what follows the branches. decoder: convolutions on
    both maps together. stretch, dropout, auxiliary: of the last upsampling, behind ASPP, in the
    loss.
    """

    options: dict[str, str]
    multi_grid: tuple[int, int, int]
    rates: dict[int, tuple[int, int, int]]
    kind: str
    behind: str
    decoder: str
    stretch: str
    dropout: str
    auxiliary: str


OPTIONS = {
    "last unit": {"stride_on": "last unit"},
    "1x1": {"stride_on": "1x1"},
    "3x3": {"stride_on": "3x3"},
    "3x3, whole": {"stride_on": "3x3", "first_unit": "whole"},
}
NO_GRID, GRID = (1, 1, 1), (1, 2, 4)
SMALL, LARGE = (6, 12, 18), (12, 24, 36)
RATES = {
    "scaled": {16: SMALL, 8: LARGE},
    "large": {16: LARGE, 8: LARGE},
    "small": {16: SMALL, 8: SMALL},
}
AUTHORS = "authors, as shipped"
# Fields of `Program`, separated by semicolons; a program takes two lines.
_PROGRAMS = """
authors, as shipped; last unit; no grid; scaled; separable;
    1x1, 256; two separable 3x3; corners aligned; 0.1; none
torchvision, v3; 3x3; no grid; large; plain;
    1x1, 256 then 3x3, 256; none; corners not aligned; 0.5; weight 0.5
VainF; 3x3; no grid; scaled; plain;
    1x1, 256; one plain 3x3; corners not aligned; 0.1; none
segmentation-models-pytorch; 3x3, whole; no grid; large; bare separable;
    1x1, 256 then separable 3x3, 256; one bare separable 3x3; corners aligned; 0.5; none
kazuto1011; 1x1; grid; small; plain;
    1x1, 256; two plain 3x3; corners not aligned; none; none
mmsegmentation; 3x3; no grid; large; separable;
    3x3, 512; two separable 3x3; corners not aligned; 0.1; weight 0.4
deeplab2; 3x3; no grid; scaled; plain;
    1x1, 256; two separable 3x3; corners aligned; 0.1; none
"""


def _programs() -> dict[str, Program]:
    """Program by name, from `_PROGRAMS`."""
    programs = {}
    for row in _PROGRAMS.replace(";\n", ";").strip().splitlines():
        name, strides, grid, rates, *others = (field.strip() for field in row.split(";"))
        grid = GRID if grid == "grid" else NO_GRID
        programs[name] = Program(OPTIONS[strides], grid, RATES[rates], *others)
    return programs


PROGRAMS = _programs()


def places() -> dict[str, list[tuple[int, str, str]]]:
    """The pitfalls of each station: number, name and kind."""
    pitfalls = {}
    for station, listed in STATIONS.items():
        pairs = (pitfall.split(" ", 1) for pitfall in listed.split("; "))
        pitfalls[station] = [(int(n), name, NOT_SILENT.get(int(n), SILENT)) for n, name in pairs]
    return pitfalls


def pitfall_map() -> Picture:
    """Where the pitfalls of the chapter lie along the way of the data; colour and form: their kind.

    A square stops the program, a dot says nothing, a ring is a choice.
    """
    parts, sentences = [], []
    for column, (station, pitfalls) in enumerate(places().items()):
        x = 10 + STEP * column
        parts.append(svg.rect(x, TOP, STEP - 22, 30, fill=SKY, stroke=INK))
        parts.append(svg.text(x + (STEP - 22) / 2, TOP + 20, station, anchor="middle"))
        if column:
            parts.append(svg.line(x - 20, TOP + 15, x - 2, TOP + 15, thick=1.5))
        for row, (number, name, kind) in enumerate(pitfalls):
            y = TOP + 56 + ROW * row
            parts += [_mark(x + 5, y - 4, kind), svg.text(x + 14, y, f"{number} {name}", size=11)]
        names = ", ".join(f"{number} {name} ({kind})" for number, name, kind in pitfalls)
        sentences.append(f"{station}: {names}")
    for column, kind in enumerate(KINDS):
        x = 10 + 190 * column
        parts += [_mark(x + 5, 22, kind), svg.text(x + 18, 27, kind)]
    alt = f"The way of the data, and the pitfalls at each place. {'; '.join(sentences)}."
    return from_svg(svg.document(10 + STEP * len(STATIONS), TOP + 150, parts), alt)


def _mark(x: float, y: float, kind: str) -> str:
    if kind == LOUD:
        return svg.rect(x - 5, y - 5, 10, 10, fill=KINDS[kind])
    if kind == SILENT:
        return svg.dot(x, y, 5, fill=KINDS[kind])
    return svg.ring(x, y, 4.5, colour=KINDS[kind], thick=2.5)


def shift_picture(labels: np.ndarray, columns: np.ndarray, title: str) -> Picture:
    """What a network without a single mistake answers, its units put where the stretch puts them.

    labels: the truth, uint8 (S, S). columns: (S,), for each column of the answer the one that it
    was read from; rows go the same way.
    """
    source = np.clip(np.floor(columns + 0.5).astype(int), 0, len(labels) - 1)
    answer = labels[np.ix_(source, source)]
    kept = (labels != 255) & (answer != 255)  # where nobody knows nothing is wrong
    wrong = ((answer != labels) & kept).sum() / kept.sum()
    compared = right_and_wrong(np.where(kept, labels, 255), answer)
    off = np.asarray(columns) - np.arange(len(labels))
    inside = slice(8, len(labels) - 24)  # between the outer units
    moved = f"{off[inside].min():+.1f} to {off[inside].max():+.1f} px"
    titles = ["the labels", "the answer", f"wrong: {wrong:.0%}"]
    alt = f"{title}: each pixel answers for one {moved} away, and {wrong:.0%} of them are wrong."
    pictures = [PALETTE[labels], PALETTE[answer], compared]
    return panels(pictures, titles, alt, [*SCENE_KEY, *RIGHT_KEY])


def unit_rates(program: Program, output_stride: int) -> dict[str, list[int]]:
    """Rates of the 3x3 convolutions of a ResNet-50's last two stages, unit by unit."""
    layers = resnet(50, output_stride=output_stride, **program.options)
    rates = {"block3": [], "block4": []}
    for layer in layers:
        if layer.kernel_size == 3 and layer.name.startswith(tuple(rates)):
            rates[layer.name[:6]].append(layer.rate)
    if program.multi_grid != NO_GRID:
        rates["block4"] = [rates["block4"][-1] * unit for unit in program.multi_grid]
    return rates


def program_picture(name: str = AUTHORS, output_stride: int = 16) -> Picture:
    """One program's DeepLab v3+ on ResNet-50 from block3 to the logits, beside the authors'.

    name: of PROGRAMS; output_stride: 16 or 8. Pale orange: not as the authors have it.
    """
    program, authors = PROGRAMS[name], PROGRAMS[AUTHORS]
    title = f"{name}, output stride {output_stride}"
    parts = [svg.text(10, 24, title, size=15)]
    rates, theirs = unit_rates(program, output_stride), unit_rates(authors, output_stride)
    for row, stage in enumerate(rates):
        y = 62 + 92 * row
        parts.append(svg.text(10, y - 8, f"{stage}: rates of its 3x3", size=12))
        boxes = zip(rates[stage], theirs[stage], strict=True)
        parts += [_box(10 + 34 * k, y, 30, str(r), r != t) for k, (r, t) in enumerate(boxes)]
    branches, other_branches = (_branches(one, output_stride) for one in (program, authors))
    for row, (mine, other) in enumerate(zip(branches, other_branches, strict=True)):
        parts.append(_box(240, 62 + 30 * row, 190, mine, mine != other))
    parts.append(svg.text(240, 54, "ASPP, side by side", size=12))
    for row, (label, mine, other) in enumerate(_rest(program, authors)):
        y = 62 + 30 * row
        parts.append(svg.text(455, y + 17, label, size=12))
        parts.append(_box(560, y, 250, mine, mine != other))
    listed = [f"{stage} {', '.join(map(str, units))}" for stage, units in rates.items()]
    rest = [f"{label} {mine}" for label, mine, _ in _rest(program, authors)]
    alt = f"{title}. Rates: {'; '.join(listed)}. ASPP: {', '.join(branches)}. {'; '.join(rest)}."
    return from_svg(svg.document(820, 222, parts), alt)


def _branches(program: Program, output_stride: int) -> list[str]:
    branches = [f"{program.kind} 3x3, rate {rate}" for rate in program.rates[output_stride]]
    return ["1x1", *branches, "mean of the map, 1x1"]


def _rest(program: Program, authors: Program) -> list[tuple[str, str, str]]:
    """Label, what the program has, what the authors have."""
    fields = ("behind", "dropout", "decoder", "stretch", "auxiliary")
    labels = ("behind ASPP", *fields[1:])
    pairs = ((getattr(program, field), getattr(authors, field)) for field in fields)
    return [(label, *pair) for label, pair in zip(labels, pairs, strict=True)]


def _box(x: float, y: float, width: float, label: str, other: bool) -> str:
    fill = OTHER if other else "#eef2f6"
    box = svg.rect(x, y, width, 25, fill=fill, stroke=INK if other else FAINT)
    return box + svg.text(x + width / 2, y + 17, label, size=12, anchor="middle")


def differences(values: Sequence[tuple[str, float, float]]) -> Picture:
    """Bars of how far logits move under each switch, at output stride 16 and 8.

    values: (switch, share at 16, share at 8), shares of the largest logit.
    """
    longest = max(max(pair) for _, *pair in values)
    scale, left = 380 / longest, 300
    title = "Largest change of a logit in shares of the largest one, output stride 16 and 8"
    parts, sentences = [svg.text(10, 22, title)], []
    for row, (name, *pair) in enumerate(values):
        y = 40 + 40 * row
        parts.append(svg.text(left - 10, y + 20, name, anchor="end"))
        for place, (value, fill, stride) in enumerate(zip(pair, (SKY, SEA), (16, 8), strict=True)):
            width = scale * value
            parts.append(
                svg.rect(left, y + 15 * place, width, 13, fill=fill, stroke=INK, thick=0.7)
            )
            label = f"{value:.0%} at {stride}"
            parts.append(svg.text(left + width + 6, y + 11 + 15 * place, label, size=11))
        sentences.append(f"{name}: {pair[0]:.0%} at output stride 16, {pair[1]:.0%} at 8")
    alt = f"How far logits move with the same weights. {'; '.join(sentences)}."
    return from_svg(svg.document(left + 470, 50 + 40 * len(values), parts), alt)
