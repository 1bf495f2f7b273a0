"""Faults are where they should be, the lots are fixed, and a reason belongs to a fault."""

import ast

import pytest

from tests.mutants import run
from tests.mutants.faults import (
    COMPARISON,
    CONSTANT,
    DROPPED,
    OFF,
    OPERATORS,
    SIGN,
    SWAPPED,
    draw,
    faults,
)

MODULE = '''"""Words 1."""

def area(width: int, height: int = 2) -> "int":
    """No fault here: 3 < 4."""
    if width < 0:
        raise ValueError(f"width must be at least {0}, got {width - 1}")
    width = abs(width)
    return multiply(width, height) + 0.5


def names(flag=True):
    for name in range(3):
        yield "é", -name
'''


def planted(operator: str) -> set[str]:
    """The lines of the module that a fault of this kind makes."""
    before = set(MODULE.splitlines())
    text = MODULE.encode()
    made = [
        fault.plant(text).decode() for fault in faults("m.py", text) if fault.operator == operator
    ]
    assert all(ast.parse(module) for module in made)
    return {line.strip() for module in made for line in set(module.splitlines()) - before}


@pytest.mark.parametrize(
    ("operator", "lines"),
    [
        (
            OFF,
            {
                'def area(width: int, height: int = 3) -> "int":',
                'def area(width: int, height: int = 1) -> "int":',
                "if width < 1:",
                "if width < (-1):",
                "for name in range(4):",
                "for name in range(2):",
                "for name in range(3 + 1):",
            },
        ),
        (SIGN, {"return (multiply(width, height) - 0.5)", 'yield "é", (name)'}),
        (COMPARISON, {"if (width <= 0):"}),
        (DROPPED, {"pass"}),
        (SWAPPED, {"return multiply(height, width) + 0.5"}),
        (
            CONSTANT,
            {
                "return multiply(width, height) + 1.0",
                "def names(flag=False):",
                "yield 'é_', -name",
            },
        ),
    ],
)
def test_faults_of_each_kind(operator, lines):
    assert planted(operator) == lines


def test_dropped_lines_leave_the_names_that_are_used():
    dropped = [fault.key for fault in faults("m.py", MODULE.encode()) if fault.operator == DROPPED]
    assert [key.split(": ", 1)[1].partition(" ->")[0][:20] for key in dropped] == [
        'raise ValueError(f"w',
        "width = abs(width)",
        'yield "é", -name',
    ]


def test_a_lot_outlives_changes_elsewhere():
    found = faults("m.py", MODULE.encode())
    more = faults("m.py", (MODULE + "\nlast = 7 + 5\n").encode())
    keys = {fault.key for fault in draw(found, 6, seed=0)}
    assert len(keys & {fault.key for fault in draw(more, 6, seed=0)}) >= 4
    assert {fault.operator for fault in draw(found, 6, seed=0)} == set(OPERATORS)
    assert keys != {fault.key for fault in draw(found, 6, seed=1)}


def test_every_reason_belongs_to_a_fault():
    keys = {fault.key for package in run.STRICT + run.OTHERS for fault in run.candidates(package)}
    assert set(run.read_reasons()) <= keys, "the line of a survivor has changed: run make mutants"


def test_all_of_dlseg_has_a_package_and_tests():
    packages = {
        path.name for path in (run.ROOT / "dlseg").iterdir() if (path / "__init__.py").is_file()
    }
    assert packages == {*run.STRICT, *run.OTHERS} - {"serve"}
    for package in run.STRICT + run.OTHERS:
        assert run.modules(package) and run.tests(package)
        assert all(test.is_file() for test in run.tests(package))


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A tiny package with tests that notice what `add` returns, and not what it is called with."""
    package, own = tmp_path / "dlseg/toy", tmp_path / "tests/toy"
    package.mkdir(parents=True)
    own.mkdir(parents=True)
    (tmp_path / "dlseg/__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "sums.py").write_text("def add(a, b, note='x'):\n    return a + b\n")
    test = "from dlseg.toy.sums import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
    (own / "test_sums.py").write_text(test)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # a second less for each run
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "RESULTS", tmp_path / "build")
    monkeypatch.setattr(run, "STRICT", ("toy",))
    return tmp_path


def test_killed_and_survived(tree, capsys):
    drawn, record = run.draw(run.candidates("toy"), 15, 0), run.Record("toy")
    for fault in drawn:
        with run.planted(tree, fault):
            stopped = run.run_tests(tree, run.tests("toy"), 60)
        record.put(fault, stopped, 0.1)
    states = {fault.operator: record.get(fault) for fault in drawn}
    assert states == {SIGN: run.KILLED, CONSTANT: run.SURVIVED}
    assert (tree / "dlseg/toy/sums.py").read_text().endswith("a + b\n")

    key = next(fault.key for fault in drawn if fault.operator == CONSTANT)
    assert not run.report("toy", drawn, record, {})
    assert "NO REASON" in capsys.readouterr().out
    assert run.report("toy", drawn, run.Record("toy"), {key: "a note does nothing"})

    (tree / "tests/toy/test_sums.py").write_text("def test_more():\n    pass\n")
    again = [run.Record("toy").get(fault) for fault in drawn]
    assert sorted(again, key=str) == [None, run.KILLED]  # a survivor is tried with the new tests


def test_a_loop_without_end_is_stopped(tree):
    (tree / "dlseg/toy/sums.py").write_text("while True:\n    pass\n")
    assert run.run_tests(tree, run.tests("toy"), 3) == "no end after 3 s"


def test_tests_that_look_elsewhere_are_refused(tree):
    (tree / "tests/toy/test_sums.py").write_text("def test_nothing():\n    pass\n")
    with pytest.raises(RuntimeError, match="do not import the copy"):
        run.measure(tree, "toy")
