"""The lost-and-found folder: coins, leaves, keys and buttons on grass, gravel and brick.

The grounds and the coins are photographs that come with scikit-image; leaves, keys and buttons are
drawn. `write` makes a folder as somebody might hand it over, faults included.
"""

from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from dlseg.data import read_image, read_label, write_label

CLASSES = ("ground", "coin", "leaf", "key", "button")  # index = label
PALETTE = np.zeros((256, 3), np.uint8)
PALETTE[:5] = (40, 40, 40), (230, 159, 0), (0, 158, 115), (213, 94, 0), (86, 180, 233)
WIDTH, HEIGHT = 193, 145  # pixels of a picture, 16 k + 1
FINE = 4  # things are drawn so many times as large
GROUNDS = {  # the colours of a dark pixel and of a light one
    "grass": ((20, 38, 10), (205, 222, 150)),
    "gravel": ((30, 30, 34), (225, 220, 212)),
    "brick": ((60, 14, 6), (240, 205, 180)),
}
PICTURES = 96
# What is wrong with the folder, by the numbers of pictures.
IN_COLOURS, SMALLER, OUTSIDE, RENAMED = 10, 41, 65, 33
COPY = (49, 6)  # the first is the second again
OTHER_LIST = range(84, 96)
# How often a thing lies in a picture: keys are rare, as they are.
OFTEN = {"coin": 0.75, "leaf": 0.8, "key": 0.2, "button": 0.5}


@cache
def _grey(name: str) -> Image.Image:
    folder = Path(find_spec("skimage").submodule_search_locations[0], "data")
    with Image.open(folder / f"{name}.png") as image:
        return image.convert("L")


def tinted(grey: Image.Image, dark: tuple, light: tuple) -> Image.Image:
    """A grey picture in the colours from `dark` to `light`."""
    share = np.asarray(grey, np.float32)[..., None] / 255
    colours = np.array(dark, np.float32) * (1 - share) + np.array(light, np.float32) * share
    return Image.fromarray(colours.astype(np.uint8))


def ground(name: str, rng: np.random.Generator, width: int = WIDTH) -> Image.Image:
    """A piece of ground, as light as the hour, so many pixels wide."""
    grey = _grey(name)
    side = rng.integers(WIDTH + 40, 480)
    left, top = (int(rng.integers(0, 512 - side)) for _ in range(2))
    piece = grey.crop((left, top, left + side, top + round(side * HEIGHT / width)))
    piece = piece.resize((width, HEIGHT), Image.Resampling.BILINEAR)
    day = rng.uniform(0.7, 1.1)
    dark, light = GROUNDS[name]
    return tinted(piece, dark, tuple(min(255, day * value) for value in light))


@cache
def coins() -> list[Image.Image]:
    """The coins of the museum's photograph, each cut out, grey with its shape as alpha."""
    grey = _grey("coins")
    values = np.asarray(grey, np.float32)
    raised = values > ndimage.gaussian_filter(values, 30) + 8
    solid = ndimage.binary_fill_holes(ndimage.binary_closing(raised, iterations=2))
    labels, _ = ndimage.label(ndimage.binary_opening(solid, iterations=4))
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        shape = labels[rows, columns] == number
        height, width = shape.shape
        if shape.sum() > 600 and 0.8 < height / width < 1.25:
            alpha = Image.fromarray((255 * shape).astype(np.uint8))
            box = (columns.start, rows.start, columns.stop, rows.stop)
            found.append(Image.merge("LA", (grey.crop(box), alpha)))
    return found


def coin(rng: np.random.Generator) -> Image.Image:
    """A coin of bronze or silver."""
    kinds = coins()
    patch = kinds[rng.integers(len(kinds))]
    grey, alpha = patch.split()
    light = [(255, 236, 214), (255, 222, 160), (240, 190, 140)][rng.integers(3)]
    size = round(rng.uniform(20, 32))
    return _with_alpha(tinted(grey, (30, 20, 10), light), alpha).resize((size, size))


