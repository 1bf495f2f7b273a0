"""What counts as another picture: a stale drawing, another word, garbage; and what does not."""

import dataclasses
import io
import itertools
import re

import numpy as np
import pytest
from PIL import Image

from dlseg.book import compare, publish, svg
from dlseg.book.explorer import Explorer
from dlseg.book.picture import PNG, from_figure, from_svg
from dlseg.book.style import new_figure

RIGHT = np.full((100, 200, 3), 255, np.uint8)


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.uint8(image)).save(buffer, format="PNG")
    return buffer.getvalue()


def changed(count: int, level: int) -> bytes:
    """The right picture, with `count` pixels in the first row at another level."""
    image = RIGHT.copy()
    image.reshape(-1, 3)[:count] = level
    return png(image)


@pytest.mark.parametrize(("count", "level"), [(4, 0), (20_000, 255 - compare.LEVELS)])
def test_what_nobody_would_see_passes(count, level):
    assert compare.compare_pixels(changed(count, level), png(RIGHT)) == ""


def test_what_is_seen_fails_and_is_counted():
    fault = compare.compare_pixels(changed(9, 0), png(RIGHT))
    assert fault == "9 of 20,000 pixels differ, 4 may"
    fault = compare.compare_pixels(png(RIGHT[:50]), png(RIGHT))
    assert fault == "it has 200 x 50 pixels, but should have 200 x 100"
    with pytest.raises(ValueError, match="no PNG file"):
        compare.compare_pixels(b"garbage", png(RIGHT))


def drawing(radius=4.0, words="nine dots", colour="#0072b2", image=RIGHT[..., 0]) -> str:
    parts = [svg.dot(20.04 + 9 * i, 20, radius, fill=colour) for i in range(9)]
    parts += [svg.text(5, 40, words), svg.pixels(5, 50, 60, 30, image)]
    return svg.document(120, 90, parts)


@pytest.mark.parametrize("change", [{"radius": 4.1}, {"colour": "#0873b1"}])
def test_a_drawing_may_move_by_a_rounding(change):
    assert compare.compare_markup(drawing(**change), drawing()) == ""


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"radius": 4.8}, 'draws .*r="4.8".*should be .*r="4"'),
        ({"words": "nine spots"}, "says 'nine spots', but should be 'nine dots'"),
        ({"words": "8 dots"}, "says"),
        ({"colour": "#d55e00"}, "draws .*#d55e00"),
        ({"image": RIGHT[..., 0] // 2}, "an image inside: 20,000 of 20,000 pixels differ"),
        ({"image": RIGHT[:50, :, 0]}, "an image inside: it has"),
    ],
)
def test_a_changed_drawing_fails(change, fault):
    assert re.search(fault, compare.compare_markup(drawing(**change), drawing()))


def test_parts_that_are_missing_or_added_fail():
    whole, part = drawing(), drawing().replace(svg.dot(20.04, 20, 4, fill="#0072b2"), "")
    assert "draws" in compare.compare_markup(part, whole)
    assert "draws" in compare.compare_markup(whole, part)


def draw(radius=4.0, dots=1):
    parts = [svg.dot(10 + 20 * i, 20, radius) for i in range(dots)]
    return from_svg(svg.document(90, 40, parts), f"{dots} dots")


def output(figure) -> dict:
    """An output of a cell, as it lies in a notebook."""
    data, metadata = figure._repr_mimebundle_()
    return {"output_type": "execute_result", "data": data, "metadata": metadata}


@pytest.fixture
def make(publishing, monkeypatch, tmp_path):
    """Output and folder of a figure, as if it were executed in a kernel of its own."""

    def execute(figure, where: str):
        monkeypatch.setattr(publish, "_numbers", itertools.count(1))
        folder = tmp_path / where
        folder.mkdir()
        monkeypatch.setenv(publish.FRAMES, str(folder / "01-one"))
        return compare.shown([output(figure)]), folder

    return execute


def faults(make, old, new, spoil=None) -> list[str]:
    """The faults of `old` when `new` is drawn; `spoil` changes the committed files."""
    committed, fresh = make(old, "old"), make(new, "new")
    for path in committed[1].iterdir() if spoil else ():
        spoil(path)
    return compare.compare_shown(committed[0], fresh[0], (committed[1], fresh[1]))


