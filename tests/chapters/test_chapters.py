"""Guards over every chapter, as it is committed."""

import ast
import importlib
import itertools
import pkgutil
import re
from pathlib import Path
from statistics import median_low

import bibtexparser
import pytest
from nbval.plugin import comment_markers, find_comment_markers

import dlseg
from dlseg.book.source import without_guards
from tests.chapters.tools import (
    BOOK,
    NAMES,
    NOTEBOOKS,
    ROOT,
    TEACHING,
    cells,
    exercise_cells,
    notebook,
    prose,
)

TEACHING_NAMES = [chapter.name for chapter in TEACHING]
each_chapter = pytest.mark.parametrize("name", NAMES)
each_teaching_chapter = pytest.mark.parametrize("name", TEACHING_NAMES)


def texts(cell) -> str:
    """Every text output of a cell."""
    found = []
    for output in cell.outputs:
        found.append(output.get("text", ""))
        found += [text for kind, text in output.get("data", {}).items() if kind != "image/png"]
    return "".join(found)


@each_chapter
def test_executed_from_top_to_bottom(name):
    counts = [cell.execution_count for cell in cells(name, "code")]
    assert counts == list(range(1, len(counts) + 1))


@each_chapter
def test_every_cell_that_shows_something_has_an_output(name):
    for cell in cells(name, "code"):
        if isinstance(ast.parse(cell.source).body[-1], ast.Expr):
            assert cell.outputs, cell.source


@each_chapter
def test_no_error_no_warning_no_widget_and_no_path_of_a_machine(name):
    assert "widgets" not in notebook(name).metadata
    for cell in cells(name, "code"):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
        assert not re.search(r"(/home/|/root/|/Users/|site-packages|0x[0-9a-f]{6})", texts(cell))


@each_chapter
def test_ignored_cells_are_few_and_say_why(name):
    code = cells(name, "code")
    skipped = [
        c for c in code if any("ignore" in t or "skip" in t for t in c.metadata.get("tags", []))
    ]
    assert all(cell.metadata.get("reason") for cell in skipped)
    assert len(skipped) <= BOOK.nbval["ignored-share"] * len(code)


@each_chapter
def test_no_comment_changes_what_is_compared(name):
    assert not [cell.source for cell in cells(name, "code") if markers(cell.source)]


def markers(source: str) -> list:
    """The comments in a cell's code that nbval obeys: they would hide what a tag has to explain."""
    return list(find_comment_markers(source))


@pytest.mark.parametrize("marker", comment_markers)
def test_a_comment_marker_would_be_noticed(marker):
    assert markers(f"x = 1\n# {marker}\nprint(x)") and markers(f"    ## {marker}")
    assert not markers(f"# not {marker}\nprint('{marker}')")


@each_chapter
def test_cells_are_short(name):
    lines = [len(cell.source.splitlines()) for cell in cells(name, "code")]
    assert max(lines) <= 30
    assert median_low(lines) <= 8


def imports(cell) -> list[ast.Import | ast.ImportFrom]:
    return [
        node
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


@each_chapter
def test_opens_with_few_imports(name):
    opening, *later = cells(name, "code")
    statements = imports(opening)
    assert len(statements) <= 12
    assert sum(len(node.names) for node in statements) <= 25
    assert all(alias.name != "*" for node in statements for alias in node.names)
    # A later cell may import what it alone needs.
    assert sum(len(imports(cell)) for cell in later) <= 6


def bound(tree: ast.AST) -> set[str]:
    """Names that a cell gives to something, but for its imports; those inside functions not."""
    inner = ast.FunctionDef | ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp
    names = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if not isinstance(node, inner | ast.GeneratorExp | ast.ClassDef):
            names |= bound(node)
    return names


@each_chapter
def test_no_cell_hides_what_was_imported(name):
    nodes = itertools.chain.from_iterable(map(imports, cells(name, "code")))
    imported = {alias.asname or alias.name for node in nodes for alias in node.names}
    for cell in cells(name, "code"):
        assert not bound(ast.parse(cell.source)) & imported, cell.source


@each_chapter
def test_names_come_from_faces(name):
    for node in itertools.chain.from_iterable(map(imports, cells(name, "code"))):
        module = getattr(node, "module", "")
        if module.partition(".")[0] == "dlseg":
            assert module.count(".") <= 1 or module == "dlseg.models.relatives", module
            face = importlib.import_module(module)
            for alias in node.names:
                assert hasattr(face, alias.name) or importlib.import_module(
                    f"{module}.{alias.name}"
                )


@each_teaching_chapter
def test_opens_with_objectives_prerequisites_and_time(name):
    opening = cells(name, "markdown")[0].source
    chapter = BOOK.find(name)
    assert opening.startswith(f"# {chapter.number}. {chapter.title}\n")
    assert f"*{chapter.question}*" in opening
    assert "**You need**" in opening and re.search(r"\*\*Time\*\* \d+ minutes to read", opening)


@each_teaching_chapter
def test_objectives_and_exercises_match_one_to_one(name):
    number = int(BOOK.find(name).number)
    opening = cells(name, "markdown")[0].source
    objectives = re.findall(r"^(\d+)\. ", opening, re.MULTILINE)
    links = re.findall(r"\(\[Exercise ([\d.]+)\]\(#Exercise-([\d.]+)\)\)", opening)
    headings = re.findall(r"^### Exercise ([\d.]+)$", prose(name), re.MULTILINE)
    wanted = [f"{number}.{k}" for k in range(1, len(objectives) + 1)]
    assert len(wanted) >= 4
    assert [a for a, _ in links] == [b for _, b in links] == headings == wanted
    assert len(exercise_cells(name)) == len(wanted)


@each_chapter
def test_links_resolve(name):
    chapter = BOOK.find(name)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(name)):
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        page = chapter.path.parent / file if file else chapter.path
        assert page.is_file(), f"{name}: {target}"
        if anchor:
            assert anchor in anchors(page), f"{name}: {target}"


