"""Every chapter has a room of its own, chapters/support/<slug>, and nobody walks through another's.

<slug> is the notebook's name without its number, with underscores. What several chapters use lies
in chapters/support beside the rooms.
"""

import ast

import pytest

from tests.chapters.tools import NAMES, ROOT, TEACHING, cells

SUPPORT = ROOT / "chapters/support"
ROOMS = {path.name for path in SUPPORT.iterdir() if path.is_dir() and path.name != "__pycache__"}
MODULES = sorted(SUPPORT.rglob("*.py"))


def slug(name: str) -> str:
    return name[3:].replace("-", "_")


def imported(source: str) -> set[str]:
    """Dotted names of what a module or a cell imports, anywhere in its text."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = ["support"] if node.level else []  # a room lies right in it
            module = ".".join([*above, *filter(None, [node.module])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return names


def rooms_entered(source: str) -> set[str]:
    """The chapters' folders that `source` imports from."""
    parts = (name.split(".") for name in imported(source))
    return {part[1] for part in parts if part[0] == "support" and part[1] in ROOMS}


def test_every_chapter_has_its_room_and_every_room_its_chapter():
    assert {slug(name) for name in NAMES} == ROOMS
    assert {slug(chapter.name) for chapter in TEACHING} <= ROOMS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SUPPORT)))
def test_rooms_use_their_own_things_and_shared_ones(path):
    own = {path.relative_to(SUPPORT).parts[0]}
    assert rooms_entered(path.read_text(encoding="utf-8")) <= own


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_enters_only_its_own_room(name):
    for cell in cells(name, "code"):
        assert rooms_entered(cell.source) <= {slug(name)}


@pytest.mark.parametrize("path", sorted((ROOT / "dlseg").rglob("*.py")), ids=str)
def test_the_package_does_not_know_the_book(path):
    assert not {
        name
        for name in imported(path.read_text(encoding="utf-8"))
        if name.split(".")[0] == "support"
    }


@pytest.mark.parametrize(
    ("source", "rooms"),
    [
        ("from support.deeplab_v3.pictures import four_ways", {"deeplab_v3"}),
        ("from support.deeplab_v3 import pictures", {"deeplab_v3"}),
        ("from support import deeplab_v3", {"deeplab_v3"}),
        ("def f():\n    import support.dense_crf.lattices", {"dense_crf"}),
        ("from ..relatives import pictures", {"relatives"}),
        ("from support.maps import panels\nfrom support import tables", set()),
    ],
)
def test_the_guard_sees_every_form_of_import(source, rooms):
    assert rooms_entered(source) == rooms
