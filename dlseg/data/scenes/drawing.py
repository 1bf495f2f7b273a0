"""How one scene of the teaching data is made: what is in it, where, and in which colours."""

from dataclasses import dataclass

import numpy as np

from dlseg.checks import check_integer
from dlseg.data.scenes import shapes
from dlseg.data.scenes.canvas import Canvas, Draws, Thing

VERSION = 1  # of the generator: another number, other pixels
IGNORE_INDEX = 255
CLASSES = (
    "background",
    "stripes",
    "dots",
    "plate A",
    "plate B",
    "star",
    "ring",
    "wire",
    "lamp A",
    "lamp B",
)
(BACKGROUND, STRIPES, DOTS, PLATE_A, PLATE_B, STAR, RING, WIRE, LAMP_A, LAMP_B) = range(10)
# Outlines of plates and textures, and how far the farthest corner is off, in radii.
OUTLINES = ((shapes.disc, 1.0), (shapes.square, 1.21), (shapes.triangle, 1.3))
WARM, COOL = (1.0, 0.55, 0.05), (0.05, 0.5, 1.0)
SMALLEST, LARGEST = 48, 1024  # sizes of a scene, pixels
THICKNESS = 3.0  # of rings and wires, pixels
NOISE = 0.04  # standard deviation, colours being in [0, 1]


@dataclass(frozen=True)
class Scene:
    """One scene.

    image: uint8 (S, S, 3), RGB. label: uint8 (S, S), an index into CLASSES, or 255 = ignore.
    owner: uint16 (S, S), which of `things` a pixel belongs to, from 1; 0 is background or void.
    """

    image: np.ndarray
    label: np.ndarray
    owner: np.ndarray
    things: tuple[Thing, ...]

    @property
    def lamp_distance(self) -> np.ndarray:
        """Pixels from an unlit lamp to the lit one, float32 (S, S); 0 off unlit lamps."""
        return self._per_pixel([thing.lamp_distance for thing in self.things])

    @property
    def radius(self) -> np.ndarray:
        """Radius in pixels of the thing at each pixel, float32 (S, S); 0 off things."""
        return self._per_pixel([thing.radius for thing in self.things])

    def _per_pixel(self, values: list[float]) -> np.ndarray:
        return np.array([0.0, *values], np.float32)[self.owner]


def draw_scene(seed: int, index: int, size: int = 96) -> Scene:
    """The scene with that number: the same pixels on every machine.

    seed, index: whole numbers in [0, 2**32). size: pixels of each side, 48 to 1024; larger scenes
    hold more things of the same sizes. Raises: ValueError if an argument is out of its range.
    """
    seed = check_integer("seed", seed, 0, 2**32 - 1)
    index = check_integer("index", index, 0, 2**32 - 1)
    size = check_integer("size", size, SMALLEST, LARGEST)
    draws = Draws(VERSION, seed, index, size)
    canvas = Canvas(size, draws)
    portions = max(1, round(size * size / 96**2))
    for _ in range(portions):
        for _ in range(draws.integer(1, 2)):
            _paint_wire(canvas, draws)
        for _ in range(draws.integer(1, 2)):
            _paint_ring(canvas, draws)
    _paint_lamps(canvas, draws)
    for _ in range(portions):
        _paint_void(canvas, draws)
    _paint_solids(canvas, draws, portions)
    return _develop(canvas, draws)


def _develop(canvas: Canvas, draws: Draws) -> Scene:
    planes = canvas.planes + NOISE * draws.noise(*canvas.planes.shape)
    planes = np.clip(planes * 255 + 0.5, 0, 255).astype(np.uint8)  # (3, S, S), rounded
    image = np.ascontiguousarray(planes.transpose(1, 2, 0))  # (S, S, 3)
    return Scene(image, canvas.label, canvas.owner, tuple(canvas.things))


def _paint_wire(canvas: Canvas, draws: Draws) -> None:
    """A thin black or white curve through the picture."""
    points = _arc(canvas.size, draws)
    x, y = points[4]
    reach = max(max(abs(u - x), abs(v - y)) for u, v in points) + THICKNESS
    window, across, down = canvas.window(x, y, reach)
    shifted = [(u - x, v - y) for u, v in points]
    distance = shapes.polyline(across, down, shifted, THICKNESS)
    dark = canvas.grey(draws.integer(0, 1) == 1) < 0.5
    canvas.paint(window, distance, [0.0 if dark else 1.0] * 3)
    canvas.claim(window, distance, Thing(WIRE, x, y, THICKNESS / 2))


def _arc(size: int, draws: Draws) -> list[tuple[float, float]]:
    """Nine points on a parabola that runs through the picture, from side to side or up and down."""
    start, end = draws.uniform(0, 0.35 * size), draws.uniform(0.65 * size, size)
    first, last = draws.uniform(0, size), draws.uniform(0, size)
    middle = (first + last) / 2 + draws.uniform(-0.6 * size, 0.6 * size)
    points = []
    for t in (k / 8 for k in range(9)):
        along = start + t * (end - start)
        across = (1 - t) * (1 - t) * first + 2 * t * (1 - t) * middle + t * t * last
        points.append((along, across))
    return points if draws.integer(0, 1) else [(y, x) for x, y in points]


