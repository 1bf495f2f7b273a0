"""Executing for the book, and the comparison that catches a changed output."""

import base64
import io
import os
import re
import shutil
import signal
import subprocess
import sys

import nbformat
import pytest
from PIL import Image

from dlseg.book.execute import normalise, patience, run_chapter, run_tests
from dlseg.book.guard import TRAINED
from dlseg.book.manifest import read_book
from dlseg.checks import CommandError
from tests.processes import started, stop, told, wait_until

CELLS = {
    "picture": "from dlseg.book import svg\n"
    "from dlseg.book.picture import from_svg\n"
    "def dots(radius=4.0):\n"
    "    parts = [svg.dot(20, 20, radius), svg.text(5, 40, f'radius {radius}')]\n"
    "    return from_svg(svg.document(90, 50, parts), 'dots')\n"
    "dots()",
    "explorer": "from dlseg.book.explorer import Explorer\n"
    "Explorer(lambda r=3.0: from_svg(dots(r).data.decode(), f'dots of {r}'), r=[3.0, 5.0])",
    "print": 'import os\nprint("one")\nprint("two", os.environ["DLSEG_BOOK"])',
}
FILES = ["01-one.01.svg", "01-one.02.json.xz"]


def write_book(folder, *sources: str, seconds: int = 60):
    """A book of one chapter with a budget of `seconds`; its root is a folder of its own."""
    (folder / "chapters").mkdir()
    for file, name in (("tests/nbval.cfg", "nbval.cfg"), ("chapters/conftest.py",) * 2):
        (folder / name).write_bytes((read_book().root / file).read_bytes())
    settings = '[book]\ntitle = "T"\nsrc = "chapters"\n[preprocessor.nbval]\n'
    settings += 'sanitize = "nbval.cfg"\nworkers = 1\n[preprocessor.nbval.chapters.01-one]\n'
    (folder / "book.toml").write_text(f"{settings}seconds = {seconds}\n")
    (folder / "chapters/SUMMARY.md").write_text("- [One](01-one.ipynb)\n")
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "chapters/01-one.ipynb")
    return read_book(folder)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A book whose only chapter is as it would be committed."""
    book = write_book(tmp_path_factory.mktemp("executed"), *CELLS.values())
    assert run_chapter(book.find("01")) > 0
    return book


@pytest.fixture
def book(executed, tmp_path):
    """A copy of it, to be spoilt."""
    shutil.copytree(executed.root, tmp_path, dirs_exist_ok=True)
    return read_book(tmp_path)


def contents(book) -> dict:
    """Every file that executing may change, and what is in it."""
    chapters = book.root / "chapters"
    paths = [*chapters.glob("*.ipynb"), *sorted(chapters.glob("frames/*"))]
    return {path: path.read_bytes() for path in paths}


def pytest_nbval(book, **variables: str) -> subprocess.CompletedProcess:
    """Plain nbval, as a reader's CI would call it."""
    environment = {name: value for name, value in os.environ.items() if "DLSEG" not in name}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "chapters", "-p", "no:cacheprovider"],
        cwd=book.root,
        env={**environment, **variables},
        capture_output=True,
        text=True,
    )


def test_executed_in_place_and_normalised(executed):
    notebook = nbformat.read(executed.find("01").path, as_version=4)
    assert [cell.execution_count for cell in notebook.cells] == [1, 2, 3]
    assert notebook.cells[2].outputs[0].text == "one\ntwo 1\n"
    assert notebook.metadata.kernelspec.name == "python3" and "widgets" not in notebook.metadata
    assert [path.name for path in contents(executed)][1:] == FILES
    assert not list(executed.root.rglob("*.part"))


def test_executed_again_it_is_the_same_and_green(book):
    before = contents(book)
    run_chapter(book.find("01"))
    assert contents(book) == before
    assert run_tests(book, [book.find("01")]) == 0


def test_other_bytes_of_the_same_picture_pass(book):
    """Another version of a compressor must not fail a chapter: pixels are what is compared."""
    change_picture(book.find("01"), recompressed)
    done = pytest_nbval(book)
    assert done.returncode == 0, done.stdout


def change_picture(chapter, change) -> None:
    """Replace the first picture of a notebook by another."""
    notebook = nbformat.read(chapter.path, as_version=4)
    data = notebook.cells[0].outputs[0].data
    data["image/png"] = base64.b64encode(change(base64.b64decode(data["image/png"]))).decode()
    nbformat.write(notebook, chapter.path)


