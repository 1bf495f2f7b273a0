"""The parts of the published backbones, and the one drawing of a network that chapters feed."""

from collections.abc import Sequence
from typing import NamedTuple

from dlseg.arithmetic import StagePlan, plan_stages
from dlseg.book import FAINT, INK, ORANGE, PAPER, RED, SKY, Picture, from_svg, svg
from support.maps import key

# Per backbone its parts in order: name, channels, stride as trained.
_PARTS = {
    "VGG-16": "conv1 64 2, conv2 128 2, conv3 256 2, conv4 512 2, conv5 512 2",
    "ResNet-50": "stem 64 4, layer1 256 1, layer2 512 2, layer3 1024 2, layer4 2048 2",
    "MobileNetV2": "stem 32 2, row 1 16 1, row 2 24 2, row 3 32 2, row 4 64 2, row 5 96 1, "
    "row 6 160 2, row 7 320 1",
    "Xception-65": "stem 64 2, entry 1 128 2, entry 2 256 2, entry 3 728 2, middle 728 1, "
    "exit 1 1024 2, exit 2 2048 1",
}


def _part(text: str) -> tuple[str, int, int]:
    name, channels, stride = text.rsplit(" ", 2)
    return name, int(channels), int(stride)


PARTS = {name: tuple(map(_part, parts.split(", "))) for name, parts in _PARTS.items()}
IMAGE, BACKBONE, RATE, HEAD = "image", "backbone", "rate above 1", "head"
FILLS = {IMAGE: FAINT, BACKBONE: SKY, RATE: ORANGE, HEAD: "#7fceb9"}  # of boxes, and their key
CUT = {"stroke": RED, "thick": 3, "dash": "5 3"}  # the frame of a box that lost its stride
WIDTH, COLUMN, LARGEST, LINE = 820, 92, 80, 17  # of a drawing, a box and its words, in pixels
BASE, BRANCHED_BASE, BETWEEN = 142, 208, 236  # where the first row stands, and the next
BRANCH, ROOM = 172, 250  # width of a branch, and of all that lies between two boxes