def _paint_ring(canvas: Canvas, draws: Draws) -> None:
    radius = draws.scale(5, 0.25 * canvas.size)
    x, y = (draws.uniform(0, canvas.size) for _ in range(2))
    window, across, down = canvas.window(x, y, radius + THICKNESS)
    distance = shapes.ring(across, down, radius, THICKNESS)
    canvas.paint(window, distance, _colour(canvas, draws))
    canvas.claim(window, distance, Thing(RING, x, y, radius))


def _paint_lamps(canvas: Canvas, draws: Draws) -> None:
    """Three or four crosses of one class; the first is lit and tells which, the rest are grey."""
    label = draws.integer(LAMP_A, LAMP_B)
    turn, unlit = draws.rotation(), [canvas.grey(draws.integer(0, 1) == 1)] * 3
    lit = _signal(canvas, draws, warm=label == LAMP_A)
    first = None
    for number in range(draws.integer(3, 4)):
        radius, colour = (8.0, lit) if number == 0 else (6.5, unlit)
        place = canvas.find_room(draws, radius + 1.5, margin=radius)
        if place is None:
            continue
        x, y = place
        first = first or place
        away = ((x - first[0]) * (x - first[0]) + (y - first[1]) * (y - first[1])) ** 0.5
        window, across, down = canvas.window(x, y, radius + 2)
        distance = shapes.cross(*shapes.rotate(across, down, turn), radius, radius / 3.5)
        canvas.paint(window, distance, colour)
        canvas.claim(window, distance, Thing(label, x, y, radius, away))


def _paint_void(canvas: Canvas, draws: Draws) -> None:
    """A rectangle of random pixels that no metric and no loss counts."""
    height, width = draws.integer(5, 14), draws.integer(5, 14)
    place = canvas.find_room(draws, 9.9, margin=8)
    if place is None:
        return
    column, row = int(place[0]) - width // 2, int(place[1]) - height // 2
    window = slice(row, row + height), slice(column, column + width)
    canvas.planes[:, *window] = draws.bytes(3, height, width).astype(np.float32) / 255
    canvas.label[window] = IGNORE_INDEX
    canvas.owner[window] = 0


def _paint_solids(canvas: Canvas, draws: Draws, portions: int) -> None:
    """Textures, plates and stars, the largest first while there is room."""
    largest = canvas.size / 3.2
    solids = []
    for _ in range(portions):
        for _ in range(draws.integer(3, 5)):
            solids.append((draws.scale(3.5, min(30, largest)), draws.integer(STRIPES, DOTS)))
        for _ in range(2):
            solids.append((draws.scale(8, min(28, largest)), draws.integer(PLATE_A, PLATE_B)))
        solids.append((draws.scale(8, min(26, largest)), STAR))
    for radius, label in sorted(solids, reverse=True):
        outline, corner = (shapes.star, 1.0)
        if label != STAR:
            outline, corner = OUTLINES[draws.integer(0, 2)]
        place = canvas.find_room(draws, radius * corner, margin=4)
        if place is not None:
            _paint_solid(canvas, draws, Thing(label, *place, radius), outline, corner)


def _paint_solid(canvas: Canvas, draws: Draws, thing: Thing, outline, corner: float) -> None:
    window, x, y = canvas.window(thing.x, thing.y, thing.radius * corner + 1)
    turned = shapes.rotate(x, y, draws.rotation())
    distance = outline(*turned, thing.radius)
    colour = _colour(canvas, draws)
    canvas.paint(window, distance, colour)
    canvas.claim(window, distance, thing)
    if thing.label in (STRIPES, DOTS):
        period = draws.uniform(4, 6)
        pattern = shapes.stripes(turned[0], period)
        if thing.label == DOTS:
            pattern = shapes.dots(*turned, period)
        canvas.paint(window, np.maximum(pattern, distance), _second(canvas, colour))
    if thing.label in (PLATE_A, PLATE_B):
        signal = _signal(canvas, draws, warm=thing.label == PLATE_A)
        canvas.paint(window, shapes.disc(x, y, 3.6), [0.06] * 3)  # sets it off from any plate
        canvas.paint(window, shapes.disc(x, y, 2.6), signal)


def _colour(canvas: Canvas, draws: Draws) -> list[float]:
    colour = [draws.uniform(0.03, 0.97) for _ in range(3)]
    return canvas.contrast(colour, draws.integer(0, 2))


def _second(canvas: Canvas, colour: list[float]) -> list[float]:
    """A second ink: far from the first, and in one channel as far from the background as it."""
    distances = [
        max(low - value, value - high)
        for value, low, high in zip(colour, canvas.low, canvas.high, strict=True)
    ]
    kept = distances.index(max(distances))
    moved = [value + 0.45 if value < 0.5 else value - 0.45 for value in colour]
    return [colour[c] if c == kept else moved[c] for c in range(3)]


def _signal(canvas: Canvas, draws: Draws, warm: bool) -> list[float]:
    """Orange or blue, redder or greener where the background would swallow it."""
    shades = [value + draws.uniform(-0.05, 0.05) for value in (WARM if warm else COOL)]
    return canvas.contrast([min(1.0, max(0.0, value)) for value in shades], channel=1)