def recompressed(data: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(buffer, format="PNG", compress_level=1)
    assert buffer.getvalue() != data
    return buffer.getvalue()


def test_garbage_and_a_changed_output_fail(book):
    chapter = book.find("01")
    change_picture(chapter, lambda data: b"garbage" + data)
    (chapter.path.parent / "frames" / FILES[1]).write_bytes(b"garbage")
    chapter.path.write_text(chapter.path.read_text().replace("two 1", "two 2"))
    done = pytest_nbval(book)
    assert "3 failed" in done.stdout
    for fault in (
        r"Cell 0: Pictures differ.*no PNG file that can be read.*dlseg run 01",
        r"Cell 1: Pictures differ.*01-one\.02\.json\.xz is another one: the SHA-256 differs",
        r"Cell 2: Cell outputs differ",
    ):
        assert re.search(fault, done.stdout, re.DOTALL), done.stdout


def test_a_stale_drawing_and_a_changed_alt_text_fail(book):
    path = book.find("01").path
    text = path.read_text().replace("svg.dot(20, 20, radius)", "svg.dot(20, 20, 1.2 * radius)")
    path.write_text(text.replace('"dots of 3.0\\n"', '"dashes of 3.0\\n"'))
    done = pytest_nbval(book)
    assert "2 failed" in done.stdout
    assert re.search(r'Cell 0: Pictures.*draws.*r="4".*should be.*r="4.8"', done.stdout, re.DOTALL)
    assert re.search(r"Cell 1: Cell outputs differ.*dashes", done.stdout, re.DOTALL)


def test_what_training_draws_may_differ_in_numbers_and_shades(book):
    path = book.find("01").path
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells[:2]:
        cell.metadata = {"tags": [TRAINED], "reason": "as if it were trained"}
    notebook.cells[0].source = notebook.cells[0].source.replace("radius=4.0", "radius=4.5")
    nbformat.write(notebook, path)
    path.write_text(path.read_text().replace('"dots of 3.0', '"dots of 2.0'))
    done = pytest_nbval(book)
    assert done.returncode == 0, done.stdout


def test_files_that_are_named_no_more_go(book):
    chapter = book.find("01")
    other = book.root / "chapters/frames/02-two.01.svg"
    other.write_text("another chapter's")
    notebook = nbformat.read(chapter.path, as_version=4)
    del notebook.cells[1]
    nbformat.write(notebook, chapter.path)
    run_chapter(chapter)
    assert sorted(path.name for path in other.parent.iterdir()) == [FILES[0], other.name]


def test_a_failing_chapter_is_left_as_it_was(tmp_path):
    from nbclient.exceptions import CellExecutionError

    book = write_book(tmp_path, CELLS["picture"], "1 / 0")
    before = contents(book)
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        run_chapter(book.find("01"))
    assert contents(book) == before


SLEEPS = "import time\ntime.sleep(60)", "print(1)"
SLOW = (
    "01-one, cell 0: stopped after 1 s, 0.5 times the chapter's budget of 2 s. "
    "On a slow machine: dlseg {} 01 --patience 1, or DLSEG_PATIENCE=1"
)


def test_a_cell_under_test_that_takes_too_long_is_one_line(tmp_path):
    run = pytest_nbval(write_book(tmp_path, *SLEEPS, seconds=2), DLSEG_PATIENCE="0.5")
    lines = run.stdout.splitlines()
    assert SLOW.format("test") in lines and "1 failed, 1 skipped" in lines[-1]
    assert len(lines) < 20 and "Traceback" not in run.stdout, run.stdout


def test_a_cell_that_takes_too_long_ends_a_run_by_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("DLSEG_PATIENCE", "0.5")
    book = write_book(tmp_path, *SLEEPS, seconds=2)
    before = contents(book)
    with pytest.raises(CommandError) as caught:
        run_chapter(book.find("01"))
    assert str(caught.value) == SLOW.format("run")
    assert contents(book) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_how_to_go_on(tmp_path, number):
    book = write_book(tmp_path, "import time\nopen('started', 'w')\ntime.sleep(60)")
    before = contents(book)
    with started(tmp_path, "run") as process:
        wait_until((tmp_path / "chapters/started").exists, process)
        assert stop(process, number) == 128 + number
    assert told(tmp_path) == "dlseg: stopped; 01-one is unchanged; go on with: dlseg run 01\n"
    assert contents(book) == before


def test_a_chapter_over_its_budget_is_told_and_passes(tmp_path):
    run = pytest_nbval(write_book(tmp_path, "import time\ntime.sleep(1)", seconds=1))
    assert run.returncode == 0, run.stdout
    assert re.search("^Over their budget, which is no failure: 01-one .* of 1 s$", run.stdout, re.M)


@pytest.mark.parametrize("given", ["0", "-1", "nan", "inf", "much"])
def test_patience_that_is_none(book, given, monkeypatch):
    monkeypatch.setenv("DLSEG_PATIENCE", given)
    with pytest.raises(CommandError, match=f"number above 0 such as 10; got '{given}'"):
        patience()


def test_patience_that_is_none_is_told_by_plain_pytest_in_a_line(book):
    run = pytest_nbval(book, DLSEG_PATIENCE="much")
    assert run.stderr.startswith("ERROR: patience is how many times"), run.stderr
    assert len(run.stderr.splitlines()) < 3


def test_widget_state_and_times_are_dropped():
    cell = nbformat.v4.new_code_cell("1", metadata={"execution": {"iopub.status.busy": "now"}})
    metadata = {"widgets": {"state": {}}, "kernelspec": {"name": "mine", "display_name": ""}}
    notebook = normalise(nbformat.v4.new_notebook(cells=[cell], metadata=metadata))
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[0].metadata == {}


def test_every_written_sanitize_rule_is_used():
    """nbval drops a rule that it cannot parse without a word."""
    from nbval.plugin import get_sanitize_patterns

    text = (read_book().root / "tests/nbval.cfg").read_text()
    assert len(list(get_sanitize_patterns(text))) == text.count("\nregex:") == 1
