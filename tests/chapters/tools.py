"""What the tests of chapters share: reading them, and running the few cells that a test needs.

Nothing here runs a whole chapter: that is done once, by nbval.
"""

import ast
import builtins
import functools
import itertools
import re
import symtable
from pathlib import Path

import nbformat

from dlseg.book.manifest import read_book
from dlseg.device import settings_kept

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
def pieces(name: str) -> list[str]:
    """The code of a chapter's cells, the imports of a cell apart from what it computes."""
    found = []
    for cell in cells(name, "code"):
        body = ast.parse(cell.source).body
        imports = [part for part in body if isinstance(part, ast.Import | ast.ImportFrom)]
        rest = [part for part in body if part not in imports]
        found += [ast.unparse(ast.Module(part, [])) for part in (imports, rest)]
    return found


def namespace(name: str, code: str) -> dict:
    """The variables that `code` takes from the cells of a chapter, which are run for them here."""
    return dict(_variables(name, tuple(pieces_before(name, code))))


@functools.cache
def _variables(name: str, indices: tuple[int, ...]) -> dict:
    variables = {"__name__": name}
    with settings_kept():  # a chapter sets up its process
        for index in indices:
            exec(compile(pieces(name)[index], f"{name} [{index // 2 + 1}]", "exec"), variables)
    return variables


def pieces_before(name: str, code: str) -> list[int]:
    """Indices of the pieces that give `code` its names, and of those that give them theirs..."""
    needed, found = taken(code), []
    for index, piece in reversed(list(enumerate(pieces(name)))):
        if given := needed & bound(ast.parse(piece)):
            needed = (needed - given) | taken(piece)
            found.insert(0, index)
    return found


def taken(code: str) -> set[str]:
    """Names that code uses and neither it nor Python gives."""
    needed, in_functions, given = set(), set(), set()
    for statement in ast.parse(code).body:
        table = symtable.symtable(ast.unparse(statement), "cell", "exec")
        now = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
        if isinstance(statement, ast.FunctionDef):  # it may use what is given after it
            in_functions |= _globals(table)
        else:
            now |= _globals(table)
        needed |= now - given
        given |= bound(statement, inside=False)
    return (needed | in_functions - given) - set(dir(builtins))


def _globals(table: symtable.SymbolTable) -> set[str]:
    names = set()
    for child in table.get_children():
        names |= {s.get_name() for s in child.get_symbols() if s.is_global() and s.is_referenced()}
        names |= _globals(child)
    return names


def bound(tree: ast.AST, inside: bool = True) -> set[str]:
    """Names that code gives to something, but for those inside functions.

    inside: of the parts of `tree`; False: of the statement `tree` itself too.
    """
    own = ast.FunctionDef | ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp
    names = set()
    for node in ast.iter_child_nodes(tree) if inside else [tree]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if not isinstance(node, own | ast.GeneratorExp | ast.ClassDef):
            names |= bound(node)
    return names


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
