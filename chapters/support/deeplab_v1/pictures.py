"""The drawings of chapter 08: the network and its sizes, the taps of fc6, what the CRF changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import torch
from torch import nn

from dlseg.arithmetic import Layer, conv_multiply_adds, stack_fields
from dlseg.backbones import VGG16
from dlseg.book import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    SKY,
    Picture,
    from_figure,
    from_svg,
    new_figure,
    svg,
)
from dlseg.models import VARIANTS, DeepLabV1
from support.maps import BROKEN, REPAIRED, STILL, changes, key
from support.stages import BACKBONE, FILLS, HEAD, IMAGE, RATE, Box, network_picture

NETWORKS = {"of the paper": False, "as released": True}
UNITS = {"centre": (0.5, 0.5), "side": (0.5, 0), "corner": (0, 0)}
CELL, LEFT, TOP = 5.6, 12, 40  # side of a drawn unit of fc6's map, and where the padding begins
CONV5 = 28  # index of conv5_3 among the layers of VGG-16
POOLS = ("image", "pool1", "pool2", "pool3", "pool4")
BRANCHES = tuple(zip(POOLS, (3, 64, 128, 256, 512), (8, 4, 2, 1, 1), strict=True))  # with strides
ROW = 44


@dataclass(frozen=True)
class Stage:
    """One map: units along a side, channels, the pixels along one axis that a unit sees.

    layer: the one that makes it. dense: whether holes changed it.
    """

    name: str
    side: int
    channels: int
    field: int
    layer: Layer
    dense: bool

    def box(self) -> Box:
        """The map as a box, and whether it lost its stride."""
        channels, field = f"{self.channels} ch.", f"sees {self.field}"
        if self.name.startswith("pool"):
            stride = self.layer.stride
            return Box(self.name, self.side, (channels, f"stride {stride}", field), cut=stride == 1)
        kind = HEAD if self.name.startswith("fc") else BACKBONE
        kind = RATE if self.layer.rate > 1 else kind
        change = "1x1" if self.layer.kernel_size == 1 else f"rate {self.layer.rate}"
        return Box(self.name, self.side, (channels, change, field), kind)


@cache
def _modules(variant: str, released: bool, output_stride: int) -> list[tuple[str, nn.Module]]:
    """All layers with a window, first to last; those whose maps are drawn have a name."""
    with torch.device("meta"):
        network = DeepLabV1("vgg16", variant=variant, released=released)
        features = VGG16(output_stride, pool_size=3 if released else 2).features
    network.fc6.dilation = (_rate(variant, output_stride),) * 2
    layers, pools = [], 0
    for place, module in enumerate(features):
        pools += isinstance(module, nn.MaxPool2d)
        name = f"pool{pools}" if isinstance(module, nn.MaxPool2d) else ""
        name = "conv5" if place == CONV5 else name
        if hasattr(module, "kernel_size"):
            layers.append((name, module))
    if released:
        layers.append(("", network.pool5a))
    return [*layers, ("fc6", network.fc6), ("fc7", network.fc7), ("fc8", network.fc8)]


def _rate(variant: str, output_stride: int) -> int:
    """fc6's rate in units of the map, so that it spans the same pixels at any output stride."""
    return VARIANTS[variant][1] * 8 // output_stride


def stages(
    variant: str, released: bool, side: int, output_stride: int = 8
) -> tuple[list[Stage], int]:
    """The named maps of DeepLab v1 for an image of `side` pixels, and the multiply-adds up to fc8.

    variant: a key of `VARIANTS`; released: as for `DeepLabV1`; output_stride: 8 as in the paper,
    or 16 or 32, with fewer holes or none. By arithmetic, nothing is computed.
    """
    maps, layers, total, channels = [], [], 0, 3
    # Zeros around the image, as `pad_for_pools` has them at output stride 8.
    width = side if released else side + (32 - output_stride) + -side % output_stride
    for name, module in _modules(variant, released, output_stride):
        window = (module.kernel_size, module.stride, module.padding, getattr(module, "dilation", 1))
        layers.append(Layer(*(size[0] if isinstance(size, tuple) else size for size in window)))
        layer = layers[-1]
        width = width if name == "fc6" else layer.output_size(width)  # padded to keep it
        if isinstance(module, nn.Conv2d):
            total += conv_multiply_adds(channels, module.out_channels, width, layer.kernel_size)
            channels = module.out_channels
        if name:
            field, dense = stack_fields(layers)[-1].size, _dense(name, layer, output_stride)
            maps.append(Stage(name, width, channels, field, layer, dense))
    return maps, total


