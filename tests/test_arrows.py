"""Which part of dlseg may import which, and that the arithmetic does without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "dlseg"
# What each part of dlseg may import. These serve all that use torch; `checks` alone also the
# arithmetic, which does without.
SERVE = {"checks", "doors", "schema", "state", "paths", "aside", "device", "fetch"}
BLOCKS = {"arithmetic", "layers"}
LIBRARY = {"data", "metrics", "inspect", "crf", "models", "backbones"} | BLOCKS
ALLOWED = {
    "checks": set(),
    "doors": {"checks"},
    "device": {"checks"},
    "paths": {"checks"},
    "aside": {"paths"},
    "schema": set(),
    "state": {"schema"},
    "fetch": {"checks", "aside", "paths"},
    "arithmetic": {"checks"},
    "crf": SERVE,
    "inspect": {"arithmetic"} | SERVE,
    "layers": {"arithmetic"} | SERVE,
    "backbones": BLOCKS | SERVE,
    "models": {"backbones", "crf"} | BLOCKS | SERVE,
    "data": {"arithmetic"} | SERVE,
    "metrics": {"arithmetic"} | SERVE,
    "training": LIBRARY | {"inference"} | SERVE,
    "inference": LIBRARY | SERVE,
    "commands": LIBRARY | {"training", "inference"} | SERVE,
    "book": {"checks", "schema", "paths", "aside", "device"},
    "__main__": {"book", "commands"},
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
    return parts - {"__version__", "lazy_face"}


def forbidden(part: str, source: str, package: str = "dlseg") -> set[str]:
    """Parts that `source`, a module of `part`, imports and may not."""
    return imported(source, package) - {part} - ALLOWED[part]


MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_are_allowed(path):
    package = ".".join(["dlseg", *path.relative_to(ROOT).parent.parts])
    assert part_of(path) in ALLOWED, f"tell ALLOWED what {part_of(path)} may import"
    assert not forbidden(part_of(path), path.read_text(encoding="utf-8"), package)


def past_a_face(source: str, package: str) -> set[str]:
    """Modules of other packages of dlseg from which `source` imports names, past their faces."""
    modules = {
        node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module
    }
    faces = {"dlseg.models.relatives", "dlseg.book.cli", "dlseg.commands.main"}
    deep = {name for name in modules if name.startswith("dlseg.") and name.count(".") > 1}
    return {name for name in deep - faces if name.split(".")[1] != package}


OUTSIDE = [
    *(ROOT.parent / "chapters/support").rglob("*.py"),
    *(ROOT.parent / "assets").rglob("*.py"),
]


@pytest.mark.parametrize(
    "path", [*MODULES, *sorted(OUTSIDE)], ids=lambda path: str(path.relative_to(ROOT.parent))
)
def test_nobody_reaches_past_a_face(path):
    package = part_of(path) if path.is_relative_to(ROOT) else ""
    assert not past_a_face(path.read_text(encoding="utf-8"), package)


def test_reaching_past_a_face_would_be_noticed():
    inside = "def f():\n    from dlseg.crf.fast.lattice import Lattice\nfrom dlseg.crf import x"
    assert past_a_face(inside, "models") == {"dlseg.crf.fast.lattice"}
    assert not past_a_face(inside, "crf")


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
        ("crf", "import dlseg.backbones.resnet", "dlseg.crf", {"backbones"}),
        ("data", "from dlseg.models import FCN", "dlseg.data", {"models"}),
        ("inspect", "from dlseg.layers import ASPP", "dlseg.inspect", {"layers"}),
        ("models", "from dlseg.commands import main", "dlseg.models", {"commands"}),
        ("training", "from dlseg.data import scenes", "dlseg.training", set()),
        ("book", "from dlseg import __version__, arithmetic", "dlseg.book", {"arithmetic"}),
    ],
)
def test_guard_sees_every_form_of_import(part, source, package, found):
    assert forbidden(part, source, package) == found


@pytest.mark.parametrize("part", ["arithmetic", "checks", "paths", "schema"])
def test_parts_that_import_neither_torch_nor_numpy(part):
    heavy = "(name for name in ('torch', 'numpy') if name in sys.modules)"
    code = f"import sys, dlseg.{part}; print(*{heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
