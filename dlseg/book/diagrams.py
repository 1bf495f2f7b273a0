"""The drawings of taps: which inputs an output reads, in one layer and through a stack."""

from collections.abc import Sequence

from dlseg.arithmetic import Field, Layer, effective_kernel, output_size, stack_fields, taps
from dlseg.book import svg
from dlseg.book.picture import Picture, from_svg
from dlseg.book.style import BLUE, FAINT, INK, ORANGE, SKY

CELL = 20  # side of one input pixel in the drawing
TOP = 74


def tap_picture(
    kernel_size: int = 3,
    rate: int = 2,
    stride: int = 1,
    padding: int = 0,
    size: int = 13,
    room: int = 0,
) -> Picture:
    """The input pixels that the first output and its right neighbour read.

    size: side of the square input, pixels; room: pixels of padding there is space for on each
    side, so that the drawing stays in place while a slider moves the padding.
    A kernel that does not fit gives a picture that says so.
    """
    reach = effective_kernel(kernel_size, rate)
    formula = f"K = {kernel_size} + ({kernel_size} - 1)({rate} - 1) = {reach}"
    given = f"Kernel {kernel_size}x{kernel_size}, rate {rate}, stride {stride}, padding {padding}."
    if reach > size + 2 * padding:
        words = f"{formula}: wider than the padded input, {size + 2 * padding} pixels"
        parts = [svg.text(20, 30, given), svg.text(20, 55, words)]
        return from_svg(svg.document(790, 80, parts), f"{given} {words}.")
    out = output_size(size, kernel_size, stride, padding, rate)
    room = max(room, padding)
    left, top = 20 + room * CELL, TOP + room * CELL
    side = (size + 2 * room) * CELL
    parts = [
        svg.text(20, 22, given),
        svg.text(20, 44, f"{formula}; output {out} x {out}", size=15),
        _paper(left, top, size, padding),
        _first_and_second(left, top, kernel_size, rate, stride, padding, out),
        svg.rect(*[left - padding * CELL, top - padding * CELL] + [reach * CELL] * 2,
                 stroke=BLUE, thick=2.5),
        svg.text(20, TOP + side + 20, _legend(padding, out), size=12),
        _output(60 + side, top, out),
    ]  # fmt: skip
    alt = f"{given} {formula}. The first output reads {kernel_size**2} of {reach**2} pixels under "
    alt += f"the kernel; the output is {out} x {out}."
    return from_svg(svg.document(70 + 1.7 * side, TOP + side + 34, parts), alt)


def _paper(left: float, top: float, size: int, padding: int) -> str:
    """The input, and around it its ring of padding."""
    side = size + 2 * padding
    corner = (left - padding * CELL, top - padding * CELL)
    return (
        svg.rect(*corner, side * CELL, side * CELL, stroke=FAINT, dash="3 3")
        + svg.rect(left, top, size * CELL, size * CELL, fill="#eef2f6")
        + svg.grid(*corner, side, side, CELL, colour="#d5dae1")
        + svg.rect(left, top, size * CELL, size * CELL, stroke=INK, thick=1.5)
    )


def _first_and_second(left, top, kernel_size, rate, stride, padding, out) -> str:
    """Filled cells with dots for output 0, rings for output 1."""
    first = taps(0, kernel_size, stride, padding, rate)
    second = taps(1, kernel_size, stride, padding, rate) if out > 1 else []
    parts = []
    for row in first:
        y = top + row * CELL
        for column in first:
            x = left + column * CELL
            parts.append(svg.rect(x, y, CELL, CELL, fill=SKY, stroke="#ffffff"))
            parts.append(svg.dot(x + CELL / 2, y + CELL / 2, 4))
        for column in second:
            parts.append(svg.ring(left + (column + 0.5) * CELL, y + CELL / 2, 7.5, colour=ORANGE))
    return "".join(parts)


def _legend(padding: int, out: int) -> str:
    words = "dots: read by the first output"
    words += "; rings: by its right neighbour" if out > 1 else ""
    return words + ("; outside the frame: padding" if padding else "")


