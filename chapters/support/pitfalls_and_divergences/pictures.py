"""The drawings of chapter 14: where pitfalls lie, a mask that slid away, programs side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlseg.arithmetic import resnet
from dlseg.book import svg
from dlseg.book.picture import Picture, from_svg
from dlseg.book.style import BLUE, FAINT, INK, ORANGE, RED, SKY
from dlseg.data import PALETTE
from support.maps import panels, right_and_wrong

LOUD, SILENT, CHOICE = "an error", "nothing complains", "a choice"
KINDS = {LOUD: RED, SILENT: BLUE, CHOICE: ORANGE}
STATIONS = {  # where they lie, in the order of the data, each with its number, name and kind
    "files": ((3, "void", SILENT), (4, "own labels", SILENT), (5, "colours", SILENT),
              (6, "leaked lists", SILENT)),
    "weights": ((14, "not loaded", SILENT), (15, "converted", SILENT)),
    "backbone": ((10, "two strides", CHOICE), (11, "two grids", SILENT)),
    "ASPP": ((7, "one value", LOUD), (9, "rates", SILENT), (12, "dead branch", SILENT),
             (13, "after block7", SILENT)),
    "stretch": ((1, "shifted mask", SILENT), (2, "crop at 19", SILENT)),
    "loss": ((16, "NaN, blank", SILENT), (18, "auxiliary", CHOICE)),
    "training": ((8, "small batches", SILENT), (17, "dropout", CHOICE)),
    "score": ((19, "left training", SILENT),),
    "CRF": ((20, "no install", LOUD), (21, "sigmas", SILENT), (22, "made worse", CHOICE)),
}  # fmt: skip
STEP, TOP, ROW = 110, 56, 26

OTHER = "#f8dfae"  # pale orange: not as the authors have it
SEA = "#7fceb9"
ALIGNED, NOT_ALIGNED = "corners aligned", "corners not aligned"


@dataclass(frozen=True)
class Program:
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
    behind: tuple[str, ...]
    decoder: str
    stretch: str
    dropout: str
    auxiliary: str


SCALED = {16: (6, 12, 18), 8: (12, 24, 36)}
ALWAYS_LARGE = {16: (12, 24, 36), 8: (12, 24, 36)}
ALWAYS_SMALL = {16: (6, 12, 18), 8: (6, 12, 18)}
ON_3X3 = {"stride_on": "3x3"}
AUTHORS = "authors, as shipped"
NO_GRID, GRID = (1, 1, 1), (1, 2, 4)
TWO, NONE = "two separable 3x3", "none"

PROGRAMS = {
    AUTHORS: Program(
        {"stride_on": "last unit"}, GRID, SCALED, "separable", ("1x1, 256",), TWO, ALIGNED, "0.1",
        NONE,
    ),
    "torchvision, v3": Program(
        ON_3X3, NO_GRID, ALWAYS_LARGE, "plain", ("1x1, 256", "3x3, 256"), NONE, NOT_ALIGNED, "0.5",
        "weight 0.5",
    ),
    "VainF": Program(
        ON_3X3, NO_GRID, SCALED, "plain", ("1x1, 256",), "one plain 3x3", NOT_ALIGNED, "0.1", NONE,
    ),
    "segmentation-models-pytorch": Program(
        ON_3X3 | {"first_unit": "whole"}, NO_GRID, ALWAYS_LARGE, "bare separable",
        ("1x1, 256", "separable 3x3, 256"), "one bare separable 3x3", ALIGNED, "0.5", NONE,
    ),
    "kazuto1011": Program(
        {"stride_on": "1x1"}, GRID, ALWAYS_SMALL, "plain", ("1x1, 256",), "two plain 3x3",
        NOT_ALIGNED, NONE, NONE,
    ),
    "mmsegmentation": Program(
        ON_3X3, NO_GRID, ALWAYS_LARGE, "separable", ("3x3, 512",), TWO, "an option", "0.1",
        "weight 0.4",
    ),
    "deeplab2": Program(
        {"stride_on": "last unit"}, GRID, SCALED, "plain", ("1x1, 256",), TWO, ALIGNED, "0.1", NONE,
    ),
}  # fmt: skip


def pitfall_map() -> Picture:
    """Where the pitfalls of the chapter lie along the way of the data; colour and form: their kind.

    A square stops the program, a dot says nothing, a ring is a choice.
    """
    parts, told = [], []
    for column, (station, pitfalls) in enumerate(STATIONS.items()):
        x = 10 + STEP * column
        parts.append(svg.rect(x, TOP, STEP - 22, 30, fill=SKY, stroke=INK))
        parts.append(svg.text(x + (STEP - 22) / 2, TOP + 20, station, anchor="middle"))
        if column:
            parts.append(svg.line(x - 20, TOP + 15, x - 2, TOP + 15, thick=1.5))
        for row, (number, name, kind) in enumerate(pitfalls):
            y = TOP + 56 + ROW * row
            parts += [_mark(x + 5, y - 4, kind), svg.text(x + 14, y, f"{number} {name}", size=11)]
        names = ", ".join(f"{number} {name} ({kind})" for number, name, kind in pitfalls)
        told.append(f"{station}: {names}")
    for column, kind in enumerate(KINDS):
        x = 10 + 190 * column
        parts += [_mark(x + 5, 22, kind), svg.text(x + 18, 27, kind)]
    alt = f"The way of the data, and the pitfalls at each place. {'; '.join(told)}."
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
    return panels(pictures, titles, alt)


def unit_rates(program: Program, output_stride: int) -> dict[str, list[int]]:
    """Rates of the 3x3 convolutions of a ResNet-50's last two stages, unit by unit."""
    layers = resnet(50, output_stride=output_stride, **program.options)
    found = {}
    for stage, grid in (("block3", NO_GRID * 2), ("block4", program.multi_grid)):
        wide = [
            layer.rate
            for layer in layers
            if layer.name.startswith(stage) and layer.kernel_size == 3
        ]
        last = wide[-1]
        found[stage] = wide if set(grid) == {1} else [last * unit for unit in grid]
    return found


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
    words = _aspp_words(program, output_stride)
    for row, (mine, other) in enumerate(
        zip(words, _aspp_words(authors, output_stride), strict=True)
    ):
        parts.append(_box(240, 62 + 30 * row, 190, mine, mine != other))
    parts.append(svg.text(240, 54, "ASPP, side by side", size=12))
    for row, (label, mine, other) in enumerate(_rest(program, authors)):
        y = 62 + 30 * row
        parts.append(svg.text(455, y + 17, label, size=12))
        parts.append(_box(560, y, 250, mine, mine != other))
    told = [f"{stage} {', '.join(map(str, units))}" for stage, units in rates.items()]
    rest = [f"{label} {mine}" for label, mine, _ in _rest(program, authors)]
    alt = f"{title}. Rates: {'; '.join(told)}. ASPP: {', '.join(words)}. {'; '.join(rest)}."
    return from_svg(svg.document(820, 222, parts), alt)