@each_chapter
def test_files_that_are_named_exist(name):
    named = re.findall(r"`((?:assets|benchmarks|dlseg|support|tests)/[\w./-]*)`", prose(name))
    for path in named:
        assert (ROOT / path).exists() or (ROOT / "chapters" / path).exists(), f"{name}: {path}"


def anchors(page) -> set[str]:
    """The ids of a page's headings: blanks become hyphens, as JupyterLab makes them."""
    text = prose(page.stem) if page.suffix == ".ipynb" else page.read_text(encoding="utf-8")
    return {h.strip().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def test_citations_resolve_and_none_is_unused():
    bibliography = (ROOT / "chapters/references.bib").read_text(encoding="utf-8")
    known = {entry["ID"] for entry in bibtexparser.loads(bibliography).entries}
    cited = set()
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "chapters").glob("A-*.md")]
    for text in (*map(prose, NAMES), *pages):
        cited |= set(re.findall(r"references\.md#([\w-]+)", text))
    assert cited - known == set(), "cited but not in references.bib"
    assert known - cited == set(), "in references.bib but never cited"


def definitions(tree: ast.Module) -> dict[str, str]:
    """The top-level functions and classes, without docstrings and annotations."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            for inner in ast.walk(node):
                _bare(inner)
            found[node.name] = ast.dump(node)
    return found


def _bare(node: ast.AST) -> None:
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
        node.body = node.body[1:]
    if isinstance(node, ast.FunctionDef):
        node.returns = None
    if isinstance(node, ast.arg):
        node.annotation = None


def package_definitions(names: set[str]) -> dict[str, set[str]]:
    """What `dlseg` defines below the book under one of the names, without argument guards."""
    shapes = {}
    for module in pkgutil.walk_packages(dlseg.__path__, "dlseg."):
        if not module.name.startswith(("dlseg.book", "dlseg.commands", "dlseg.__main__")):
            source = Path(importlib.util.find_spec(module.name).origin).read_text(encoding="utf-8")
            for node in ast.parse(source).body:
                if getattr(node, "name", None) in names:
                    bare = without_guards(ast.unparse(node))
                    shapes.setdefault(node.name, set()).update(
                        definitions(ast.parse(bare)).values()
                    )
    return shapes


def test_shown_code_is_the_real_code():
    shown = [
        (name, *definition)
        for name in NAMES
        for cell in cells(name, "code")
        for definition in definitions(ast.parse(cell.source)).items()
    ]
    package = package_definitions({what for _, what, _ in shown})
    real = [row for row in shown if row[1] in package]
    assert len(real) >= 3
    for name, what, shape in real:
        assert shape in package[what], f"{name}: {what} differs from the one in dlseg"


def test_a_change_of_shown_code_would_be_noticed():
    same = "def f(x: int) -> int:\n    'Doc.'\n    return x + 1"
    assert definitions(ast.parse(same)) == definitions(ast.parse("def f(x):\n    return x + 1"))
    assert definitions(ast.parse(same)) != definitions(ast.parse("def f(x):\n    return x + 2"))


def test_every_notebook_file_is_in_the_summary():
    files = {path.name for path in (ROOT / "chapters").glob("*.ipynb")}
    assert files == {chapter.path.name for chapter in NOTEBOOKS}