def leaf(rng: np.random.Generator) -> Image.Image:
    """A leaf, from green to brown."""
    length, width = rng.uniform(34, 56), rng.uniform(0.32, 0.5)
    colour = np.array([(150, 160, 40), (196, 150, 30), (160, 84, 30), (70, 120, 40)])
    colour = colour[rng.integers(4)] + rng.integers(-18, 18, 3)
    patch, draw, side = _paper(length)
    along = np.linspace(0, np.pi, 24)
    half = width * side / 2 * np.sin(along) ** 0.8 * (1 + 0.08 * np.sin(9 * along))
    x = side * (0.08 + 0.84 * along / np.pi)
    above, below = zip(x, side / 2 - half, strict=True), zip(x, side / 2 + half, strict=True)
    outline = [*above, *reversed([*below])]
    draw.polygon(outline, fill=(*colour.tolist(), 255))
    vein = tuple((colour * 0.7).astype(int).tolist())
    draw.line([(x[0], side / 2), (x[-1], side / 2)], fill=(*vein, 255), width=2 * FINE)
    for start in range(4, 20, 4):
        for sign in (-1, 1):
            end = (x[start + 3], side / 2 + sign * 0.8 * half[start + 3])
            draw.line([(x[start], side / 2), end], fill=(*vein, 255), width=FINE)
    return _shrunk(patch)


def key(rng: np.random.Generator) -> Image.Image:
    """A key of steel or brass."""
    patch, draw, side = _paper(rng.uniform(36, 52))
    metal = [(176, 178, 184), (196, 164, 84), (140, 134, 128)][rng.integers(3)]
    middle, bow, thick = side / 2, side * 0.17, side * 0.045
    draw.rectangle((side * 0.3, middle - thick, side * 0.97, middle + thick), fill=metal)
    for place in (0.74, 0.84, 0.92):
        deep = side * rng.uniform(0.07, 0.14)
        draw.rectangle((side * place, middle, side * (place + 0.05), middle + deep), fill=metal)
    draw.ellipse((side * 0.03, middle - bow, side * 0.03 + 2 * bow, middle + bow), fill=metal)
    hole = bow * 0.5
    draw.ellipse(
        (side * 0.08, middle - hole, side * 0.08 + 2 * hole, middle + hole), fill=(0, 0, 0, 0)
    )
    return _shrunk(patch)


def button(rng: np.random.Generator) -> Image.Image:
    """A button with four holes, of any colour."""
    patch, draw, side = _paper(rng.uniform(13, 20))
    colour = rng.integers(40, 240, 3)
    draw.ellipse((0, 0, side - 1, side - 1), fill=(*(colour * 0.75).astype(int).tolist(), 255))
    draw.ellipse((side * 0.12, side * 0.12, side * 0.88, side * 0.88), fill=(*colour.tolist(), 255))
    for x in (0.4, 0.6):
        for y in (0.4, 0.6):
            box = [side * (x - 0.06), side * (y - 0.06), side * (x + 0.06), side * (y + 0.06)]
            draw.ellipse(box, fill=(20, 20, 20, 255))
    return _shrunk(patch)


THINGS: dict[str, Callable] = {"coin": coin, "leaf": leaf, "key": key, "button": button}


def picture(number: int, seed: int = 0, width: int = WIDTH) -> tuple[np.ndarray, np.ndarray]:
    """The picture of that number: uint8 (145, width, 3), and its labels, uint8 (145, width)."""
    rng = np.random.default_rng([seed, number])
    image = ground(list(GROUNDS)[number % 3], rng, width)
    labels = Image.new("L", image.size)
    tries = 2 * width // WIDTH
    names = [name for name, often in OFTEN.items() for _ in range(tries) if rng.random() < often]
    for name in rng.permutation(names or ["coin"]):
        _lay(image, labels, THINGS[name](rng), CLASSES.index(name), rng)
    noise = rng.normal(0, 3, (HEIGHT, width, 1))
    noisy = np.clip(np.asarray(image.filter(ImageFilter.GaussianBlur(0.5))) + noise, 0, 255)
    return noisy.astype(np.uint8), np.array(labels)


