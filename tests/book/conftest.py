"""An environment as in the kernel of a chapter that is executed for the book."""

import itertools

import pytest

from dlseg.book import publish


@pytest.fixture
def publishing(monkeypatch, tmp_path):
    """The folder into which a chapter called 01-one leaves its files."""
    monkeypatch.setenv("DLSEG_BOOK", "1")
    monkeypatch.setenv(publish.FRAMES, str(tmp_path / "01-one"))
    monkeypatch.setattr(publish, "_numbers", itertools.count(1))
    return tmp_path
