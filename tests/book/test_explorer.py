"""One explorer class: stops, printed form, live form, and a drawing that fails."""

import base64
import gzip
import json
import re

import pytest

from dlseg.book.explorer import MOST_PICTURES, SCRIPT, Explorer
from dlseg.book.picture import Picture, from_svg


def draw(rate=2, kind="b"):
    return from_svg(f"<svg><!-- {rate} {kind} --></svg>", f"rate {rate}, kind {kind} & more")


@pytest.fixture
def explorer():
    return Explorer(draw, rate=range(1, 4), kind=["a", "b"])


def test_sweep_visits_every_stop_once_last_slider_fastest(explorer):
    stops = [tuple(values.values()) for values, _ in explorer.sweep()]
    assert stops == [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (3, "a"), (3, "b")]
    assert len(explorer) == 6


def test_for_the_book_it_is_html_with_all_pictures(explorer, monkeypatch):
    monkeypatch.setenv("DLSEG_BOOK", "1")
    bundle = explorer._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert bundle["text/plain"] == "Explorer of 6 pictures: rate 1 to 3, kind a to b"
    page = bundle["text/html"]
    assert 'alt="rate 2, kind b &amp; more"' in page
    packed = re.search(r'plain">([\w+/=]*)<', page)[1]
    frames = json.loads(gzip.decompress(base64.b64decode(packed)))
    assert frames[3] == ["image/svg+xml", "<svg><!-- 2 b --></svg>", "rate 2, kind b & more"]
    assert 'data-first="[1, 1]"' in page
    assert len(SCRIPT) < 2000


def test_printed_form_is_the_same_twice(explorer):
    assert explorer.html() == explorer.html()


def test_for_a_reader_it_is_a_live_widget(explorer, monkeypatch):
    monkeypatch.delenv("DLSEG_BOOK", raising=False)
    assert "application/vnd.jupyter.widget-view+json" in explorer._repr_mimebundle_()
    rate, kind, view = explorer.widget().children
    assert (rate.value, kind.value) == (2, "b")
    rate.value = 3
    assert "rate 3, kind b &amp; more" in view.value
    kind.value = "a"
    assert "rate 3, kind a &amp; more" in view.value


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
        explorer.html()


def test_stops_that_do_not_fit():
    with pytest.raises(ValueError, match=r"draw takes \['rate', 'kind'\].*given for \['rate'\]"):
        Explorer(draw, rate=[1, 2])
    with pytest.raises(ValueError, match="default rate=2 must be one of"):
        Explorer(draw, rate=[5, 6], kind=["b"])
    with pytest.raises(ValueError, match="thin the stops"):
        Explorer(draw, rate=range(MOST_PICTURES + 1), kind=["b"])


def test_a_picture_needs_words():
    with pytest.raises(ValueError, match="needs alt text"):
        from_svg("<svg/>", " ")


def test_a_picture_shows_as_an_image_with_its_words():
    picture = Picture(b"bytes", "image/png", 'say "hello"')
    assert picture._repr_mimebundle_() == {
        "text/html": '<img class="dlseg-picture" style="max-width:100%;height:auto" '
        'src="data:image/png;base64,Ynl0ZXM=" alt="say &quot;hello&quot;">',
        "text/plain": 'Picture: say "hello"',
    }
