"""What the tests of chapters share: reading them, and running their code cells once."""

import functools
import itertools
import re
from pathlib import Path

import nbformat

from dlseg.book.manifest import read_book

ROOT = Path(__file__).parents[2]
BOOK = read_book(ROOT)
NOTEBOOKS = BOOK.notebooks
NAMES = [chapter.name for chapter in NOTEBOOKS]
TEACHING = [chapter for chapter in NOTEBOOKS if chapter.number != "00"]
SOLUTION = re.compile(r"<details><summary>Solution</summary>\s+```python\n(.*?)```", re.DOTALL)


@functools.cache
def notebook(name: str) -> nbformat.NotebookNode:
    return nbformat.read(BOOK.find(name).path, as_version=4)


def cells(name: str, kind: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook(name).cells if cell.cell_type == kind]


def prose(name: str) -> str:
    return "\n\n".join(cell.source for cell in cells(name, "markdown"))


@functools.cache
def namespace(name: str) -> dict:
    """The variables after all code cells of a chapter, run in this process."""
    variables = {"__name__": name}
    for cell in cells(name, "code"):
        exec(compile(cell.source, f"{name} [{cell.execution_count}]", "exec"), variables)
    return variables


def exercise_cells(name: str) -> list[tuple[str, str, str]]:
    """(name of the exercise, stub, solution) for every cell that ends in a check."""
    found, all_cells = [], notebook(name).cells
    for cell, after in itertools.pairwise(all_cells):
        checked = re.search(r"^exercises\.(\w+)\.check\(.*\)$", cell.source, re.MULTILINE)
        if cell.cell_type == "code" and checked:
            solution = SOLUTION.search(after.source)
            assert solution, f"{name}: no folded solution right below exercises.{checked[1]}"
            found.append((checked[1], cell.source, solution[1]))
    return found
