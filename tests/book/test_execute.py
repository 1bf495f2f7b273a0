"""Executing for the book, and the comparison that catches a changed output."""

import base64
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence

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


def write_book(folder, *sources: str, names: Sequence[str] = ("01-one",), seconds=None):
    """A book of chapters with the same cells; its root is a folder of its own.

    seconds: the budget of some of the chapters; others have 60.
    """
    (folder / "chapters").mkdir()
    for file, name in (("tests/nbval.cfg", "nbval.cfg"), ("chapters/conftest.py",) * 2):
        (folder / name).write_bytes((read_book().root / file).read_bytes())
    settings = '[book]\ntitle = "T"\nsrc = "chapters"\n[preprocessor.nbval]\n'
    settings += 'sanitize = "nbval.cfg"\nworkers = 1\n'
    for name in names:
        budget = (seconds or {}).get(name, 60)
        settings += f"[preprocessor.nbval.chapters.{name}]\nseconds = {budget}\n"
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"chapters/{name}.ipynb")
    (folder / "book.toml").write_text(settings)
    (folder / "chapters/SUMMARY.md").write_text("".join(f"- [{n}]({n}.ipynb)\n" for n in names))
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


def other_bytes(chapter) -> None:
    """Another version of a compressor must not fail a chapter: pixels are what is compared."""
    change_picture(chapter, recompressed)


def garbage(chapter) -> None:
    change_picture(chapter, lambda data: b"garbage" + data)
    (chapter.path.parent / "frames" / FILES[1].replace("01-one", chapter.name)).write_bytes(b"?")
    chapter.path.write_text(chapter.path.read_text().replace("two 1", "two 2"))


def stale(chapter) -> None:
    text = chapter.path.read_text()
    text = text.replace("svg.dot(20, 20, radius)", "svg.dot(20, 20, 1.2 * radius)")
    chapter.path.write_text(text.replace('"dots of 3.0\\n"', '"dashes of 3.0\\n"'))


def trained(chapter) -> None:
    """What training draws may differ in numbers and in shades."""
    notebook = nbformat.read(chapter.path, as_version=4)
    for cell in notebook.cells[:2]:
        cell.metadata = {"tags": [TRAINED], "reason": "as if it were trained"}
    notebook.cells[0].source = notebook.cells[0].source.replace("radius=4.0", "radius=4.5")
    nbformat.write(notebook, chapter.path)
    chapter.path.write_text(chapter.path.read_text().replace('"dots of 3.0', '"dots of 2.0'))


def slow(chapter) -> None:
    notebook = nbformat.read(chapter.path, as_version=4)
    notebook.cells[2].source += "\nimport time\ntime.sleep(1)"
    nbformat.write(notebook, chapter.path)


SPOILT = {
    other_bytes: (),
    trained: (),
    slow: (),
    garbage: (
        r"Cell 0: Pictures differ.*no PNG file that can be read.*dlseg run 04",
        r"Cell 1: Pictures differ.*04-garbage\.02\.json\.xz is another one: the SHA-256 differs",
        r"Cell 2: Cell outputs differ",
    ),
    stale: (
        r'Cell 0: Pictures.*draws.*r="4".*should be.*r="4.8"',
        r"Cell 1: Cell outputs differ.*dashes",
    ),
}
NAMES = [f"{number:02}-{spoil.__name__}" for number, spoil in enumerate(SPOILT, 1)]


@pytest.fixture(scope="module")
def tested(executed, tmp_path_factory) -> str:
    """What one run of nbval says of a book whose chapters are all that one, each spoilt."""
    root = tmp_path_factory.mktemp("spoilt")
    write_book(root, *CELLS.values(), names=NAMES, seconds={"03-slow": 1})
    for file in contents(executed):
        for name in NAMES:
            copy = root / file.relative_to(executed.root).as_posix().replace("01-one", name)
            copy.parent.mkdir(exist_ok=True)
            data = file.read_bytes()
            text = file.suffix == ".ipynb"
            copy.write_bytes(data.replace(b"01-one", name.encode()) if text else data)
    for chapter, spoil in zip(read_book(root).chapters, SPOILT, strict=True):
        spoil(chapter)
    return pytest_nbval(read_book(root)).stdout


@pytest.mark.parametrize("name", NAMES)
def test_what_is_spoilt_fails_by_name(tested, name):
    faults = list(SPOILT.values())[NAMES.index(name)]
    failed = re.findall(rf"^FAILED chapters/{name}\.ipynb::(Cell \d)", tested, re.MULTILINE)
    assert failed == [fault.split(":")[0].split(".")[0] for fault in faults], tested
    said = "".join(
        re.findall(rf"_ chapters/{name}\.ipynb::.*?(?=\n_____|\n=====)", tested, re.DOTALL)
    )
    for fault in faults:
        assert re.search(fault, said, re.DOTALL), tested


def test_a_chapter_over_its_budget_is_told(tested):
    assert re.search("^Over their budget, which is no failure: 03-slow .* of 1 s$", tested, re.M)


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
    run = pytest_nbval(write_book(tmp_path, *SLEEPS, seconds={"01-one": 2}), DLSEG_PATIENCE="0.5")
    lines = run.stdout.splitlines()
    assert SLOW.format("test") in lines and "1 failed, 1 skipped" in lines[-1]
    assert len(lines) < 20 and "Traceback" not in run.stdout, run.stdout


def test_a_cell_that_takes_too_long_ends_a_run_by_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("DLSEG_PATIENCE", "0.5")
    book = write_book(tmp_path, *SLEEPS, seconds={"01-one": 2})
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
