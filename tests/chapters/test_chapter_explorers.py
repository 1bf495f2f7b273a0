"""Every explorer of the book, at every stop of every slider, without a front end."""

import re

import ipywidgets
import pytest

from dlseg.book.explorer import Explorer
from dlseg.book.picture import Picture
from tests.chapters.tools import NAMES, cells, namespace


def explorers(name: str) -> list[Explorer]:
    """The explorers that a chapter's cells end in, rebuilt from the same expressions."""
    found = []
    for cell in cells(name, "code"):
        if start := re.search(r"^Explorer\(", cell.source, re.MULTILINE):
            found.append(eval(cell.source[start.start() :], namespace(name)))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_stop_draws_its_own_picture(name):
    assert explorers(name)
    for explorer in explorers(name):
        pictures = [picture for _, picture in explorer.sweep()]
        assert len(pictures) == len(explorer)
        assert all(isinstance(picture, Picture) for picture in pictures)
        assert len({picture.data for picture in pictures}) == len(pictures)
        assert len({picture.alt for picture in pictures}) == len(pictures)


@pytest.mark.parametrize("name", NAMES)
def test_live_sliders_redraw(name):
    for explorer in explorers(name):
        box = explorer.widget()
        view = box.children[-1]
        assert isinstance(view, ipywidgets.HTML)
        for control in box.children[:-1]:
            before = view.value
            control.value = next(v for v in control.options if v != control.value)
            assert view.value != before
