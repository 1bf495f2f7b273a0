"""One look for every figure: colours that survive colour blindness, sizes, fonts."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

# Okabe and Ito's palette: distinct under the common forms of colour blindness and in grey print.
INK = "#1b1f24"
FAINT = "#c9ced6"
PAPER = "#ffffff"
BLUE, ORANGE, GREEN = "#0072b2", "#e69f00", "#009e73"
RED, PURPLE, SKY = "#d55e00", "#cc79a7", "#56b4e9"
CYCLE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
# A colour never speaks alone: series also differ in marker and dash.
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
# One-hue map, dark means more; and one with a neutral middle for signed values.
MORE, SIGNED = "cividis", "PuOr"

SETTINGS = {
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "figure.facecolor": PAPER,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.prop_cycle": matplotlib.cycler(color=CYCLE, marker=MARKERS, linestyle=DASHES),
    "lines.markersize": 4,
    "legend.frameon": False,
    "image.cmap": MORE,
    "image.interpolation": "nearest",
}


def new_figure(rows: int = 1, columns: int = 1, width: float = 7.2, height: float = 3.0):
    """A figure in the book's style with a grid of axes; the style stays on for what is drawn next.

    width, height: inches, of the whole figure.
    Returns: (figure, axes); axes is one Axes, or an array of shape (rows, columns) squeezed.
    """
    matplotlib.rcParams.update(SETTINGS)
    figure = Figure(figsize=(width, height))  # not pyplot's: nothing to close, nothing shown twice
    return figure, figure.subplots(rows, columns)


def show_image(axes, image, title: str = "", low: float | None = None, high: float | None = None):
    """Show one image without ticks; a negative `low` chooses the map for signed values.

    image: array or CPU tensor (H, W), or (H, W, 3) in [0, 1].
    low, high: the values at the two ends of the colour map; the image's own range if left out.
    """
    cmap = SIGNED if low is not None and low < 0 else MORE
    axes.imshow(np.asarray(image), cmap=cmap, vmin=low, vmax=high)
    axes.set(title=title, xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
