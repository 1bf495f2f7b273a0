"""Executing for the book, and the comparison that catches a changed output."""

import nbformat
import pytest

from dlseg.book.execute import book_environment, normalise, run_chapter, run_tests
from dlseg.book.manifest import read_book

CELLS = {
    "picture": "from dlseg.book.picture import Picture\n"
    'Picture(b"\\x01" * 99, "image/png", "dots")',
    "print": 'import os\nprint("one")\nprint("two", os.environ["DLSEG_BOOK"])',
}


@pytest.fixture
def make_book(tmp_path):
    """A book of one chapter; its root is a folder of its own."""

    def make(*sources: str):
        (tmp_path / "chapters").mkdir()
        (tmp_path / "nbval.cfg").write_bytes((read_book().root / "tests/nbval.cfg").read_bytes())
        settings = '[book]\ntitle = "T"\nsrc = "chapters"\n[preprocessor.nbval]\n'
        (tmp_path / "book.toml").write_text(settings + 'sanitize = "nbval.cfg"\nworkers = 1\n')
        (tmp_path / "chapters/SUMMARY.md").write_text("- [One](01-one.ipynb)\n")
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "chapters/01-one.ipynb")
        return read_book(tmp_path)

    return make


def test_executed_in_place_normalised_and_green(make_book):
    book = make_book(*CELLS.values())
    chapter = book.find("01")
    assert run_chapter(chapter) > 0
    notebook = nbformat.read(chapter.path, as_version=4)
    assert [cell.execution_count for cell in notebook.cells] == [1, 2]
    assert notebook.cells[1].outputs[0].text == "one\ntwo 1\n"
    assert notebook.metadata.kernelspec.name == "python3" and "widgets" not in notebook.metadata
    assert not list(chapter.path.parent.glob("*.part"))
    first = chapter.path.read_bytes()
    run_chapter(chapter)
    assert chapter.path.read_bytes() == first
    assert run_tests(book, [chapter]) == 0


@pytest.mark.parametrize(
    ("right", "wrong"), [("two 1", "two 2"), ("Picture: dots", "Picture: dashes")]
)
def test_a_changed_output_fails(make_book, right, wrong):
    book = make_book(*CELLS.values())
    chapter = book.find("01")
    run_chapter(chapter)
    text = chapter.path.read_text()
    assert right in text
    chapter.path.write_text(text.replace(right, wrong))
    assert run_tests(book, [chapter]) != 0


def test_other_picture_bytes_pass(make_book):
    """Another version of a compressor must not fail a chapter: the words are what is compared."""
    book = make_book(CELLS["picture"])
    chapter = book.find("01")
    run_chapter(chapter)
    chapter.path.write_text(chapter.path.read_text().replace("AQEBAQEB", "AQEBAQEC"))
    assert run_tests(book, [chapter]) == 0


def test_a_failing_chapter_is_left_as_it_was(make_book):
    from nbclient.exceptions import CellExecutionError

    chapter = make_book("print(1)", "1 / 0").find("01")
    before = chapter.path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        run_chapter(chapter)
    assert chapter.path.read_bytes() == before


def test_widget_state_and_times_are_dropped():
    cell = nbformat.v4.new_code_cell("1", metadata={"execution": {"iopub.status.busy": "now"}})
    metadata = {"widgets": {"state": {}}, "kernelspec": {"name": "mine", "display_name": ""}}
    notebook = normalise(nbformat.v4.new_notebook(cells=[cell], metadata=metadata))
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[0].metadata == {}


def test_device_reaches_the_kernel(monkeypatch):
    monkeypatch.setenv("DLSEG_DEVICE", "cuda")
    assert book_environment()["DLSEG_DEVICE"] == "cuda"
    assert book_environment()["DLSEG_BOOK"] == "1"


def test_every_written_sanitize_rule_is_used():
    """nbval drops a rule that it cannot parse without a word."""
    from nbval.plugin import get_sanitize_patterns

    text = (read_book().root / "tests/nbval.cfg").read_text()
    assert len(list(get_sanitize_patterns(text))) == text.count("\nregex:") == 2
