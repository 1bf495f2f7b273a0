"""How one scene of trains is made: six lanes, four of them with a train, two with small things."""

from dataclasses import dataclass
from math import ceil

import numpy as np

from dlseg.checks import check_integer, check_number
from dlseg.data.scenes.canvas import Draws

VERSION = 1  # of the generator: another number, other pixels
KEY = 7  # keeps its streams apart from those of the scenes
SIDE, LANE = 129, 21  # pixels: of a scene, and of a lane
IGNORE_INDEX = 255
TRAIN_CLASSES = (
    "background",
    "stripes",
    "checks",
    "train A",
    "train B",
    "house day",
    "house night",
)
(BACKGROUND, STRIPES, CHECKS, TRAIN_A, TRAIN_B, DAY, NIGHT) = range(7)
TRAINS, SMALL = 4, 2  # lanes with a train, and with small things
SHORTEST, LONGEST, THICK, ENGINE = 20, 122, 10, 7  # pixels: of a train and its engine
WARM, COOL = (1.0, 0.25, 0.1), (0.1, 0.45, 1.0)  # engines of A and B
SUN, MOON, RADIUS = (1.0, 0.95, 0.1), (0.75, 0.2, 0.95), 7
NOISE = 0.04  # standard deviation, colours being in [0, 1]
MOST_BEND = 4  # pixels that a track may rise in its middle; a lane has room for no more


@dataclass(frozen=True)
class TrainScene:
    """One scene.

    image: uint8 (S, S, 3), RGB. label: uint8 (S, S), an index into TRAIN_CLASSES, or 255 = ignore.
    engine_distance: float32 (S, S), pixels along the track from a pixel of a train to the middle of
    its engine; NaN off trains. lamp_distance: float32 (S, S), pixels from a pixel of a house to the
    middle of the sun or moon; NaN off houses. Both are NaN where the label is 255.
    train: uint8 (S, S), 1 to 4: which one a pixel is of; 0 off trains. engine, lamp: bool (S, S),
    what tells the classes: pixels of engines, and those of the sun or moon. All with the rims.
    """

    image: np.ndarray
    label: np.ndarray
    engine_distance: np.ndarray
    lamp_distance: np.ndarray
    train: np.ndarray
    engine: np.ndarray
    lamp: np.ndarray


class _Board:
    """Planes that things are laid on, over a smooth dark background, with the tracks' bend."""

    def __init__(self, draws: Draws, bend: float):
        u = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
        corners = np.array([[draws.uniform(0.1, 0.4) for _ in range(3)] for _ in range(4)])
        across, down = u[None, :, None], u[:, None, None]
        upper = corners[0] * (1 - across) + corners[1] * across
        lower = corners[2] * (1 - across) + corners[3] * across
        self.colour = (upper * (1 - down) + lower * down).astype(np.float32)  # (S, S, 3)
        self.label = np.zeros((SIDE, SIDE), np.uint8)
        self.owner = np.zeros((SIDE, SIDE), np.uint8)
        self.distance = np.full((2, SIDE, SIDE), np.nan, np.float32)
        self.train = np.zeros((SIDE, SIDE), np.uint8)
        self.engine = np.zeros((SIDE, SIDE), bool)
        self.lamp = np.zeros((SIDE, SIDE), bool)
        rise = bend * 4 * u * (1 - u)  # (S,): of the tracks, by column
        self.x, self.y = np.broadcast_arrays(
            np.arange(SIDE, dtype=np.float32), np.arange(SIDE, dtype=np.float32)[:, None]
        )
        self.y = self.y - rise[None, :]

    def lay(self, inside: np.ndarray, label: int, colour) -> None:
        """Give the pixels `inside`, bool (S, S), to a new thing."""
        self.colour[inside] = colour
        self.label[inside] = label
        self.owner[inside] = self.owner.max() + 1

    def rims(self) -> np.ndarray:
        """Where another thing, or the background, is next to a thing: bool (S, S)."""
        padded = np.pad(self.owner, 1, mode="edge")
        near = np.zeros((SIDE, SIDE), bool)
        for down, across in ((0, 1), (2, 1), (1, 0), (1, 2)):
            near |= padded[down : down + SIDE, across : across + SIDE] != self.owner
        return near


