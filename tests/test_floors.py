"""The floors of dlseg: imports point down only, and the first floor does without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "dlseg"
FLOORS = {
    "arithmetic": 1,
    "layers": 2,
    "device": 2,
    "fetch": 2,
    "backbones": 3,
    "models": 4,
    "crf": 4,
    "data": 5,
    "metrics": 5,
    "training": 5,
    "inference": 5,
    "book": 6,
    "__main__": 7,
}


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(source: str, package: str) -> set[str]:
    """Parts of dlseg that a module of `package` (dotted) imports, anywhere in its text."""
    parts = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        parts |= {name.split(".")[1] for name in names if name.startswith("dlseg.")}
    return parts - {"__version__"}


def upward(part: str, source: str, package: str = "dlseg") -> set[str]:
    """Imports of `source`, a module of `part`, that do not point down to a lower floor."""
    others = imported(source, package) - {part}
    allowed = {name for name, floor in FLOORS.items() if floor < FLOORS[part]}
    # The rooms of one floor may see each other (training sees data), but the CRF no model.
    rooms = {name for name, floor in FLOORS.items() if floor == FLOORS[part]}
    return others - allowed - (set() if part == "crf" else rooms)


MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    package = ".".join(["dlseg", *path.relative_to(ROOT).parent.parts])
    assert part_of(path) in FLOORS, f"tell FLOORS on which floor {part_of(path)} is"
    assert not upward(part_of(path), path.read_text(encoding="utf-8"), package)


def test_top_module_imports_nothing_of_dlseg():
    assert not imported((ROOT / "__init__.py").read_text(encoding="utf-8"), "dlseg")


@pytest.mark.parametrize(
    ("part", "source", "package", "found"),
    [
        ("layers", "from dlseg.models import DeepLabV3", "dlseg.layers", {"models"}),
        ("layers", "def f():\n    import dlseg.book.style", "dlseg.layers", {"book"}),
        ("layers", "from ..models.aspp import ASPP", "dlseg.layers", {"models"}),
        ("layers", "from dlseg import models", "dlseg.layers", {"models"}),
        ("layers", "from .field import x\nfrom dlseg.arithmetic import y", "dlseg.layers", set()),
        ("crf", "from dlseg.models import DeepLabV1", "dlseg.crf", {"models"}),
        ("training", "from dlseg.data import scenes", "dlseg.training", set()),
        ("book", "from dlseg import __version__, arithmetic", "dlseg.book", set()),
    ],
)
def test_guard_sees_every_form_of_import(part, source, package, found):
    assert upward(part, source, package) == found


def test_arithmetic_imports_neither_torch_nor_numpy():
    code = (
        "import sys, dlseg.arithmetic; print(*(n for n in ('torch', 'numpy') if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