def plot(words: str):
    figure, axes = new_figure(width=3, height=2)
    axes.plot([1, 2, 4], label=words)
    axes.legend()
    return from_figure(figure, "a rising line")


STOPS = {"radius": [3.0, 4.0], "dots": [1, 2]}
SAME = [
    lambda: draw(),
    lambda: plot("loss"),
    lambda: Explorer(draw, **STOPS),
]


@pytest.mark.parametrize("figure", SAME)
def test_the_same_figure_has_no_fault(make, figure):
    assert faults(make, figure(), figure()) == []


def test_another_radius_fails(make):
    (fault,) = faults(make, draw(4.0), draw(4.8))
    assert fault.startswith("picture 1 (1 dots...): it draws")


def test_another_word_in_a_figure_fails(make):
    (fault,) = faults(make, plot("loss"), plot("gain"))
    assert "pixels differ" in fault


def test_a_changed_frame_fails_though_the_first_is_the_same(make):
    def other(radius=4.0, dots=1):
        return draw(radius if radius == 4.0 else 1.2 * radius, dots)

    (fault,) = faults(make, Explorer(draw, **STOPS), Explorer(other, **STOPS))
    assert "frame 0: it draws" in fault


def trained(seed=0, size=40):
    noise = np.random.default_rng(seed).random((size, size)) < 0.2
    parts = [svg.text(5, 20, f"learned {seed} %"), svg.pixels(5, 30, 90, 90, 255 * np.uint8(noise))]
    return from_svg(svg.document(100, 130, parts), f"{seed} % of it learned")


def test_what_a_network_draws_that_was_trained_may_differ_but_not_be_another(make):
    committed, fresh = make(trained(1), "old"), make(trained(2), "new")
    pair, folders = (committed[0], fresh[0]), (committed[1], fresh[1])
    assert compare.compare_shown(*pair, folders) != []
    assert compare.compare_shown(*pair, folders, trained=True) == []
    black = dataclasses.replace(pair[0][0], png=png(np.zeros((195, 150, 3))))
    (fault,) = compare.compare_shown([black], pair[1], folders, trained=True)
    assert "pixels differ" in fault
    words = dataclasses.replace(pair[0][0], about={**pair[0][0].about, "alt": "2 % forgotten"})
    (fault,) = compare.compare_shown([words], pair[1], folders, trained=True)
    assert "its metadata is" in fault


def test_trained_frames_have_the_same_sliders(make):
    old = make(Explorer(trained, seed=[0, 1], size=[40]), "old")
    new = make(Explorer(trained, seed=[0, 2], size=[40]), "new")
    (fault,) = compare.compare_shown(old[0], new[0], (old[1], new[1]), trained=True)
    assert "its sliders are others" in fault


def test_a_file_that_is_spoilt_fails(make):
    figure = Explorer(draw, **STOPS)
    (fault,) = faults(make, figure, figure, lambda path: path.write_bytes(b"garbage"))
    assert "is another one: the SHA-256 differs" in fault


def test_an_absent_file_fails(make):
    (fault,) = faults(make, draw(), draw(), lambda path: path.unlink())
    assert "its file 01-one.01.svg is not in old" in fault


def test_garbage_instead_of_a_picture_fails(make):
    shown, folder = make(draw(), "old")
    spoilt = compare.Shown(b"garbage", shown[0].text, shown[0].about)
    (fault,) = compare.compare_shown([spoilt], shown, (folder, folder))
    assert "no PNG file that can be read" in fault
    with pytest.raises(ValueError):
        compare.shown([{"data": {PNG: "?"}}])


def test_missing_pictures_and_other_words_fail(make):
    shown, folder = make(draw(), "old")
    assert compare.compare_shown([], shown, (folder, folder)) == [
        "0 pictures are committed, but 1 are drawn"
    ]
    other = compare.Shown(shown[0].png, shown[0].text, {**shown[0].about, "alt": "no dots"})
    assert "its metadata is" in compare.compare_shown([other], shown, (folder, folder))[0]