def draw_trains(seed: int, index: int, turned: bool = False, bend: float = 0.0) -> TrainScene:
    """The scene with that number, 129 pixels a side: the same pixels on every machine.

    seed, index: whole numbers in [0, 2**32). turned: lay every second scene on its side.
    bend: pixels that the tracks rise, or fall, in their middle at the most, up to 4.
    Raises: ValueError if an argument is out of its range.
    """
    seed = check_integer("seed", seed, 0, 2**32 - 1)
    index = check_integer("index", index, 0, 2**32 - 1)
    bend = check_number("bend", bend, 0, MOST_BEND)
    draws = Draws(KEY, VERSION, seed, index)
    rise = draws.uniform(-bend, bend)
    board = _Board(draws, rise)
    lanes = by_lot([*_classes(draws), *[None] * SMALL], draws)
    top, night = draws.integer(0, 2), draws.integer(0, 1)
    lamp = None
    for number, label in enumerate(lanes):
        upper = top + LANE * number + draws.integer(2, 8)
        upper = min(max(upper, 2 + ceil(-rise)), SIDE - 13 - ceil(rise))  # none leaves the picture
        if label is None:
            lamp = _lay_small(board, upper, night, lamp, draws)
        else:
            _lay_train(board, upper, label, draws)
    return _developed(board, lamp, turned and draws.integer(0, 1) == 1, draws)


def _classes(draws: Draws) -> list[int]:
    """Of the four trains: the number of As is even, by which any three tell nothing of the last."""
    coins = [draws.integer(0, 1) for _ in range(TRAINS - 1)]
    return [TRAIN_B if coin else TRAIN_A for coin in [*coins, sum(coins) % 2]]


def _lay_train(board: _Board, upper: int, label: int, draws: Draws) -> None:
    """A grey bar with a coloured engine at one of its ends."""
    # The larger of two draws: long trains are common, and so are pixels far from their engine.
    length = max(draws.integer(SHORTEST, LONGEST), draws.integer(SHORTEST, LONGEST))
    left = draws.integer(2, SIDE - length - 2)
    rows = (board.y >= upper) & (board.y < upper + THICK)
    bar = rows & (board.x >= left) & (board.x < left + length)
    board.lay(bar, label, draws.uniform(0.65, 0.9))
    start = left + length - ENGINE if draws.integer(0, 1) else left
    engine = rows & (board.x >= start) & (board.x < start + ENGINE)
    board.colour[engine] = WARM if label == TRAIN_A else COOL
    board.engine |= engine
    board.train[bar] = board.train.max() + 1
    middle = start + (ENGINE - 1) / 2
    board.distance[0][bar] = np.abs(board.x - middle)[bar]


def _lay_small(board: _Board, upper: int, night: int, lamp, draws: Draws):
    """Three to five houses and discs with a texture; the first thing of all is the sun or moon.

    Returns: the middle of the sun or moon, (x, y) on the board.
    """
    first, slots = draws.integer(0, 11), by_lot(range(5), draws)
    for slot in slots[: draws.integer(3, 5)]:
        x, y, radius = first + 24 * slot + 9, upper + 5, draws.uniform(5, 7.5)
        across, down = board.x - x, board.y - y
        disc = across * across + down * down
        if lamp is None:
            lamp, board.lamp = (x, y), disc <= RADIUS * RADIUS
            board.lay(board.lamp, DAY + night, MOON if night else SUN)
        elif draws.integer(0, 1):
            side = radius - 1
            board.lay(
                np.maximum(np.abs(across), np.abs(down)) <= side,
                DAY + night,
                draws.uniform(0.65, 0.9),
            )
            board.colour[np.maximum(np.abs(across), np.abs(down)) <= 2] = 0.1  # the window
        else:
            _lay_texture(board, disc <= radius * radius, x, y, draws)
    return lamp


def _lay_texture(board: _Board, inside: np.ndarray, x: int, y: int, draws: Draws) -> None:
    label = draws.integer(STRIPES, CHECKS)
    light = [draws.uniform(0.5, 0.95) for _ in range(3)]
    dark = [draws.uniform(0.0, 0.3) for _ in range(3)]
    board.lay(inside, label, dark)
    columns = (board.x + x).astype(int) // 2
    rows = np.floor(board.y + y).astype(int) // 2
    bright = (columns % 2 if label == STRIPES else (columns + rows) % 2) == 1
    board.colour[inside & bright] = light


def _developed(board: _Board, lamp: tuple, turn: bool, draws: Draws) -> TrainScene:
    """The scene on the board, with noise, rims and distances."""
    noisy = board.colour + NOISE * draws.noise(SIDE, SIDE, 3)
    image = np.clip(noisy * 255 + 0.5, 0, 255).astype(np.uint8)
    houses = board.label >= DAY
    away = np.sqrt((board.x - lamp[0]) ** 2 + (board.y - lamp[1]) ** 2)
    board.distance[1][houses] = away[houses]
    rims = board.rims()
    label = np.where(rims, np.uint8(IGNORE_INDEX), board.label)
    board.distance[:, rims] = np.nan
    parts = image, label, *board.distance, board.train, board.engine, board.lamp
    if turn:
        parts = tuple(np.ascontiguousarray(part.swapaxes(0, 1)) for part in parts)
    return TrainScene(*parts)


def by_lot(items, draws: Draws) -> list:
    """The items in an order drawn by lot (Fisher and Yates)."""
    order = list(items)
    for last in range(len(order) - 1, 0, -1):
        other = draws.integer(0, last)
        order[last], order[other] = order[other], order[last]
    return order
