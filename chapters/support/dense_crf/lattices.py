"""The drawing of the permutohedral lattice: one value on its way from a pixel to all others."""

from math import exp

import numpy as np
import torch

from dlseg.book import BLUE, ORANGE, RED, SKY, Picture, from_svg, svg
from dlseg.crf import elevate, simplex

STEPS = ("pixels", "splat", "blur 1", "blur 2", "blur 3", "slice")
WORDS = {
    "pixels": "one pixel has the value 1, all others 0",
    "splat": "it hands its value to the three corners around it",
    "blur 1": "corners mix with their neighbours along the first axis",
    "blur 2": "and along the second axis",
    "blur 3": "and along the third axis",
    "slice": "every pixel reads its own three corners",
}
PIXELS = 13  # along one side of the drawn picture
SOURCE = (7, 6)  # row and column of the pixel that has a value
SIDE = 400  # of the drawn picture, in pixels of the drawing


def axes(d: int = 2) -> np.ndarray:
    """The steps from one corner of the lattice to the next, in features divided by their sigmas.

    Returns: float64 (d + 1, d); they sum to 0.
    """
    embed = elevate(torch.eye(d, dtype=torch.float64)).numpy()  # (d + 1, d)
    return (np.linalg.pinv(embed) @ (np.eye(d + 1) - 1 / (d + 1))).T


