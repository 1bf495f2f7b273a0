"""The drawings of the dense CRF: pixels that send messages, and masks before and after."""

from collections.abc import Sequence

import numpy as np

from dlseg.book import BLUE, FAINT, GREEN, INK, ORANGE, PAPER, RED, Picture, from_svg, svg
from support.maps import BROKEN, REPAIRED, STILL, changes, grey, key, panel, rgb

LABEL_COLOURS = (None, ORANGE, BLUE, GREEN)  # label 0 is left untinted
TINT = 115  # how opaque a label lies on the photograph, of 255
SIDE, GAP = 258, 16
SMALL = {"anchor": "middle", "size": 12}
CELL, STEP = 74, 132  # side of a drawn pixel, and from one to the next


def message_picture(
    greys: Sequence[int],
    unary: Sequence[float],
    kernel: np.ndarray,
    belief: Sequence[float],
    weight: float,
    pixel: int,
    iteration: int,
) -> Picture:
    """What one pixel of a row is told by the others, for two labels, and what it believes then.

    greys: 0..255, at most six. unary: probability of the first label, by the pixel alone.
    kernel: (N, N), its diagonal left out. belief: probability of the first label, before.
    pixel: counted from 1. iteration: counted from 1.
    """
    me, others = pixel - 1, [j for j in range(len(greys)) if j != pixel - 1]
    row, belief = np.asarray(kernel)[me], np.asarray(belief)
    heard = [float(sum(row[j] * q[j] for j in others)) for q in (belief, 1 - belief)]
    own = float(np.log(unary[me] / (1 - unary[me])))
    logit = own + weight * (heard[0] - heard[1])
    after = 1 / (1 + np.exp(-logit))
    lines = [
        f"for A: {_sum(row, belief, others)} = {heard[0]:.2f}",
        f"for B: {_sum(row, 1 - belief, others)} = {heard[1]:.2f}",
        f"log-odds of A: {own:.2f} of its own + {weight:g} x ({heard[0]:.2f} - {heard[1]:.2f})"
        f" = {logit:.2f}",
        f"so Q(A) goes from {belief[me]:.2f} to {after:.2f}",
    ]
    parts = [svg.text(20, 24, f"iteration {iteration}, messages to pixel {pixel}", size=15)]
    parts += [_arc(j, me, row[j]) for j in others]
    parts += [_pixel(j, greys[j], belief[j], j == me) for j in range(len(greys))]
    parts += [svg.text(_centre(j), 288, f"k = {row[j]:.2f}", **SMALL) for j in others]
    parts += [svg.text(20, 330 + 24 * i, line) for i, line in enumerate(lines)]
    alt = f"Iteration {iteration}, messages to pixel {pixel} of {len(greys)}: {'; '.join(lines)}."
    return from_svg(svg.document(40 + STEP * len(greys), 412, parts), alt)


def _sum(row: np.ndarray, belief: np.ndarray, others: Sequence[int]) -> str:
    return " + ".join(f"{row[j]:.2f} x {belief[j]:.2f}" for j in others)


def _centre(place: int) -> float:
    return 20 + STEP * place + STEP / 2


def _pixel(place: int, grey: int, belief: float, chosen: bool) -> str:
    """A square of its grey, and below it a bar that is orange as far as A is believed."""
    left = _centre(place) - CELL / 2
    frame = svg.rect(left, 148, CELL, CELL, fill=f"rgb({grey},{grey},{grey})", stroke=INK)
    if chosen:
        frame += svg.rect(left - 5, 143, CELL + 10, CELL + 10, stroke=RED, thick=3)
    bar = svg.rect(left, 238, CELL * belief, 12, fill=ORANGE)
    bar += svg.rect(left, 238, CELL, 12, stroke=INK)
    return frame + bar + svg.text(_centre(place), 268, f"Q(A) = {belief:.2f}", **SMALL)


def _arc(sender: int, receiver: int, kernel: float) -> str:
    """A bow from one pixel to another, as thick as the kernel between them."""
    start, end = _centre(sender), _centre(receiver)
    end += 10 * np.sign(start - end)
    turns = np.linspace(0, np.pi, 25)
    middle, half = (start + end) / 2, (start - end) / 2
    high = 22 + 18 * abs(sender - receiver)
    points = [(middle + half * np.cos(t), 136 - high * np.sin(t)) for t in turns]
    colour = BLUE if kernel >= 0.005 else FAINT
    return svg.polyline(points, colour=colour, thick=max(12 * kernel, 1))


