"""Run chapters: in place for the book, or under nbval as a test."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from dlseg.book.manifest import Book, Chapter
from dlseg.book.publish import FRAMES

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
FRAMES_FOLDER = "frames"  # beside the notebooks: vectors of drawings, frames of explorers
LANGUAGE = {"name": "python"}  # without the version, which differs between machines
# One thread each for two chapters side by side is faster than two threads for one after another,
# and keeps sums in one order.
QUIET = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}


def book_environment(stem: Path) -> dict[str, str]:
    """What is set while a chapter is executed for the book or under test.

    stem: folder and first part of the name of the files that it leaves beside its notebook.
    """
    return {"DLSEG_BOOK": "1", FRAMES: str(stem), **QUIET}


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
    Raises: nbclient's CellExecutionError if a cell fails; the file is then left as it was.
    """
    notebook = nbformat.read(chapter.path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=2 * chapter.seconds,
        kernel_name="python3",
        resources={"metadata": {"path": str(chapter.path.parent)}},
        store_widget_state=False,
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    )
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        stem = Path(folder, chapter.name)
        client.execute(env={**os.environ, **book_environment(stem)})
        seconds = time.perf_counter() - begin
        fresh = {path.name: path.read_bytes() for path in stem.parent.iterdir()}
    _write(chapter, fresh, nbformat.writes(normalise(notebook)) + "\n")
    return seconds


def _write(chapter: Chapter, files: dict[str, bytes], notebook: str) -> None:
    """The files beside a notebook, then it, then away with files that it names no more."""
    folder = chapter.path.parent / FRAMES_FOLDER
    for name, data in files.items():
        folder.mkdir(exist_ok=True)
        write_aside(folder / name, data)
    write_aside(chapter.path, notebook.encode())
    for path in folder.glob(f"{chapter.name}.*"):
        if path.name not in files:
            path.unlink()


def write_aside(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves either the old or the new one, never half of it."""
    aside = path.with_name(path.name + ".part")
    aside.write_bytes(data)
    aside.replace(path)


def run_tests(book: Book, chapters: list[Chapter]) -> int:
    """Execute chapters under nbval; compare every text and picture with the committed one.

    Returns: pytest's exit code.
    """
    command = [sys.executable, "-m", "pytest", "--nbval", "--durations=5", "-p", "no:cacheprovider"]
    # loadfile keeps one notebook on one worker: its cells share a kernel.
    command += ["-n", str(book.nbval["workers"]), "--dist", "loadfile"]
    command += [str(chapter.path) for chapter in chapters]
    return subprocess.run(command, cwd=book.root).returncode
