"""The drawings of taps: which inputs an output reads, in one layer and through a stack."""

from collections.abc import Sequence
from dataclasses import replace

from dlseg.arithmetic import Field, Layer, effective_kernel, output_size, stack_fields, taps
from dlseg.book import BLUE, FAINT, INK, ORANGE, PAPER, RED, SKY, Picture, from_svg, svg

CELL = 20  # side of one input pixel in the drawing
TOP = 74
LEFT, RIGHT = 180, 810  # of the rows of a stack


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
        remark = f"{formula}: wider than the padded input, {size + 2 * padding} pixels"
        parts = [svg.text(20, 30, given), svg.text(20, 55, remark)]
        return from_svg(svg.document(790, 80, parts), f"{given} {remark}.")
    out = output_size(size, kernel_size, stride, padding, rate)
    room = max(room, padding)
    left, top = 20 + room * CELL, TOP + room * CELL
    side = (size + 2 * room) * CELL
    corner = left - padding * CELL, top - padding * CELL
    parts = [
        svg.text(20, 22, given),
        svg.text(20, 44, f"{formula}; output {out} x {out}", size=15),
        _paper(left, top, size, padding),
        _first_and_second(left, top, kernel_size, rate, stride, padding, out),
        svg.rect(*corner, reach * CELL, reach * CELL, stroke=BLUE, thick=2.5),
        svg.text(20, TOP + side + 20, _legend(padding, out), size=12),
        _output(60 + side, top, out),
    ]
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
    legend = "dots: read by the first output"
    legend += "; rings: by its right neighbour" if out > 1 else ""
    return legend + ("; outside the frame: padding" if padding else "")


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
    field, read = stack_fields(layers)[-1], len(touched_units(layers)[0])
    described = "; ".join(f"rate {layer.rate}, stride {layer.stride}" for layer in layers)
    holes = f", {field.size - read} of them holes" if read < field.size else ""
    alt = f"From the bottom up: {described}. The top unit sees {field.size} input pixels{holes}."
    base = 24 + 58 * len(layers)
    return from_svg(svg.document(820, base + 46, [cone(layers, base, 58, view)]), alt)


def touched_units(layers: Sequence[Layer]) -> list[list[int]]:
    """Per level, input first: the units that unit 0 at the top depends on, holes left out."""
    levels = [[0]]
    for layer in reversed(layers):
        reads = (layer.taps(unit) for unit in levels[0])
        levels.insert(0, sorted({index for indices in reads for index in indices}))
    return levels


def cone(layers: Sequence[Layer], base: float, step: float, view: int = 45) -> str:
    """The units of every level along one row; filled are those that the top unit depends on.

    base: height of the row of input pixels; step: from one level up to the next.
    view: how many input pixels are drawn, at least.
    """
    layers = [replace(layer, padding=0) for layer in layers]
    fields, touched = [Field(), *stack_fields(layers)], touched_units(layers)
    size = max(view, fields[-1].size + 2)
    cell, shift = (RIGHT - LEFT) / size, (size - fields[-1].size) // 2

    def place(level: int, unit: int) -> tuple[float, float]:
        return LEFT + (shift + fields[level].centre(unit) + 0.5) * cell, base - step * level

    parts, side = [_links(layers, touched, place)], min(0.8 * cell, 12)
    for level in range(len(fields)):
        seen = [unit for unit in range(-size, 2 * size) if LEFT < place(level, unit)[0] < RIGHT]
        rest = set(seen).difference(touched[level])
        parts.append(_squares([place(level, unit) for unit in sorted(rest)], side, PAPER))
        parts.append(_squares([place(level, unit) for unit in touched[level]], side, BLUE))
        name = _level_name(level, layers)
        parts.append(svg.text(10, base - step * level + 4, name, size=12))
    left, right = LEFT + shift * cell, LEFT + (shift + fields[-1].size) * cell
    holes = fields[-1].size - len(touched[0])
    label = f"field {fields[-1].size}" + (f", {holes} holes" if holes else "")
    parts.append(svg.line(left, base + 16, right, base + 16, colour=RED, thick=2))
    parts.append(svg.text((left + right) / 2, base + 34, label, anchor="middle"))
    return "".join(parts)


def _links(layers: Sequence[Layer], touched: list[list[int]], place) -> str:
    """All lines between units and what they read, as one path."""
    ends = (
        (place(level, index), place(level + 1, unit))
        for level, layer in enumerate(layers)
        for unit in touched[level + 1]
        for index in layer.taps(unit)
    )
    path = "".join(f"M{x:.1f} {y:g}L{u:.1f} {v:g}" for (x, y), (u, v) in ends)
    return f'<path d="{path}" stroke="{BLUE}" stroke-width="0.7" opacity="0.4"/>'


def _squares(centres, side: float, fill: str) -> str:
    """Equal squares as one path."""
    step = f"h{side:.1f}v{side:.1f}h-{side:.1f}z"
    path = "".join(f"M{x - side / 2:.1f} {y - side / 2:.1f}{step}" for x, y in centres)
    return f'<path d="{path}" fill="{fill}" stroke="#9aa3ad" stroke-width="0.6"/>'


def _level_name(level: int, layers: Sequence[Layer]) -> str:
    if level == 0:
        return "row of pixels"
    layer = layers[level - 1]
    return f"layer {level}: rate {layer.rate}, stride {layer.stride}"