def _aspp_words(program: Program, output_stride: int) -> list[str]:
    branches = [f"{program.kind} 3x3, rate {rate}" for rate in program.rates[output_stride]]
    return ["1x1", *branches, "mean of the map, 1x1"]


def _rest(program: Program, authors: Program) -> list[tuple[str, str, str]]:
    """Label, what the program has, what the authors have."""
    rows = [("behind ASPP", " then ".join(program.behind), " then ".join(authors.behind))]
    for label in ("dropout", "decoder", "stretch", "auxiliary"):
        rows.append((label, getattr(program, label), getattr(authors, label)))
    return rows


def _box(x: float, y: float, width: float, words: str, other: bool) -> str:
    fill = OTHER if other else "#eef2f6"
    box = svg.rect(x, y, width, 25, fill=fill, stroke=INK if other else FAINT)
    return box + svg.text(x + width / 2, y + 17, words, size=12, anchor="middle")


def differences(values: Sequence[tuple[str, float, float]]) -> Picture:
    """Bars of how far logits move under each switch, at output stride 16 and 8.

    values: (switch, share at 16, share at 8), shares of the largest logit.
    """
    longest = max(max(pair) for _, *pair in values)
    scale, left = 380 / longest, 300
    title = "Largest change of a logit in shares of the largest one, output stride 16 and 8"
    parts, told = [svg.text(10, 22, title)], []
    for row, (name, *pair) in enumerate(values):
        y = 40 + 40 * row
        parts.append(svg.text(left - 10, y + 20, name, anchor="end"))
        for place, (value, fill, stride) in enumerate(zip(pair, (SKY, SEA), (16, 8), strict=True)):
            width = scale * value
            parts.append(
                svg.rect(left, y + 15 * place, width, 13, fill=fill, stroke=INK, thick=0.7)
            )
            words = f"{value:.0%} at {stride}"
            parts.append(svg.text(left + width + 6, y + 11 + 15 * place, words, size=11))
        told.append(f"{name}: {pair[0]:.0%} at output stride 16, {pair[1]:.0%} at 8")
    alt = f"How far logits move with the same weights. {'; '.join(told)}."
    return from_svg(svg.document(left + 470, 50 + 40 * len(values), parts), alt)