def _output(left: float, top: float, out: int) -> str:
    cell = CELL * 0.7
    parts = [svg.text(left, top - 10, "output", size=12), svg.rect(left, top, cell, cell, fill=SKY)]
    if out > 1:
        parts.append(svg.ring(left + 1.5 * cell, top + cell / 2, 4.5, colour=ORANGE))
    parts += [svg.grid(left, top, out, out, cell, colour="#9aa3ad")]
    return "".join([*parts, svg.dot(left + cell / 2, top + cell / 2, 2.5)])


def stack_picture(layers: Sequence[Layer], view: int = 45) -> Picture:
    """What one unit at the top of a stack sees, layer by layer down to the input.

    layers: first layer first; drawn from the bottom up. Their padding only shifts the picture.
    view: how many input pixels are drawn, at least.
    """
    layers = [Layer(x.kernel_size, x.stride, 0, x.rate) for x in layers]
    fields = [Field(1, 1, 0), *stack_fields(layers)]
    touched = touched_units(layers)
    size = max(view, fields[-1].size + 2)
    holes = fields[-1].size - len(touched[0])
    shift, cell = (size - fields[-1].size) / 2, 700 / size
    base = 40 + 58 * len(layers)

    def place(level: int, unit: int) -> tuple[float, float]:
        field = fields[level]
        return 130 + (shift + field.start + unit * field.stride + 0.5) * cell, base - 58 * level

    parts = [_links(layers, touched, place)]
    for level in range(len(fields)):
        seen = [u for u in range(-size, 2 * size) if 130 < place(level, u)[0] < 830]
        parts.append(_units(level, seen, touched[level], place, min(cell, 14)))
        parts.append(svg.text(10, base - 58 * level + 4, _level_name(level, layers), size=12))
    parts.append(_bracket(shift, fields[-1].size, cell, base + 16, holes))
    alt = (
        f"{len(layers)} layers, rates {[x.rate for x in layers]}, strides "
        f"{[x.stride for x in layers]}: the top unit sees {fields[-1].size} input pixels, "
        f"{holes} of them holes."
    )
    return from_svg(svg.document(850, base + 48, parts), alt)


def touched_units(layers: Sequence[Layer]) -> list[list[int]]:
    """Per level, input first: the units that unit 0 at the top depends on, holes left out."""
    levels = [[0]]
    for layer in reversed(layers):
        reads = (taps(unit, layer.kernel_size, layer.stride, layer.padding, layer.rate)
                 for unit in levels[0])  # fmt: skip
        levels.insert(0, sorted({index for indices in reads for index in indices}))
    return levels


def _links(layers, touched, place) -> str:
    lines = []
    for level, layer in enumerate(layers):
        for unit in touched[level + 1]:
            for index in taps(unit, layer.kernel_size, layer.stride, 0, layer.rate):
                lines.append(svg.line(*place(level, index), *place(level + 1, unit), colour=BLUE,
                                      thick=0.8, opacity=0.35))  # fmt: skip
    return "".join(lines)


def _units(level, seen, touched, place, cell) -> str:
    parts, touched = [], set(touched)
    for unit in seen:
        x, y = place(level, unit)
        side = cell * 0.8
        fill = SKY if unit in touched else "#ffffff"
        parts.append(svg.rect(x - side / 2, y - side / 2, side, side, fill=fill, stroke="#9aa3ad"))
        parts.append(svg.dot(x, y, side * 0.22) if unit in touched else "")
    return "".join(parts)


def _level_name(level: int, layers: Sequence[Layer]) -> str:
    if level == 0:
        return "input"
    layer = layers[level - 1]
    return f"layer {level}: r {layer.rate}, s {layer.stride}"


def _bracket(shift, field, cell, y, holes) -> str:
    left, right = 130 + shift * cell, 130 + (shift + field) * cell
    words = f"field {field}" + (f", {holes} holes" if holes else "")
    ends = "".join(svg.line(x, y - 5, x, y + 5) for x in (left, right))
    return svg.line(left, y, right, y) + ends + svg.text((left + right) / 2, y + 20, words,
                                                         anchor="middle")  # fmt: skip
