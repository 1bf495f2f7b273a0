"""One explorer class: stops, printed form, live form, and a drawing that fails."""

import base64
import gzip
import hashlib
import json
import lzma
import re

import numpy as np
import pytest

from dlseg.book import svg
from dlseg.book.explorer import MOST_PICTURES, Explorer
from dlseg.book.frames import STRIP, read_frames
from dlseg.book.picture import from_figure, from_svg
from dlseg.book.raster import pixels
from dlseg.book.style import new_figure, show_image


def draw(rate=2, kind="b"):
    words = f"rate {rate}, kind {kind} & more"
    return from_svg(svg.document(120, 40, [svg.text(5, 20, words)]), words)


@pytest.fixture
def explorer():
    return Explorer(draw, rate=range(1, 4), kind=["a", "b"])


def test_sweep_visits_every_stop_once_last_slider_fastest(explorer):
    stops = [tuple(values.values()) for values, _ in explorer.sweep()]
    assert stops == [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "a"), (3, "b")]
    assert len(explorer) == 6


def test_for_the_book_it_is_a_picture_and_a_file_of_frames(explorer, publishing):
    data, metadata = explorer._repr_mimebundle_()
    assert set(data) == {"image/png", "text/plain"}
    about = metadata["image/png"]
    path = publishing / "01-one.01.json.xz"
    assert data["text/plain"] == (
        "rate 2, kind b & more\n"
        "Run this cell to drag it: rate 1 to 3, kind a or b\n"
        f"Frames: frames/{path.name}\nSHA-256: {hashlib.sha256(path.read_bytes()).hexdigest()}"
    )
    assert about["alt"] == "rate 2, kind b & more"
    assert (about["width"], about["height"]) == (120, 40 + STRIP)
    frames = read_frames(path)
    assert [p.alt for p in frames.pictures] == [p.alt for _, p in explorer.sweep()]
    assert frames.first_picture == draw()


def test_frames_are_the_same_bytes_twice_and_survive_the_way_to_the_page(explorer):
    frames = explorer.frames()
    assert frames.pack() == explorer.frames().pack()
    page = frames.html()
    assert 'alt="rate 2, kind b &amp; more"' in page and 'data-first="[1, 1]"' in page
    packed = re.search(r'plain">([\w+/=]*)<', page)[1]
    rows = json.loads(gzip.decompress(base64.b64decode(packed)))
    assert rows[3] == ["image/svg+xml", draw(2, "b").data.decode(), draw(2, "b").alt, 1.0]


def test_frames_may_be_images(publishing, tmp_path):
    def dots(rate=1):
        figure, axes = new_figure(width=1, height=1)
        show_image(axes, np.eye(rate))
        return from_figure(figure, f"{rate} dots")

    frames = Explorer(dots, rate=[1, 2]).frames()
    (tmp_path / "one").write_bytes(frames.pack())
    again = read_frames(tmp_path / "one")
    assert [picture.size for picture in again.pictures] == [(110, 110)] * 2
    assert pixels(again.still().png()).shape == (204, 165, 3)


@pytest.mark.parametrize("data", [b"", b"garbage", lzma.compress(b"{}"), lzma.compress(b"[")])
def test_frames_that_cannot_be_read(data, tmp_path):
    (tmp_path / "bad.json.xz").write_bytes(data)
    with pytest.raises(ValueError, match=r"the frames in bad\.json\.xz cannot be read"):
        read_frames(tmp_path / "bad.json.xz")


def test_for_a_reader_it_is_a_live_widget(explorer, monkeypatch):
    monkeypatch.delenv("DLSEG_BOOK", raising=False)
    assert "application/vnd.jupyter.widget-view+json" in explorer._repr_mimebundle_()
    rate, kind, view = explorer.widget().children
    assert (rate.value, kind.value) == (2, "b")
    rate.value = 3
    assert "rate 3, kind b &amp; more" in view.value
    kind.value = "a"
    assert "rate 3, kind a &amp; more" in view.value


def test_a_control_that_plays(monkeypatch):
    monkeypatch.delenv("DLSEG_BOOK", raising=False)
    rate, _, button, view = (
        Explorer(draw, play="rate", rate=[1, 2, 3], kind=["b"]).widget().children
    )
    assert (button.min, button.max, button.value) == (0, 2, 1)
    button.value = 2
    assert rate.value == 3 and "rate 3" in view.value
    rate.value = 1
    assert button.value == 0


def test_what_plays_and_what_stands_on_paper_travels_with_the_frames(tmp_path):
    explorer = Explorer(
        draw, play="rate", strip=[{"rate": 1}, {"kind": "a"}], rate=[1, 2, 3], kind=["a", "b"]
    )
    (tmp_path / "one").write_bytes(explorer.frames().pack())
    page = read_frames(tmp_path / "one").html()
    assert 'data-play="0"' in page and 'data-strip="[1, 2]"' in page


@pytest.mark.parametrize(
    ("count", "strip"), [(1, [1]), (2, [1, 3]), (3, [1, 3, 5]), (6, [1, 5, 7, 11])]
)
def test_without_a_choice_stops_from_end_to_end_stand_on_paper(count, strip):
    """Of the first control; the others stay at their first view, here the second of two."""
    frames = Explorer(lambda n=0, kind="b": draw(n, kind), n=range(count), kind=["a", "b"]).frames()
    assert f'data-strip="{strip}"' in frames.html() and "data-play" not in frames.html()


def test_stops_of_a_chosen_control_stand_on_paper():
    explorer = Explorer(draw, strip="kind", rate=[1, 2, 3], kind=["a", "b", "c"])
    assert explorer.frames().strip == [3, 4, 5]  # rate 2 is the first view


def test_a_failing_stop_is_shown_and_raised():
    def fragile(rate=1):
        if rate == 2:
            raise RuntimeError("no <picture> today")
        return draw(rate)

    explorer = Explorer(fragile, rate=[1, 2])
    rate, view = explorer.widget().children
    with pytest.raises(RuntimeError, match="today"):
        rate.value = 2
    assert 'role="alert"' in view.value
    assert "RuntimeError: no &lt;picture&gt; today" in view.value
    with pytest.raises(RuntimeError, match="today"):
        explorer.frames()


def test_stops_that_do_not_fit():
    with pytest.raises(ValueError, match=r"draw takes \['rate', 'kind'\].*given for \['rate'\]"):
        Explorer(draw, rate=[1, 2])
    with pytest.raises(ValueError, match="default rate=2 must be one of"):
        Explorer(draw, rate=[5, 6], kind=["b"])
    with pytest.raises(ValueError, match=r"play must be one of \['rate', 'kind'\], got 'size'"):
        Explorer(draw, play="size", rate=[2], kind=["b"])
    for strip in ([{"rate": 9}], [{"size": 1}], "size"):
        with pytest.raises(ValueError, match="is no stop of rate 2 to 2"):
            Explorer(draw, strip=strip, rate=[2], kind=["b"])
    with pytest.raises(ValueError, match="thin the stops"):
        Explorer(draw, rate=range(MOST_PICTURES + 1), kind=["b"])


def test_a_picture_needs_words():
    with pytest.raises(ValueError, match="needs alt text"):
        from_svg("<svg/>", " ")