def _dense(name: str, layer: Layer, output_stride: int) -> bool:
    """Whether the hole algorithm changed a layer: it took its stride, or gave it a rate."""
    if name.startswith("pool"):
        return layer.stride == 1
    return layer.rate > 1 and (name == "conv5" or output_stride < 32)


def parameters(variant: str) -> int:
    """Weights and biases of DeepLab v1 with 21 classes; the same as released."""
    convolutions = (m for _, m in _modules(variant, False, 8) if isinstance(m, nn.Conv2d))
    return sum(p.numel() for m in convolutions for p in m.parameters())


def v1_picture(
    variant: str = "LargeFOV",
    output_stride: int = 8,
    side: int = 321,
    network: str = "of the paper",
) -> Picture:
    """DeepLab v1 from image to logits, one square per map, with sizes, fields and costs.

    variant: a key of `VARIANTS`. output_stride, side: as for `stages`. network: a key of
    `NETWORKS`.
    """
    maps, total = stages(variant, NETWORKS[network], side, output_stride)
    kernel_size, rate = VARIANTS[variant][0], _rate(variant, output_stride)
    title = "DeepLab v1" if network == "of the paper" else f"DeepLab v1 {network}"
    title += f", output stride {output_stride}, fc6 {kernel_size}x{kernel_size} at rate {rate}, "
    title += f"image of {side} x {side} pixels"
    boxes = [Box("image", side, ("3 ch.",), IMAGE), *(stage.box() for stage in maps)]
    boxes.append(Box("logits", side, ("21 ch.",), HEAD))
    field, units = maps[-1].field, maps[-1].side
    costs = f"{parameters(variant) / 1e6:.1f} M parameters, {total / 1e9:.1f} G multiply-adds"
    note = f"{units} x {units} scores, each sees {field} x {field} pixels; {costs}"
    sides = ", ".join(f"{box.name} {box.side}" for box in boxes)
    changed = ", ".join(stage.name for stage in maps if stage.dense) or "nothing"
    alt = f"{title}. Sides: {sides}. Changed by holes: {changed}. {note}."
    return network_picture(title, [boxes], alt, notes=[note], by_root=True)


