"""Colours and figures."""

import numpy as np
import pytest

from dlseg.book import style
from dlseg.book.picture import from_figure
from support import maps
from support.photographs import photograph
from tests.chapters.tools import ROOT


def test_colours_differ_in_lightness_too():
    """Grey print must keep the two colours of the diagrams apart."""
    light = [np.dot([0.2126, 0.7152, 0.0722], _rgb(c)) for c in (style.BLUE, style.SKY)]
    assert light[1] - light[0] > 0.2


def _rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def test_a_figure_becomes_a_png_with_words():
    figure, axes = style.new_figure(1, 2)
    style.show_image(axes[0], np.eye(3), "unit", low=-1, high=1)
    style.show_image(axes[1], np.eye(3))
    picture = from_figure(figure, "two images")
    assert picture.data.startswith(b"\x89PNG")
    assert axes[0].images[0].cmap.name == style.SIGNED
    assert axes[1].images[0].cmap.name == style.MORE


def test_no_chapter_and_no_module_draws_with_pyplot():
    for path in [*ROOT.glob("dlseg/**/*.py"), *ROOT.glob("chapters/*.ipynb")]:
        assert "matplotlib.pyplot" not in path.read_text(encoding="utf-8")


def test_photograph_is_a_real_picture():
    image = photograph(64)
    assert image.shape == (64, 64) and 0 <= image.min() < 0.1 and 0.9 < image.max() <= 1
    with pytest.raises(ValueError, match="between 1 and 320 pixels, got 321"):
        photograph(321)


def test_panels_hold_every_image():
    picture = maps.panels([maps.grey(np.eye(2)), maps.coloured(np.eye(2), -1, 1)], "ab", "two maps")
    assert picture.data.count(b"<image") == 2