def overlay(image: np.ndarray, labels: np.ndarray, x: float, y: float, side: float = SIDE) -> str:
    """A photograph with its labels as tints over it, inside a drawing.

    image: uint8 (H, W) or (H, W, 3). labels: integers (H, W), below 4.
    """
    tints = np.zeros((*labels.shape, 4), dtype=np.uint8)
    for label, colour in enumerate(LABEL_COLOURS):
        if colour:
            tints[labels == label] = (*rgb(colour), TINT)
    return svg.pixels(x, y, side, side, image) + svg.pixels(x, y, side, side, tints)


def mask_picture(image, before, after, truth, title: str) -> Picture:
    """The refined mask on the photograph, and which pixels it repaired and broke.

    image: uint8 (H, W) or (H, W, 3). before, after, truth: integers (H, W). title: a few words.
    """
    wrong = [int((labels != truth).sum()) for labels in (before, after)]
    repaired = int(((before != truth) & (after == truth)).sum())
    broken = int(((before == truth) & (after != truth)).sum())
    shown = [
        (f"repaired: {repaired} pixels", {"fill": REPAIRED}),
        (f"broken: {broken}", {"fill": BROKEN}),
        (f"wrong all the time: {wrong[0] - repaired}", {"fill": STILL}),
    ]
    scores = [
        f"wrong: {wrong[0]} before, {wrong[1]} after",
        f"mean IoU before: {mean_iou(before, truth):.3f}",
        f"mean IoU after: {mean_iou(after, truth):.3f}",
    ]
    right = 10 + 2 * (SIDE + GAP)
    parts = [
        svg.text(10, 18, title),
        overlay(image, after, 10, 28),
        svg.rect(10, 28, SIDE, SIDE, stroke=INK),
        panel(10 + SIDE + GAP, SIDE, changes(before, after, truth)),
        key(shown, right, 38, columns=1),
    ]
    parts += [svg.text(right, 146 + 28 * row, line) for row, line in enumerate(scores)]
    alt = f"{title}: {', '.join([*(line for line, _ in shown), *scores])}."
    return from_svg(svg.document(right + 210, 28 + SIDE + 10, parts), alt)


def mean_iou(labels: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union, the mean over the labels that the truth has."""
    masks = [(labels == label, truth == label) for label in np.unique(truth)]
    return float(np.mean([(a & b).sum() / (a | b).sum() for a, b in masks]))


def kernel_picture(
    image, values: np.ndarray, labels: np.ndarray, row: int, column: int, title: str
) -> Picture:
    """How much one pixel of a photograph listens to each other one.

    image: uint8 (H, W, 3). values: the kernel of the pixel (row, column), (H, W), in [0, 1].
    labels: integers (H, W), to say how much comes from other labels than the pixel's.
    """
    total, loud = float(values.sum()), int((values > 0.1).sum())
    foreign = float(values[labels != labels[row, column]].sum()) / total
    levels = np.round(values * 24) / 24  # nobody sees more, and the page is lighter
    unit = SIDE / len(values)
    spot = ((column + 0.5) * unit, 28 + (row + 0.5) * unit)
    right = 10 + 2 * (SIDE + GAP)
    parts = [
        svg.text(10, 18, title),
        panel(10, SIDE, image),
        panel(10 + SIDE + GAP, SIDE, grey(1 - levels)),
    ]
    for left in (10, 10 + SIDE + GAP):
        parts.append(svg.ring(left + spot[0], spot[1], 7, colour=PAPER, thick=5))
        parts.append(svg.ring(left + spot[0], spot[1], 7, colour=RED, thick=2.5))
    lines = [f"listens to {loud} pixels", "by more than 0.1"]
    lines += [f"sum of k: {total:.1f}", f"from other labels: {foreign:.0%}"]
    parts += [svg.text(right, 50 + 24 * i, line) for i, line in enumerate(lines)]
    alt = f"{title}: the pixel {' '.join(lines[:2])}; {lines[2]}, {lines[3]}."
    return from_svg(svg.document(right + 190, 38 + SIDE, parts), alt)
