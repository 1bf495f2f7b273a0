"""Predicted labels as pictures: laid over the image, and the list of their colours."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dlseg.checks import check_rgb, check_share, described
from dlseg.doors import check_labels

ROW, SQUARE, MARGIN, FONT_SIZE = 26, 18, 8, 15  # pixels


def overlay(
    image: np.ndarray,
    labels: np.ndarray,
    palette: np.ndarray,
    strength: float = 0.5,
    shown: Collection[int] | None = None,
) -> np.ndarray:
    """The image with each pixel on the way to the colour of its label, halfway unless told.

    image: uint8 (H, W, 3) RGB; labels: uint8 (H, W); palette: uint8 (256, 3). strength: 0 keeps the
    image, 1 shows the colours alone; it is rounded to 1/256. shown: labels that are drawn, the
    others stay as they are in the image; None: all.
    Returns: uint8 (H, W, 3). Raises ValueError for other arrays, labels without a colour, and a
    strength outside of 0..1.
    """
    check_rgb("image", image)
    _check_map(labels, len(_colours(palette)))
    check_share("strength", strength)
    if labels.shape != image.shape[:2]:
        raise ValueError(
            f"image and labels must be of one size, got {described(image)} and {described(labels)}"
        )
    labels = labels.astype(np.int64)  # bools would choose, not number
    weights = np.full(len(palette), round(256 * strength), np.uint16)
    if shown is not None:
        weights[[label for label in range(len(palette)) if label not in shown]] = 0
    painted = palette * weights[:, None]  # (256, 3): at most 255 * 256, which uint16 holds
    kept = image * (256 - weights)[labels][:, :, None]  # (H, W, 3)
    return ((kept + painted[labels]) // 256).astype(np.uint8)


def shares(labels: np.ndarray) -> dict[int, float]:
    """Which labels there are, and the share of the pixels each has, the largest first.

    labels: integers (H, W) in 0..255. Raises ValueError for others.
    """
    _check_map(labels, 256)
    # Row by row: counting takes 8 bytes a pixel.
    counts = sum(np.bincount(row.astype(np.int64), minlength=256) for row in labels)
    order = np.argsort(-counts, kind="stable")
    return {int(label): counts[label] / labels.size for label in order if counts[label]}


def legend(labels: np.ndarray, classes: Sequence[str], palette: np.ndarray) -> np.ndarray:
    """A square of colour, the name and the share of each class that `labels` shows.

    labels: uint8 (H, W), 0 .. len(classes) - 1; palette: uint8 (256, 3).
    Returns: uint8 (height, width, 3), white where nothing is drawn.
    Raises ValueError for other arrays, and labels without a name or a colour.
    """
    _check_map(labels, min(len(classes), len(_colours(palette))))
    return draw_legend(shares(labels), classes, palette)


def draw_legend(
    found: Mapping[int, float], classes: Sequence[str], palette: np.ndarray
) -> np.ndarray:
    """`legend` of shares by label, in their order, such as those of a whole clip.

    found: labels 0 .. len(classes) - 1, at least one, with a share of 0..1 each.
    """
    font = ImageFont.load_default(FONT_SIZE)
    rows = [(label, f"{classes[label]}  {share:.1%}") for label, share in found.items()]
    indent = 2 * MARGIN + SQUARE
    width = indent + MARGIN + max(round(font.getlength(text)) for _, text in rows)
    paper = Image.new("RGB", (width, 2 * MARGIN + ROW * len(rows) - (ROW - SQUARE)), "white")
    draw = ImageDraw.Draw(paper)
    for number, (label, text) in enumerate(rows):
        top = MARGIN + number * ROW
        square = (MARGIN, top, MARGIN + SQUARE - 1, top + SQUARE - 1)
        draw.rectangle(square, fill=tuple(palette[label].tolist()), outline="black")
        draw.text((indent, top + SQUARE / 2), text, fill="black", font=font, anchor="lm")
    return np.array(paper)


def _check_map(labels: np.ndarray, known: int) -> None:
    if not isinstance(labels, np.ndarray) or labels.ndim != 2 or not labels.size:
        raise ValueError(f"labels must be integers (H, W), got {described(labels)}")
    check_labels("labels", labels, known, None)


def _colours(palette: np.ndarray) -> np.ndarray:
    """The palette; ValueError unless it is uint8 (N, 3)."""
    if getattr(palette, "dtype", None) != np.uint8 or palette.shape[1:] != (3,):
        raise ValueError(f"palette must be uint8 (256, 3), got {described(palette)}")
    return palette