def fc6_taps(variant: str, unit: str, units: int) -> list[tuple[int, int]]:
    """Rows and columns that fc6 reads for one unit of a map of `units` x `units`; some outside.

    unit: a key of `UNITS`.
    """
    kernel_size, rate, _ = VARIANTS[variant]
    layer = Layer(kernel_size, 1, rate * (kernel_size - 1) // 2, rate)
    row, column = (round(share * (units - 1)) for share in UNITS[unit])
    return list(product(layer.taps(row), layer.taps(column)))


def fc6_picture(variant: str = "LargeFOV", unit: str = "centre", units: int = 41) -> Picture:
    """The taps of fc6 for one unit, on the map of pool5.

    variant: a key of `VARIANTS`; unit: of `UNITS`; units: side of the map.
    """
    kernel_size, rate, channels = VARIANTS[variant]
    taps, edge = fc6_taps(variant, unit, units), rate * (kernel_size - 1) // 2
    inside = sum(0 <= row < units and 0 <= column < units for row, column in taps)
    reach, whole = rate * (kernel_size - 1) + 1, (units + 2 * edge) * CELL
    title = f"fc6 {kernel_size}x{kernel_size}, rate {rate}, on a map of {units} x {units}"
    lines = [
        f"unit at the {unit} (black frame)",
        f"{kernel_size**2} taps from end to end of {reach} units",
        f"{inside} of them on the map",
        f"around it {edge} rows of zeros",
        f"{kernel_size**2 * 512 * channels / 1e6:.1f} M weights",
    ]
    x, y = LEFT + edge * CELL, TOP + edge * CELL
    parts = [svg.text(LEFT, 24, title, size=14)]
    parts.append(svg.rect(LEFT, TOP, whole, whole, stroke=FAINT, dash="4 3"))
    parts.append(svg.rect(x, y, units * CELL, units * CELL, fill="#eef2f6", stroke=INK))
    parts.append(svg.grid(x, y, units, units, CELL, colour="#d5dae1"))
    for row, column in taps:
        on_map = 0 <= row < units and 0 <= column < units
        at = (x + column * CELL, y + row * CELL, CELL, CELL)
        parts.append(svg.rect(*at, fill=BLUE if on_map else FAINT))
    row, column = (round(share * (units - 1)) for share in UNITS[unit])
    at = (x + column * CELL - 2, y + row * CELL - 2, CELL + 4, CELL + 4)
    parts.append(svg.rect(*at, stroke=INK, thick=2))
    right = LEFT + (units + 24) * CELL + 24
    parts += [svg.text(right, TOP + 110 + 26 * i, line) for i, line in enumerate(lines)]
    drawn = svg.document(right + 260, TOP + (units + 24) * CELL + 12, parts)
    return from_svg(drawn, f"{title}: {', '.join(lines)}.")


def msc_picture() -> Picture:
    """The five branches of MSc, from early maps to the classifier."""
    parts = [svg.text(12, 22, "MSc: early maps help the classifier", size=14)]
    middle = 40 + ROW * 2.5
    for number, (name, channels, stride) in enumerate((*BRANCHES, ("fc7", 1024, 0))):
        y = 40 + ROW * number
        parts.append(_cell(12, y, 150, f"{name}, {channels} ch.", SKY))
        if stride:
            parts.append(_cell(190, y, 190, f"3x3, stride {stride}, 128 ch.", ORANGE))
            parts.append(_cell(408, y, 130, "1x1, 128 ch.", ORANGE))
            parts += [svg.line(162, y + 14, 190, y + 14), svg.line(380, y + 14, 408, y + 14)]
        end = 538 if stride else 162
        parts.append(svg.polyline([(end, y + 14), (574, y + 14), (600, middle + 14)], thick=1))
    parts.append(_cell(600, middle, 190, "join: 1024 + 5 x 128 ch.", FILLS[HEAD]))
    parts.append(svg.line(790, middle + 14, 814, middle + 14))
    parts.append(_cell(814, middle, 130, "fc8: 1x1, 21 ch.", FILLS[HEAD]))
    begins = "; ".join(f"{name} with {c} channels, stride {s}" for name, c, s in BRANCHES)
    alt = (
        f"Five branches of a 3x3 and a 1x1 convolution, 128 channels each, begin at {begins}; they "
    )
    alt += "are joined to the 1024 channels of fc7, and the classifier fc8 reads all 1664."
    return from_svg(svg.document(956, 50 + 6 * ROW, parts), alt)


def _cell(x: float, y: float, width: float, label: str, fill: str) -> str:
    box = svg.rect(x, y, width, 28, fill=fill, stroke=INK)
    return box + svg.text(x + 8, y + 19, label, size=12)


def repairs(before: np.ndarray, after: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """What refinement repaired and broke, as `crf.changes`; void pixels (255) stay white.

    before, after, truth: integers (H, W). Returns: uint8 (H, W, 3).
    """
    known = truth != 255
    return changes(np.where(known, before, truth), np.where(known, after, truth), truth)


def colour_key() -> Picture:
    """What the colours of `repairs` mean."""
    colours = {"repaired": REPAIRED, "broken": BROKEN, "wrong before and after": STILL}
    drawn = key([(name, {"fill": colour}) for name, colour in colours.items()], 12, 8)
    alt = "Green pixels were repaired, red ones broken, grey ones wrong before and after."
    return from_svg(svg.document(520, 30, [drawn]), alt)


def dumbbells(
    pairs: Sequence[tuple[str, float, float]], title: str, names: tuple[str, str]
) -> Picture:
    """Two values per row, joined by a line: (label, first, second), with what they are called."""
    figure, axes = new_figure(height=1.3 + 0.34 * len(pairs))
    rows = range(len(pairs))
    for row, (_, first, second) in zip(rows, pairs, strict=True):
        axes.plot([first, second], [row, row], color=FAINT, linewidth=3, marker="", linestyle="-")
    for place, (name, colour, marker) in enumerate(zip(names, (BLUE, ORANGE), "os", strict=True)):
        values = [pair[1 + place] for pair in pairs]
        axes.plot(values, rows, linestyle="", color=colour, marker=marker, markersize=7, label=name)
        for row, value in zip(rows, values, strict=True):
            place_of = {"xytext": (8 if place else -8, 0), "textcoords": "offset points"}
            look = {"ha": "left" if place else "right", "va": "center", "fontsize": 9}
            axes.annotate(f"{value:.2f}", (value, row), **place_of, **look)
    low, high = (edge(value for pair in pairs for value in pair[1:]) for edge in (min, max))
    room = 0.14 * (high - low)
    axes.set(ylim=(len(pairs) - 0.5, -0.5), xlim=(low - room, high + room), title=title)
    axes.set_yticks(rows, [label for label, *_ in pairs])
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
    listed = "; ".join(f"{label}: {first:.2f}, {second:.2f}" for label, first, second in pairs)
    return from_figure(figure, f"{title}, {names[0]} and {names[1]}. {listed}.")
