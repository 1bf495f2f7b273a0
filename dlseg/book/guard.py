"""Plain `python -m pytest --nbval chapters`: what nbval needs, and the comparison of pictures.

chapters/conftest.py takes these hooks over. A chapter is executed once: nbval compares its texts,
and every committed picture is compared with the one that the same execution drew. A cell may take
long, see `patience`; a chapter over its budget is told at the end, and has not failed.
"""

import tempfile
from collections import Counter
from pathlib import Path

import pytest

from dlseg.book.compare import compare_shown, shown, without_numbers
from dlseg.book.execute import (
    FRAMES_FOLDER,
    START,
    book_environment,
    cell_limit,
    patience,
    too_slow,
)
from dlseg.book.manifest import Book, Chapter, find_root, read_book
from dlseg.checks import CommandError

# The tag of a cell whose picture a network drew that was trained on the page; it needs a reason.
TRAINED = "drawn-by-training"
OUTPUT = 60  # seconds in which a message arrives from a kernel that has done its work
BOOK = pytest.StashKey[Book]()
FRESH = pytest.StashKey[Path]()


def _is_cell(item) -> bool:
    return hasattr(item, "cell_num")  # nbval's items; its module is not there without --nbval


def pytest_configure(config) -> None:
    """Set what is not given: the kernel of this environment, a time limit, what is not compared."""
    option = config.option
    if not getattr(option, "nbval", False):
        return
    book = read_book(find_root(config.rootpath))
    if not option.nbval_kernel_name:
        option.nbval_current_env = True
    if option.nbval_sanitize_with is None:
        option.nbval_sanitize_with = str(book.root / book.nbval["sanitize"])
    try:
        option.nbval_kernel_startup_timeout = START * max(1, patience())
    except CommandError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[BOOK] = book
    fresh = tempfile.TemporaryDirectory()
    config.add_cleanup(fresh.cleanup)
    config.stash[FRESH] = Path(fresh.name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """A kernel that starts here is one for the book, and knows where its files go."""
    with pytest.MonkeyPatch.context() as patch:
        if _is_cell(item):
            if item.parent.timed_out:
                pytest.skip("a cell above it took too long")
            for name, value in book_environment(item.config.stash[FRESH] / item.path.stem).items():
                patch.setenv(name, value)
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """After nbval compared the texts of a cell, compare its pictures."""
    if not _is_cell(item):
        return (yield)
    chapter = _chapter_of(item)
    if chapter:
        item.output_timeout = OUTPUT
        item.config.option.nbval_cell_timeout = cell_limit(chapter)
    trained = TRAINED in item.cell.metadata.get("tags", [])
    if trained:
        sanitize = item.sanitize
        item.sanitize = lambda text: without_numbers(sanitize(text))
    try:
        result = yield
    finally:
        if chapter and item.parent.timed_out:  # nbval would print all that the cell was doing
            line = too_slow(chapter, item.cell_num, "dlseg test")
            item.repr_failure = lambda _excinfo: line
    if item.options["check"]:
        _compare_pictures(item, trained)
    return result


def _chapter_of(item) -> Chapter | None:
    chapters = item.config.stash[BOOK].notebooks
    return next((chapter for chapter in chapters if chapter.path == item.path), None)


def _compare_pictures(item, trained: bool) -> None:
    folders = item.path.parent / FRAMES_FOLDER, item.config.stash[FRESH]
    faults = picture_faults(item.cell.outputs, item.test_outputs, folders, trained)
    if faults:
        remedy = f"If the new picture is right: dlseg run {item.path.stem[:2]}"
        item.raise_cell_error("Pictures differ", "\n".join([*faults, remedy]))


def pytest_terminal_summary(terminalreporter, config) -> None:
    """One line about the chapters that took longer than their budget."""
    if BOOK not in config.stash:
        return
    took: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                took[Path(report.nodeid.partition("::")[0]).stem] += report.duration
    over = [
        f"{chapter.name} {took[chapter.name]:.0f} s of {chapter.seconds} s"
        for chapter in config.stash[BOOK].notebooks
        if took[chapter.name] > chapter.seconds
    ]
    if over:
        terminalreporter.write_line(f"Over their budget, which is no failure: {', '.join(over)}")


def picture_faults(
    committed: list, fresh: list, folders: tuple[Path, Path], trained: bool
) -> list[str]:
    """The faults of the committed pictures of a cell, none if all are as they are drawn now."""
    try:
        return compare_shown(shown(committed), shown(fresh), folders, trained)
    except ValueError as error:
        return [f"a picture is no base64: {error}"]
