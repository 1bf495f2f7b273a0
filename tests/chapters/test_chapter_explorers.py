"""Every explorer of the book: each committed stop, and live sliders without a front end."""

import re

import ipywidgets
import pytest

from dlseg.book.compare import kept, shown
from dlseg.book.execute import FRAMES_FOLDER
from dlseg.book.explorer import Explorer
from dlseg.book.frames import Frames
from dlseg.book.guard import TRAINED
from tests.chapters.tools import NAMES, ROOT, cells, namespace

FOLDER = ROOT / "chapters" / FRAMES_FOLDER


def explorer_cells(name: str) -> list:
    """The cells of a chapter that end in an explorer."""
    return [c for c in cells(name, "code") if re.search(r"^Explorer\(", c.source, re.MULTILINE)]


@pytest.mark.parametrize("name", NAMES)
def test_every_stop_has_its_own_picture(name):
    """As committed; that these are the pictures which the cells draw, nbval says."""
    assert explorer_cells(name)
    for cell in explorer_cells(name):
        frames = kept(shown(cell.outputs)[-1], FOLDER)
        assert isinstance(frames, Frames)
        assert len({picture.data for picture in frames.pictures}) == len(frames.pictures)
        assert len({picture.alt for picture in frames.pictures}) == len(frames.pictures)


def explorers(name: str) -> list[Explorer]:
    """Rebuilt from the same expressions, but for those that show what was trained on the page."""
    found = []
    for cell in explorer_cells(name):
        if TRAINED not in cell.metadata.get("tags", []):
            code = cell.source[re.search(r"^Explorer\(", cell.source, re.MULTILINE).start() :]
            found.append(eval(code, namespace(name, code)))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_live_sliders_redraw(name):
    for explorer in explorers(name):
        box = explorer.widget()
        view = box.children[-1]
        assert isinstance(view, ipywidgets.HTML)
        for control in box.children[:-1]:
            before = view.value
            if isinstance(control, ipywidgets.Play):  # it moves one of the others
                continue
            control.value = next(v for v in control.options if v != control.value)
            assert view.value != before