def planned_parts(backbone: str, output_stride: int, side: int) -> list[tuple[StagePlan, int]]:
    """The plan of each part, and the side of the map it makes of a picture of `side` pixels.

    VGG-16 ends each part with a 2x2 pool without padding; all others round up.
    Raises ValueError for an unknown backbone or output stride.
    """
    if backbone not in PARTS:
        raise ValueError(f"backbone must be one of {', '.join(PARTS)}, got {backbone!r}")
    plans, parts = plan_stages([stride for *_, stride in PARTS[backbone]], output_stride), []
    for plan in plans:
        if backbone == "VGG-16":
            side = side // 2 if plan.stride == 2 else side - plan.first_rate
        else:
            side = -(-side // plan.stride)
        parts.append((plan, side))
    return parts


class Box(NamedTuple):
    """One map: its name, its side in units, what is written below, and how it is filled.

    kind: a key of FILLS. cut: whether its stride was taken away.
    """

    name: str
    side: int
    lines: Sequence[str] = ()
    kind: str = BACKBONE
    cut: bool = False


class Branches(NamedTuple):
    """Ways side by side behind the box of column `after` in the first row: lines, and their kind.

    sign: where they meet, such as "+".
    """

    after: int
    ways: Sequence[tuple[Sequence[str], str]]
    sign: str = ""


class _Place(NamedTuple):
    """A box in the drawing: left end, base line, side, and where its words end."""

    x: float
    base: float
    size: float
    foot: float


def network_picture(
    title: str,
    rows: Sequence[Sequence[Box | None]],
    alt: str,
    *,
    branches: Branches | None = None,
    links: Sequence[tuple[tuple[int, int], tuple[int, int]]] = (),
    notes: Sequence[str] = (),
    largest: int = 0,
    by_root: bool = False,
) -> Picture:
    """A network as its maps: squares as large as they are, with names, sizes and words below.

    rows: of boxes from left to right, None where a column is empty. links: arrows, each from
    (row, column) to (row, column). notes: lines at the foot. largest: side of the map that fills
    its column, the largest if 0. by_root: squares grow with the root of the side, where the
    smallest could not be seen otherwise.
    """
    boxes = {(r, c): box for r, row in enumerate(rows) for c, box in enumerate(row) if box}
    largest = largest or max(box.side for box in boxes.values())
    columns, room = max(map(len, rows)), ROOM if branches else 0
    column = max(COLUMN, (WIDTH - 20 - room) / columns)
    places = {}
    for (r, c), box in boxes.items():
        x = 10 + c * column + (room if branches and c > branches.after else 0)
        base = (BRANCHED_BASE if branches else BASE) + r * BETWEEN
        size = max(3, LARGEST * (box.side / largest) ** (0.5 if by_root else 1))
        places[r, c] = _Place(x, base, size, base + 6 + LINE * (2 + len(box.lines)))
    parts = [
        svg.text(10, 22, title, size=14),
        _key(boxes.values(), branches.ways if branches else ()),
    ]
    parts += [_box(box, places[at]) for at, box in boxes.items()]
    parts += [_arrow(start, end, places, column) for start, end in links]
    if branches:
        parts.append(_branches(branches, places[0, branches.after], places[0, branches.after + 1]))
    foot = max(place.foot for place in places.values()) + (14 if links else 0)
    parts += [svg.text(10, foot + 24 + 20 * row, note) for row, note in enumerate(notes)]
    width = max(WIDTH, 20 + columns * column + room)
    return from_svg(svg.document(width, foot + 16 + 20 * len(notes), parts), alt)


def _key(boxes, ways) -> str:
    """What the fills and frames of the boxes mean, as far as they are there."""
    used = {box.kind for box in boxes} | {kind for _, kind in ways}
    entries = [(kind, {"fill": FILLS[kind], "stroke": INK}) for kind in FILLS if kind in used]
    if any(box.cut for box in boxes):
        entries.append(("stride taken away", CUT))
    return key(entries, 10, 34)


def _box(box: Box, place: _Place) -> str:
    x, base, size, _ = place
    frame = CUT if box.cut else {"stroke": INK}
    lines = (box.name, f"{box.side} x {box.side}", *box.lines)
    return svg.rect(x, base - size, size, size, fill=FILLS[box.kind], **frame) + "".join(
        svg.text(x, base + 20 + LINE * row, line, size=12) for row, line in enumerate(lines)
    )


def _branches(branches: Branches, start: _Place, end: _Place) -> str:
    """Boxes with words, one above the other, linked to the map before and the one behind."""
    heights = [9 + LINE * len(lines) for lines, _ in branches.ways]
    middle = start.base - LARGEST / 2
    y = middle - (sum(heights) + 8 * (len(heights) - 1)) / 2
    left = end.x - ROOM + 12
    meet = end.x - (26 if branches.sign else 4)
    begin = start.x + start.size + 4, start.base - start.size / 2
    parts = []
    for (lines, kind), height in zip(branches.ways, heights, strict=True):
        parts.append(svg.line(*begin, left, y + height / 2))
        parts.append(svg.line(left + BRANCH, y + height / 2, meet, end.base - end.size / 2))
        parts.append(svg.rect(left, y, BRANCH, height, fill=FILLS[kind], stroke=INK))
        for row, line in enumerate(lines):
            parts.append(svg.text(left + 8, y + 17 + LINE * row, line, size=12))
        y += height + 8
    if branches.sign:
        y = end.base - end.size / 2
        parts += [svg.line(meet, y, end.x - 4, y), svg.dot(meet, y, 11)]
        parts.append(svg.text(meet, y + 6, branches.sign, size=17, anchor="middle", colour=PAPER))
    return "".join(parts)


def _arrow(start, end, places: dict, column: float) -> str:
    """An arrow between two boxes: level, down to another row, or under the boxes in between."""
    (x1, base, size, foot), (x2, to, wide, under) = places[start], places[end]
    if base != to:
        half = (foot + to - wide) / 2
        middles = x1 + size / 2, x2 + wide / 2
        way = [(middles[0], foot + 4), (middles[0], half), (middles[1], half)]
        way.append((middles[1], to - wide - 4))
    elif any((start[0], c) in places for c in range(start[1] + 1, end[1])):
        side, low, middle = x1 + column - 12, under + 14, x2 + wide / 2
        way = [(x1 + size + 4, base - 8), (side, base - 8), (side, low), (middle, low)]
        way.append((middle, under + 3))
    else:
        way = [(x1 + size + 4, base - 12), (x2 - 4, base - 12)]
    return svg.polyline(way, thick=1.5) + svg.polyline(_head(*way[-2:]), thick=1.5)


def _head(before: tuple[float, float], tip: tuple[float, float]) -> list[tuple[float, float]]:
    """The head of an arrow whose last piece is level or upright."""
    dx, dy = (5 * ((b > a) - (b < a)) for a, b in zip(before, tip, strict=True))
    (x, y) = tip
    return [(x - dx - dy, y - dy - dx), tip, (x - dx + dy, y - dy + dx)]