def _lay(image: Image.Image, labels: Image.Image, thing: Image.Image, label: int, rng) -> None:
    """Lay a thing down, turned, with its shadow, at a random place that may be cut by the edge."""
    thing = thing.rotate(rng.uniform(0, 360), Image.Resampling.BICUBIC, expand=True)
    place = tuple(
        int(rng.integers(-part // 3, side - 2 * part // 3))
        for part, side in zip(thing.size, image.size, strict=True)
    )
    alpha = thing.getchannel("A")
    shadow = Image.new("L", image.size)
    shadow.paste(alpha.point(lambda a: a * 0.5), (place[0] + 2, place[1] + 2))
    image.paste((0, 0, 0), mask=shadow.filter(ImageFilter.GaussianBlur(1.5)))
    image.paste(thing, place, thing)
    labels.paste(label, place, alpha.point(lambda a: 255 * (a > 127)))


def _paper(side: float) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    side = round(side * FINE)
    patch = Image.new("RGBA", (side, side))
    return patch, ImageDraw.Draw(patch), side


def _shrunk(patch: Image.Image) -> Image.Image:
    return patch.resize([side // FINE for side in patch.size], Image.Resampling.BOX)


def _with_alpha(colours: Image.Image, alpha: Image.Image) -> Image.Image:
    colours.putalpha(alpha)
    return colours


class Lost:
    """Pictures as a data set, see `dlseg.data`. labels: "right", or as "written" in the folder."""

    classes, num_classes, palette, ignore_index = CLASSES, len(CLASSES), PALETTE, 255

    def __init__(self, numbers: Sequence[int], labels: str = "right"):
        self.numbers, self.labels = numbers, labels

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image, labels = picture(self.numbers[index])
        if self.labels == "written":
            labels = swapped(self.numbers[index], labels)
        return image, labels


def write(folder: Path) -> None:
    """The folder as it was handed over: images, masks, classes.txt, and what is wrong with them."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    colours = (" ".join(map(str, PALETTE[label])) for label in range(len(CLASSES)))
    lines = (f"{name} {colour}\n" for name, colour in zip(CLASSES, colours, strict=True))
    (folder / "classes.txt").write_text("".join(lines), encoding="utf-8")
    for number in range(PICTURES):
        image, labels = picture(COPY[1] if number == COPY[0] else number)
        Image.fromarray(image).save(folder / "images" / f"{name_of(number)}.jpg", quality=92)
        write_label(folder / "masks" / f"{name_of(number)}.png", swapped(number, labels), PALETTE)
    _spoil(folder / "masks")


def write_clip(path: Path, number: int = 2000, frames: int = 12) -> None:
    """A GIF of a camera that goes from left to right over one long picture."""
    image, _ = picture(number, width=2 * WIDTH)
    places = np.linspace(0, WIDTH, frames).round().astype(int)
    first, *others = (Image.fromarray(image[:, place : place + WIDTH]) for place in places)
    first.save(path, save_all=True, append_images=others, duration=80)


def read(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A picture of a folder with splits, by its name without an end, and its labels."""
    (image,), (mask,) = (folder.glob(f"{part}/*/{name}.*") for part in ("images", "masks"))
    return read_image(image), read_label(mask, len(CLASSES))


def name_of(number: int) -> str:
    """How the camera called a picture."""
    return f"IMG_{number + 1001}"


def swapped(number: int, labels: np.ndarray) -> np.ndarray:
    """The labels as they were written down: whoever did the last pictures had another list."""
    if number not in OTHER_LIST:
        return labels
    return np.array([0, 4, 2, 3, 1], np.uint8)[labels]


def _spoil(masks: Path) -> None:
    """What happens to masks on their way."""

    def path(number: int) -> Path:
        return masks / f"{name_of(number)}.png"

    with Image.open(path(IN_COLOURS)) as mask:
        mask.convert("RGB").save(path(IN_COLOURS))
    with Image.open(path(SMALLER)) as mask:
        mask.resize((WIDTH // 2, HEIGHT // 2), Image.Resampling.NEAREST).save(path(SMALLER))
    with Image.open(path(OUTSIDE)) as mask:
        labels = np.array(mask)
    write_label(path(OUTSIDE), np.where(labels == 2, 7, labels).astype(np.uint8), PALETTE)
    path(RENAMED).rename(masks / f"{name_of(RENAMED)} (1).png")
