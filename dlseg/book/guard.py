"""Plain `python -m pytest --nbval chapters`: what nbval needs, and the comparison of pictures.

chapters/conftest.py takes these hooks over. A chapter is executed once: nbval compares its texts,
and every committed picture is compared with the one that the same execution drew.
"""

import tempfile
from pathlib import Path

import pytest

from dlseg.book.compare import compare_shown, shown, without_numbers
from dlseg.book.execute import FRAMES_FOLDER, book_environment
from dlseg.book.manifest import find_root, read_book

# The tag of a cell whose picture a network drew that was trained on the page; it needs a reason.
TRAINED = "drawn-by-training"
NBVALS_TIMEOUT = 2000  # seconds, where no other is asked for
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
    if option.nbval_cell_timeout == NBVALS_TIMEOUT:
        option.nbval_cell_timeout = 5 * max(chapter.seconds for chapter in book.notebooks)
    fresh = tempfile.TemporaryDirectory()
    config.add_cleanup(fresh.cleanup)
    config.stash[FRESH] = Path(fresh.name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """A kernel that starts here is one for the book, and knows where its files go."""
    with pytest.MonkeyPatch.context() as patch:
        if _is_cell(item):
            for name, value in book_environment(item.config.stash[FRESH] / item.path.stem).items():
                patch.setenv(name, value)
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """After nbval compared the texts of a cell, compare its pictures."""
    trained = _is_cell(item) and TRAINED in item.cell.metadata.get("tags", [])
    if trained:
        sanitize = item.sanitize
        item.sanitize = lambda text: without_numbers(sanitize(text))
    result = yield
    if _is_cell(item) and item.options["check"]:
        folders = item.path.parent / FRAMES_FOLDER, item.config.stash[FRESH]
        faults = picture_faults(item.cell.outputs, item.test_outputs, folders, trained)
        if faults:
            remedy = f"If the new picture is right: dlseg run {item.path.stem[:2]}"
            item.raise_cell_error("Pictures differ", "\n".join([*faults, remedy]))
    return result


def picture_faults(
    committed: list, fresh: list, folders: tuple[Path, Path], trained: bool
) -> list[str]:
    """The faults of the committed pictures of a cell, none if all are as they are drawn now."""
    try:
        return compare_shown(shown(committed), shown(fresh), folders, trained)
    except ValueError as error:
        return [f"a picture is no base64: {error}"]
