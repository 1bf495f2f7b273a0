"""Run chapters: in place for the book, or under nbval as a test."""

import math
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError

from dlseg.aside import new_file
from dlseg.book.child import run_child
from dlseg.book.manifest import Book, Chapter
from dlseg.book.publish import FRAMES
from dlseg.checks import CommandError

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
FRAMES_FOLDER = "frames"  # beside the notebooks: vectors of drawings, frames of explorers
LANGUAGE = {"name": "python"}  # without the version, which differs between machines
# One thread each for two chapters side by side is faster than two threads for one after another,
# and keeps sums in one order.
QUIET = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
PATIENCE = "DLSEG_PATIENCE"  # the variable; a machine may be slow, or busy with other work
PATIENT = 10.0  # times its chapter's budget of seconds, which a cell may take
START = 60  # seconds at least, in which a kernel starts


def book_environment(stem: Path) -> dict[str, str]:
    """What is set while a chapter is executed for the book or under test.

    stem: folder and first part of the name of the files that it leaves beside its notebook.
    """
    return {"DLSEG_BOOK": "1", FRAMES: str(stem), **QUIET}


def patience() -> float:
    """How many times its chapter's budget a cell may take, as `DLSEG_PATIENCE` says.

    Raises: CommandError unless it is a positive number.
    """
    given = os.environ.get(PATIENCE) or str(PATIENT)
    try:
        factor = float(given)
    except ValueError:
        factor = math.nan
    if not 0 < factor < math.inf:
        raise CommandError(
            f"patience is how many times its chapter's budget a cell may take, a number above 0 "
            f"such as {PATIENT:g}; got {given!r} (--patience, or {PATIENCE})"
        )
    return factor


def cell_limit(chapter: Chapter) -> int:
    """Seconds that a cell of the chapter may take."""
    return math.ceil(patience() * chapter.seconds)


def too_slow(chapter: Chapter, cell: int, remedy: str) -> str:
    """The line about a cell that reached its limit. cell: its number among the code cells, from 0.

    remedy: what takes --patience, such as "dlseg test".
    """
    factor = patience()
    return (
        f"{chapter.name}, cell {cell}: stopped after {cell_limit(chapter)} s, {factor:g} times "
        f"the chapter's budget of {chapter.seconds} s. On a slow machine: {remedy} "
        f"{chapter.number} --patience {2 * factor:g}, or {PATIENCE}={2 * factor:g}"
    )


def normalise(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Leave only what is the same on every machine: one kernel name, no widget state, no times."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": LANGUAGE})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        cell.metadata.pop("collapsed", None)
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    return notebook


def _joined(outputs: list) -> list:
    """Prints that arrived in pieces as one output; how they were cut is a matter of timing."""
    joined = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.get("name") and last.get("name") == output.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def run_chapter(chapter: Chapter) -> float:
    """Execute a chapter from top to bottom and write it back, aside first, then renamed.

    Returns: seconds it took.
    Raises: nbclient's CellExecutionError if a cell fails, CommandError if one takes too long; the
    file is then left as it was.
    """
    notebook = nbformat.read(chapter.path, as_version=4)
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        stem = Path(folder, chapter.name)
        _execute(notebook, chapter, {**os.environ, **book_environment(stem)})
        seconds = time.perf_counter() - begin
        fresh = {path.name: path.read_bytes() for path in stem.parent.iterdir()}
    _write(chapter, fresh, nbformat.writes(normalise(notebook)) + "\n")
    return seconds


def _execute(notebook: nbformat.NotebookNode, chapter: Chapter, environment: dict) -> None:
    """Execute the cells of a notebook, in place.

    Cell by cell, since `NotebookClient.execute` takes the signals of this process for itself.
    """
    limit = cell_limit(chapter)
    client = NotebookClient(
        notebook,
        timeout=limit,
        startup_timeout=max(START, limit),
        kernel_name="python3",
        resources={"metadata": {"path": str(chapter.path.parent)}},
        shutdown_kernel="immediate",
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    )
    client.reset_execution_trackers()
    with client.setup_kernel(env=environment):
        for index, cell in enumerate(notebook.cells):
            done = client.code_cells_executed
            try:
                client.execute_cell(cell, index, execution_count=done + 1)
            except CellTimeoutError as error:
                raise CommandError(too_slow(chapter, done, "dlseg run")) from error


def _write(chapter: Chapter, files: dict[str, bytes], notebook: str) -> None:
    """The files beside a notebook, then it, then away with files that it names no more."""
    folder = chapter.path.parent / FRAMES_FOLDER
    for name, data in files.items():
        _write_aside(folder / name, data)
    _write_aside(chapter.path, notebook.encode())
    for path in folder.glob(f"{chapter.name}.*"):
        if path.name not in files:
            path.unlink()


def _write_aside(path: Path, data: bytes) -> None:
    with new_file(path) as file:
        file.write(data)


def run_tests(book: Book, chapters: list[Chapter]) -> int:
    """Execute chapters under nbval; compare every text and picture with the committed one.

    Returns: pytest's exit code.
    """
    command = [sys.executable, "-m", "pytest", "--nbval", "--durations=5", "-p", "no:cacheprovider"]
    # loadfile keeps one notebook on one worker: its cells share a kernel.
    command += ["-n", str(book.nbval["workers"]), "--dist", "loadfile"]
    command += [str(chapter.path) for chapter in chapters]
    return run_child(command, book.root, ask=signal.SIGINT)
