"""Chapters show photographs under a network's labels with no network to reach, and say the same.

The cells that do so are run in a process of its own that may open no connection, once without the
trained weights and, where they are at hand, once with them; both print what is committed.
"""

import ast
import contextlib
import io
import json
import os
import re
import socket
import subprocess
import sys
from functools import cache
from urllib.request import urlopen

import pytest

from dlseg.book.explorer import Explorer
from dlseg.fetch import SEED, at_hand
from dlseg.models import RELEASED
from support import released
from tests.chapters.tools import NAMES, ROOT, cells, pieces

SOURCES = {
    **{
        f"{name}, cell {i}": cell.source
        for name in NAMES
        for i, cell in enumerate(cells(name, "code"))
    },
    **{
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "chapters/support").rglob("*.py"))
        if path.name != "released.py"
    },
}
SHOWING = re.compile(r"\breleased\.\w|\bShown\(|\bside_by_side\(|\blooks_picture\(")


def showing(name: str) -> list:
    """The cells of a chapter that show or tell what was found on photographs."""
    return [cell for cell in cells(name, "code") if SHOWING.search(cell.source)]


CHAPTERS = [name for name in NAMES if showing(name)]


def refuse(*_arguments, **_options):
    raise AssertionError("a chapter reached out")


class Refused(socket.socket):
    """A class still, as others inherit from it."""

    __init__ = refuse


def close_the_door() -> None:
    """From now on this process reaches nobody."""
    socket.socket = Refused
    socket.create_connection = socket.getaddrinfo = refuse


def run(source: str, variables: dict) -> str:
    """What a cell prints, and the words for its picture; of an explorer those of the first view."""
    *body, last = ast.parse(source).body
    if not isinstance(last, ast.Expr):
        body, last = [*body, last], ast.parse("None").body[0]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(ast.Module(body, []), "cell", "exec"), variables)
        shown = eval(compile(ast.Expression(last.value), "cell", "eval"), variables)
    shown = shown.draw(**shown.first) if isinstance(shown, Explorer) else shown
    return printed.getvalue() + getattr(shown, "alt", "")


def said(name: str) -> list[str]:
    """What the cells say, which take nothing of their chapter but its imports, and one another."""
    variables: dict = {}
    exec(pieces(name)[0], variables)
    return [run(cell.source, variables) for cell in showing(name)]


def written(cell) -> str:
    """The same of a cell as it is committed."""
    texts = [output.get("text") or output["data"]["text/plain"] for output in cell.outputs]
    return "".join(texts).partition("\nRun this cell to drag it")[0]


def refused() -> bool:
    """Whether a page that is asked for is refused before anybody hears of it."""
    with pytest.raises((AssertionError, OSError)) as caught:
        urlopen("http://127.0.0.1:9", timeout=5)
    return caught.type is AssertionError


def main() -> None:
    """Run all, and print what each cell says, and how many networks were built."""
    close_the_door()
    assert refused()
    found = {name: said(name) for name in CHAPTERS}
    built = released.network.cache_info().currsize + released.half_network.cache_info().currsize
    print(json.dumps({"said": found, "networks": built}))


def alone(folder, **variables: str) -> dict:
    """What `main` tells in a process whose cache, in a new folder, is empty."""
    environment = {name: value for name, value in os.environ.items() if name != SEED}
    environment |= {"TORCH_HOME": str(folder), "DLSEG_DEVICE": "cpu", **variables}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT, ROOT / "chapters")))
    process = subprocess.run(
        [sys.executable, "-m", "tests.chapters.test_photographs_offline"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert not list(folder.rglob("*")), "something was fetched"
    return json.loads(process.stdout)


def committed() -> dict:
    return {name: [written(cell) for cell in showing(name)] for name in CHAPTERS}


def test_without_weights_chapters_say_what_is_committed(tmp_path):
    found = alone(tmp_path)
    assert found["networks"] == 0
    assert len(CHAPTERS) >= 5 and found["said"] == committed()


@pytest.mark.nightly
def test_with_weights_chapters_say_the_same(tmp_path):
    pytest.importorskip("tflite", reason="tflite is not installed: pip install -e '.[read]'")
    files = [RELEASED[name].weights.file for name in (released.NAME, released.HALF)]
    for file, name in zip(files, (released.NAME, released.HALF), strict=True):
        if not at_hand(file):
            pytest.skip(f"{file} is not at hand: dlseg fetch {name}")
    found = alone(tmp_path, **{SEED: os.pathsep.join({str(at_hand(f).parent) for f in files})})
    assert found["networks"] > 1  # so they did look
    assert found["said"] == committed()


@cache
def computing() -> set[str]:
    """Names of support/released.py that come to run the network; not `labels`, see above."""
    text = (ROOT / "chapters/support/released.py").read_text(encoding="utf-8")
    reach, before = {"released_network"}, set()
    while reach != before:
        before = set(reach)
        for statement in ast.parse(text).body:
            if names(statement) & reach:
                reach |= given(statement) - {"labels"}
    return reach


def names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def given(statement: ast.stmt) -> set[str]:
    """What a statement of a module gives a name to, but for imports."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    return {target.id for target in targets if isinstance(target, ast.Name)}


def taken(source: str) -> set[str]:
    """What code takes from support/released.py, in whatever way."""
    found, aliases = set(), {"released"}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in ("support.released", "released"):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            renamed = (a for a in node.names if a.name.rpartition(".")[2] == "released")
            aliases |= {alias.asname or "released" for alias in renamed}
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Attribute)
            and ast.unparse(node.value).rpartition(".")[2] in aliases
        ):
            found.add(node.attr)
    return found


def test_no_chapter_and_no_room_asks_the_network_itself():
    asked = {place: taken(source) & computing() for place, source in SOURCES.items()}
    assert not {place: what for place, what in asked.items() if what}
    assert any(taken(source) for source in SOURCES.values())


def test_what_would_ask_it_is_known():
    assert {"network", "half_network", "at", "compute", "looks", "SETTINGS"} <= computing()
    kept = {"labels", "committed", "figures", "shares", "scores", "scores_of", "mosaic", "LOOKING"}
    assert not kept & computing() and "kept_looks" not in computing()


@pytest.mark.parametrize(
    "source",
    [
        "from support import released\nreleased.compute('cat', 'os16')",
        "from support import released as r\nr.compute('cat', 'os16')",
        "import support.released\nsupport.released.compute('cat', 'os16')",
        "from support.released import compute",
        "def draw():\n    return released.compute('cat', 'os16')",
    ],
)
def test_every_way_to_ask_is_seen(source):
    assert "compute" in taken(source)


if __name__ == "__main__":
    main()