def corner_places(f: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Where the corners around each point lie.

    f: (N, d) features divided by their sigmas.
    Returns: keys int64 (N, d + 1), and places float64 (N, d + 1, d) in the units of f.
    """
    keys, near, steps = (part.numpy() for part in simplex(f))
    taken = np.argmax(np.diff(keys, axis=1)[..., None] == steps, axis=-1)  # (N, d), the axis
    walk = np.concatenate([np.zeros((len(f), 1, f.shape[1])), axes(f.shape[1])[taken]], axis=1)
    walk = walk.cumsum(axis=1)  # (N, d + 1, d), from the first corner to each
    first = f.numpy() - (near[..., None] * walk).sum(axis=1)
    return keys, first[:, None] + walk


def impulse(sigma: float, step: str) -> tuple[dict[int, np.ndarray], dict[int, float], np.ndarray]:
    """The pixel SOURCE alone has a value, and the filter has run as far as `step`.

    sigma: pixels.
    Returns: the place (2,) and the value of each corner, by its key, and the value of each pixel
    (PIXELS^2,), scaled so that the greatest is 1.
    """
    row, column = np.divmod(np.arange(PIXELS**2), PIXELS)
    f = torch.tensor(np.stack([column, row], 1) / sigma, dtype=torch.float32)  # (N, 2)
    keys, near, steps = (part.numpy() for part in simplex(f))
    places = dict(zip(keys.ravel().tolist(), corner_places(f)[1].reshape(-1, 2), strict=True))
    values = dict.fromkeys(places, 0.0)
    source, done = SOURCE[0] * PIXELS + SOURCE[1], STEPS.index(step)
    if done:
        values.update(zip(keys[source].tolist(), near[source].tolist(), strict=True))
    for way in steps[: max(done - 1, 0)].tolist():
        values = {
            key: value + (values.get(key + way, 0) + values.get(key - way, 0)) / 2
            for key, value in values.items()
        }
    pixels = np.eye(1, PIXELS**2, source)[0]
    if step == "slice":
        pixels = (near * np.vectorize(values.get)(keys)).sum(axis=1)
    return places, values, pixels / pixels.max()


def lattice_picture(step: str = "splat", sigma: float = 3) -> Picture:
    """One pixel's value on its way through the permutohedral lattice of a plane.

    step: one of STEPS. sigma: of the Gaussian, in pixels.
    """
    places, values, pixels = impulse(sigma, step)
    most, number = max(max(values.values()), 1e-9), STEPS.index(step)
    alt = f"{WORDS[step]}; sigma {sigma:g} pixels: {len(places)} corners for {PIXELS**2} pixels, "
    alt += f"{len(_reached(values))} of them above 0."
    unit, left, top = SIDE / PIXELS * sigma, 48, 70  # drawing pixels for one sigma
    half = SIDE / PIXELS / 2
    spots = {key: (left + half + x * unit, top + half + y * unit) for key, (x, y) in places.items()}
    title = f"{number}. {step}: {WORDS[step]}"
    parts = [svg.text(10, 20, title, size=14), _pixels(left, top, pixels)]
    parts += [
        svg.line(*spot, *spots[other], colour=SKY, thick=0.8)
        for key, spot in spots.items()
        for other in _neighbours(key, places, spots)
    ]
    if step == "splat":
        parts += [_handed_over(left, top, spots[key], values[key]) for key in _reached(values)]
    for key, spot in spots.items():
        full = 11 * (values[key] / most) ** 0.5
        parts.append(svg.dot(*spot, max(full, 2), fill=BLUE if values[key] else SKY))
    parts.append(_beside(SIDE + 130, top, sigma, len(places), pixels, step))
    return from_svg(svg.document(SIDE + 420, SIDE + 170, parts), alt)


def _reached(values: dict[int, float]) -> list[int]:
    return [key for key, value in values.items() if value > 0]


def _handed_over(left: float, top: float, spot: tuple, value: float) -> str:
    """A thick line from the pixel SOURCE to one corner, and the share that goes there."""
    row, column = SOURCE
    x, y = left + SIDE / PIXELS * (column + 0.5), top + SIDE / PIXELS * (row + 0.5)
    side = 1 if spot[0] > x else -1
    anchor = "start" if side > 0 else "end"
    label = svg.text(spot[0] + side * 16, spot[1] - 6, f"{value:.2f}", anchor=anchor)
    return svg.line(x, y, *spot, colour=BLUE, thick=3) + label


def _neighbours(key: int, places: dict, spots: dict) -> list[int]:
    """The corners one step ahead along each axis, found by their places."""
    ahead = places[key] + axes()
    away = {other: np.abs(ahead - place).sum(axis=1).min() for other, place in places.items()}
    return [other for other, distance in away.items() if distance < 1e-6]


def _pixels(left: float, top: float, values: np.ndarray) -> str:
    """The picture's pixels: orange as far as their value goes, with a grid between them."""
    cell = SIDE / PIXELS
    shade = 255 - (255 - np.array([230, 159, 0])) * values.reshape(PIXELS, PIXELS, 1)
    image = svg.pixels(left, top, SIDE, SIDE, shade.astype(np.uint8))
    return image + svg.grid(left, top, PIXELS, PIXELS, cell)


def _beside(x: float, top: float, sigma, corners: int, pixels: np.ndarray, step: str) -> str:
    """The numbers, and, after the slice, the values of one row against the true bell."""
    lines = [f"{PIXELS**2} pixels, {corners} corners", f"sigma {sigma:g} pixels"]
    parts = [svg.text(x, top + 14 + 20 * i, line) for i, line in enumerate(lines)]
    if step != "slice":
        return "".join(parts)
    wide, high, foot = 270, 200, top + 320
    away = np.arange(PIXELS) - SOURCE[1]
    row = pixels.reshape(PIXELS, PIXELS)[SOURCE[0]]
    fine = np.linspace(away[0], away[-1], 90)
    across = wide / PIXELS

    def place(at: float, value: float) -> tuple[float, float]:
        return x + (at - away[0] + 0.5) * across, foot - high * value

    title = "the row of the pixel, and the true Gaussian"
    parts.append(svg.text(x, foot - high - 24, title, size=12))
    parts.append(svg.line(x, foot, x + wide, foot))
    for at, value in zip(away, row, strict=True):
        height = high * value
        parts.append(svg.rect(place(at, 0)[0] - 7, foot - height, 14, height, fill=ORANGE))
    bell = [place(at, exp(-(at**2) / (2 * sigma**2))) for at in fine]
    parts.append(svg.polyline(bell, colour=RED, dash="5 3"))
    return "".join(parts)
