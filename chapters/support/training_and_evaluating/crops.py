"""Chapter 13: what a random scale and a crop leave of an image."""

from collections.abc import Sequence

from dlseg.book import FAINT, INK, RED, SKY, Picture, from_svg, svg

PICTURES = {"VOC, 500 x 375": (375, 500), "Cityscapes, 2048 x 1024": (1024, 2048)}
RATES, STRIDE = (6, 12, 18), 16  # v3's, in training
ROOM, LEFT, TOP = 300, 20, 34  # of the drawing, pixels


def shown_part(height: int, width: int, scale: float, crop: int) -> tuple[int, int]:
    """Height and width of what a crop shows of an image once it is resized, in pixels."""
    return tuple(min(crop, round(side * scale)) for side in (height, width))


def crop_picture(
    picture: str = "VOC, 500 x 375", crop_size: int = 513, scale: float = 1.0
) -> Picture:
    """A crop on an image that was resized: how much it sees, how much of it is padding.

    picture: of PICTURES. crop_size: pixels. scale: the factor drawn by lot.
    The taps counted are those of a unit at output stride 16 that lie on the image, not on padding.
    """
    height, width = PICTURES[picture]
    scaled = [round(side * scale) for side in (height, width)]
    shown = shown_part(height, width, scale, crop_size)
    seen = shown[0] * shown[1] / (scaled[0] * scaled[1])
    padding = 1 - shown[0] * shown[1] / crop_size**2
    units = [-(-side // STRIDE) for side in shown]
    lines = [
        f"the image becomes {scaled[1]} x {scaled[0]}",
        f"the crop sees {seen:.0%} of it",
        f"{padding:.0%} of the crop is padding, without a loss",
        f"at output stride 16 that is {units[1]} x {units[0]} units",
        *(f"rate {rate}: all nine taps on it at {all_taps(units, rate):.0%}" for rate in RATES),
    ]
    title = f"{picture}, scale {scale:g}, crop {crop_size}"
    parts = [svg.text(LEFT, 22, title, size=14), *_crop_drawing(scaled, crop_size)]
    parts += [svg.text(LEFT + ROOM + 40, 60 + 26 * row, line) for row, line in enumerate(lines)]
    return from_svg(svg.document(740, TOP + ROOM + 12, parts), f"{title}: {'; '.join(lines)}.")


def all_taps(units: Sequence[int], rate: int) -> float:
    """Share of the units of a map (rows, columns) at which a 3x3 has no tap outside."""
    free = [max(0, side - 2 * rate) for side in units]
    return free[0] * free[1] / (units[0] * units[1])


def _crop_drawing(scaled: Sequence[int], crop: int) -> list[str]:
    """The image and, on its middle, the crop, to one scale; grey is padding."""
    factor = ROOM / max(*scaled, crop)

    def square(height: float, width: float, **look) -> str:
        height, width = height * factor, width * factor
        x, y = LEFT + (ROOM - width) / 2, TOP + (ROOM - height) / 2
        return svg.rect(x, y, width, height, **look)

    return [
        square(crop, crop, fill=FAINT),
        square(*scaled, fill=SKY, stroke=INK),
        square(crop, crop, stroke=RED, thick=3),
    ]
