"""A picture for a reader, and the same picture in a committed notebook."""

import base64
import builtins
import io

import numpy as np
import pytest
from PIL import Image

from dlseg.book import raster, svg
from dlseg.book.picture import PNG, Picture, from_figure, from_svg
from dlseg.book.style import new_figure

DOTS = svg.document(100, 60, [svg.text(5, 20, "Dots"), svg.dot(30, 40, 8), svg.dot(60, 40, 8)])


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.uint8(image)).save(buffer, format="PNG")
    return buffer.getvalue()


def test_for_a_reader_it_is_an_image_with_its_words(monkeypatch):
    monkeypatch.delenv("DLSEG_BOOK", raising=False)
    picture = Picture(b"bytes", PNG, 'say "hello"')
    assert picture._repr_mimebundle_() == {
        "text/html": '<img class="dlseg-picture" style="max-width:100%;height:auto" '
        'src="data:image/png;base64,Ynl0ZXM=" alt="say &quot;hello&quot;">',
        "text/plain": 'say "hello"',
    }


def test_for_the_book_a_drawing_is_png_and_leaves_its_vectors(publishing):
    data, metadata = from_svg(DOTS, "two dots")._repr_mimebundle_()
    assert set(data) == {PNG, "text/plain"} and data["text/plain"] == "two dots"
    about = metadata[PNG]
    assert (about["alt"], about["width"], about["height"]) == ("two dots", 100, 60)
    assert about["file"] == "01-one.01.svg"
    assert (publishing / "01-one.01.svg").read_text() == DOTS
    image = raster.pixels(base64.b64decode(data[PNG]))
    assert image.shape == (90, 150, 3)
    assert image[60, 45].max() < 60 and image[60, 68].min() == 255  # a dot, and between the dots
    assert (image[10:32, 5:60] < 128).any(), "the words are drawn"
    assert from_svg(DOTS, "two dots")._repr_mimebundle_()[0] == data


def test_for_the_book_a_figure_is_png_alone(publishing):
    figure, axes = new_figure(width=2, height=1)
    axes.plot([1, 2])
    picture = from_figure(figure, "a line")
    assert picture.size == (220, 110) and 'width="220"' in picture.html()
    data, metadata = picture._repr_mimebundle_()
    assert metadata == {PNG: {"alt": "a line", "width": 220, "height": 110}}
    assert raster.pixels(base64.b64decode(data[PNG])).shape == (165, 330, 3)
    assert len(base64.b64decode(data[PNG])) < len(picture.data)
    assert not list(publishing.iterdir())


def test_a_picture_needs_to_know_where_its_files_go(monkeypatch):
    monkeypatch.setenv("DLSEG_BOOK", "1")
    monkeypatch.delenv("DLSEG_FRAMES", raising=False)
    with pytest.raises(RuntimeError, match=r"DLSEG_FRAMES.*dlseg run"):
        from_svg(DOTS, "two dots")._repr_mimebundle_()


def test_without_the_renderer_it_says_what_to_install(monkeypatch):
    def refuse(name, *rest):
        if name == "resvg_py":
            raise ImportError(name)
        return real(name, *rest)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"resvg_py is not installed.*\.\[test\]"):
        raster.render(DOTS)


def test_few_colours_are_kept_exactly_and_many_nearly():
    few = np.indices((16, 16)).sum(0)[..., None] * [8, 4, 2]
    assert (raster.pixels(raster.compact(png(few))) == few).all()
    many = np.random.default_rng(0).integers(0, 256, (64, 64, 3)) // 4 + 96
    near = raster.pixels(raster.compact(png(many))).astype(int)
    assert len(raster.compact(png(many))) < 0.6 * len(png(many))
    assert np.abs(near - many).mean() < 8


def test_a_large_picture_gets_fewer_colours(monkeypatch):
    noise = png(np.random.default_rng(0).integers(0, 256, (32, 32, 3)))
    assert len(np.unique(raster.pixels(raster.compact(noise)).reshape(-1, 3), axis=0)) > 128
    for spare, same in ((0, True), (-1, False)):  # bytes
        best = raster.compact(noise)
        with monkeypatch.context() as patch:
            patch.setattr(raster, "LARGEST", len(best) + spare)
            assert (raster.compact(noise) == best) is same
    monkeypatch.setattr(raster, "LARGEST", 100)
    assert len(np.unique(raster.pixels(raster.compact(noise)).reshape(-1, 3), axis=0)) <= 64


def test_images_inside_a_drawing_get_smaller_without_loss():
    image = np.uint8(np.random.default_rng(0).integers(0, 2, (64, 64, 1)) * [90, 200, 30])
    drawing = svg.document(80, 80, [svg.pixels(4, 4, 64, 64, image)])
    tidy = raster.tidy(drawing)
    assert len(tidy) < len(drawing)
    inside = base64.b64decode(raster.EMBEDDED.search(tidy)[1])
    assert (raster.pixels(inside) == image).all()


@pytest.mark.parametrize("data", [b"", b"garbage", png(np.eye(9))[:40]])
def test_a_file_that_is_no_picture(data):
    with pytest.raises(ValueError, match="no PNG file that can be read"):
        raster.pixels(data)


def test_the_colours_of_a_key_are_exact_beside_a_photograph():
    """However few pixels they have beside hundreds of shades."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (200, 300, 3)).astype(np.uint8)
    image[:, :150] = image[:, :150, :1]  # grey, as half a photograph
    keys = [(204, 121, 167), (213, 94, 0), (0, 114, 178), (0, 118, 170)]
    for number, colour in enumerate(keys):
        image[170:192, 10 + 60 * number : 32 + 60 * number] = colour
    found = raster.pixels(raster.compact(png(image)))
    assert len(np.unique(found.reshape(-1, 3), axis=0)) <= 256
    for number, colour in enumerate(keys):
        assert (found[170:192, 10 + 60 * number : 32 + 60 * number] == colour).all()


def test_a_drawing_of_photographs_leaves_no_vectors(publishing):
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    large = svg.document(300, 300, [svg.pixels(0, 0, 300, 300, noise)])
    data, about = from_svg(large, "Noise")._repr_mimebundle_()
    assert PNG in data and "file" not in about[PNG]
    assert not list(publishing.iterdir())
