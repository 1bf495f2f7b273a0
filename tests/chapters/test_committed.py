"""The form of what is committed: pictures that every viewer shows, and the files beside them."""

import re
from html.parser import HTMLParser

import nbformat
import pytest

from dlseg.book.compare import kept, shown
from dlseg.book.execute import FRAMES_FOLDER
from dlseg.book.frames import Frames
from dlseg.book.guard import TRAINED
from dlseg.book.raster import pixels
from tests.chapters.tools import BOOK, NAMES, ROOT, cells, prose
from tests.sampling import sampled

FOLDER = ROOT / "chapters" / FRAMES_FOLDER
KINDS = ({"text/plain"}, {"text/plain", "image/png"}, {"text/plain", "text/markdown"})
LONGEST = 100_000  # bytes of a line: viewers and reviews give up on longer ones
each_chapter = pytest.mark.parametrize("name", NAMES)


def pictures(name: str) -> list:
    return [picture for cell in cells(name, "code") for picture in shown(cell.outputs)]


@each_chapter
def test_outputs_are_text_and_png(name):
    for cell in cells(name, "code"):
        for output in cell.outputs:
            assert output.output_type == "stream" or set(output.data) in KINDS, cell.source


@each_chapter
def test_every_picture_can_be_read_and_has_alt_text(name):
    assert pictures(name)
    alts = [picture.about["alt"] for picture in pictures(name)]
    alts += re.findall(r"!\[(.*?)\]\(", prose(name))
    assert all(len(alt.strip()) > 20 for alt in alts), alts
    for picture in pictures(name):
        height, width, _ = pixels(picture.png).shape
        assert 1.4 < width / picture.about["width"] < 2.1
        assert 1.4 < height / picture.about["height"] < 2.1


@each_chapter
def test_the_text_of_a_picture_is_its_alt_text(name):
    for picture in pictures(name):
        if isinstance("file" in picture.about and kept(picture, FOLDER), Frames):
            assert picture.text.startswith(f"{picture.about['alt']}\nRun this cell to drag it: ")
        else:
            assert picture.text == picture.about["alt"]


@each_chapter
def test_small_enough_to_be_looked_at(name):
    data = BOOK.find(name).path.read_bytes()
    assert len(data) < BOOK.nbval["megabytes"] * 1e6
    assert max(map(len, data.splitlines())) < LONGEST


def test_every_file_beside_the_notebooks_is_named_by_one():
    named = {p.about["file"] for name in NAMES for p in pictures(name) if "file" in p.about}
    assert named == {path.name for path in FOLDER.iterdir()}
    assert all(name.startswith(tuple(f"{chapter}." for chapter in NAMES)) for name in named)


def test_pictures_that_training_draws_are_few_and_say_why():
    drawn = [cell for name in NAMES for cell in cells(name, "code") if shown(cell.outputs)]
    trained = [cell for cell in drawn if TRAINED in cell.metadata.get("tags", [])]
    assert all(cell.metadata.get("reason") for cell in trained)
    assert 0 < len(trained) <= 0.15 * len(drawn)


class Page(HTMLParser):
    """Counts the pictures of a page, and keeps its text, which styles and scripts are not."""

    def __init__(self, page: str):
        super().__init__()
        self.images, self.text, self.tag = 0, [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.images += tag == "img"
        self.tag = tag

    def handle_endtag(self, tag):
        self.tag = ""

    def handle_data(self, data):
        if self.tag not in ("style", "script"):
            self.text.append(data)


def refuted(cells: list) -> list[str]:
    """What cells claim of a network that they train, "it learned: True", and print as false."""
    trains = [cell for cell in cells if re.search(r"\btrain\(\w+, ", cell.source)]
    told = "".join(output.get("text", "") for cell in trains for output in cell.outputs)
    return re.findall(r"^.*: +False$", told, re.M)


@each_chapter
def test_a_network_trained_on_a_page_has_learned_what_the_page_says(name):
    assert refuted(cells(name, "code")) == []


def test_a_network_that_has_not_learned_would_be_noticed():
    cell = nbformat.v4.new_code_cell("training.train(network, scenes, recipe)\nprint(...)")
    cell.outputs = [nbformat.v4.new_output("stream", text="fewer: True\nnearly all:   False\n")]
    assert refuted([cell]) == ["nearly all:   False"]


def test_a_page_with_base64_as_text_would_be_noticed():
    page = Page(f"<style>{'A' * 300}</style><p><img src='x'>{'B' * 300}</p>")
    assert page.images == 1 and page.text == ["B" * 300]


# Every third chapter in one of the two ways, and at night all in both.
WAYS = [(name, sanitize) for name in NAMES for sanitize in (False, True)]


@pytest.mark.parametrize(
    ("name", "sanitize"), sampled(WAYS, [(name, bool(i % 2)) for i, name in enumerate(NAMES[::3])])
)
def test_a_viewer_shows_every_picture_and_no_base64(name, sanitize, exporter):
    exporter.sanitize_html = sanitize
    page = Page(exporter.from_filename(str(BOOK.find(name).path))[0])
    assert page.images == len(pictures(name)) + len(re.findall(r"!\[", prose(name)))
    assert not re.search(r"[A-Za-z0-9+/]{200}", "".join(page.text))


@pytest.fixture(scope="module")
def exporter():
    """What many sites show notebooks with."""
    from nbconvert import HTMLExporter

    return HTMLExporter(template_name="lab")
