"""Every exercise of the book: the stub, the solution and every mistake get the right verdict."""

import importlib

import pytest

from dlseg.book.exercise import Exercise
from tests.chapters.tools import NAMES, exercise_cells, namespace

CASES = [(name, *cell) for name in NAMES for cell in exercise_cells(name)]
IDS = [f"{name}-{exercise}" for name, exercise, _, _ in CASES]


def module_of(name: str):
    return importlib.import_module(f"support.{name[3:].replace('-', '_')}.exercises")


def verdict_of(name: str, code: str, check: str):
    variables = namespace(name, f"{code}\n{check}")
    exec(code, variables)
    return eval(check, variables)


@pytest.mark.parametrize(("name", "exercise", "stub", "solution"), CASES, ids=IDS)
def test_stub_and_folded_solution(name, exercise, stub, solution):
    check = stub.strip().splitlines()[-1]
    untouched = verdict_of(name, stub, check)
    assert untouched.right is None
    assert repr(untouched).startswith("Not answered yet.")
    solved = verdict_of(name, solution, check)
    assert solved.right is True, solved


@pytest.mark.parametrize(("name", "exercise", "stub", "solution"), CASES, ids=IDS)
def test_every_mistake_gets_its_own_hint(name, exercise, stub, solution):
    stated: Exercise = getattr(module_of(name), exercise)
    assert len(stated.mistakes) >= 2
    assert stated.because
    for mistake in stated.mistakes:
        verdict = stated.check(mistake.answer)
        assert verdict.right is False
        assert verdict.reason == mistake.hint
    assert len({mistake.hint for mistake in stated.mistakes}) == len(stated.mistakes)
    assert stated.check(stated.solution).right is True


@pytest.mark.parametrize("name", NAMES)
def test_every_stated_exercise_is_asked(name):
    stated = {key for key, value in vars(module_of(name)).items() if isinstance(value, Exercise)}
    assert stated == {exercise for exercise, _, _ in exercise_cells(name)}
