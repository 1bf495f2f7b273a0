"""Every exercise of the book: the stub, the solution, every mistake, and a zoo of answers."""

import importlib
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch

from dlseg.book.exercise import Exercise, Verdict, in_pairs
from tests.book import zoo
from tests.chapters.tools import NAMES, exercise_cells, namespace

CASES = [(name, *cell) for name in NAMES for cell in exercise_cells(name)]
IDS = [f"{name}-{exercise}" for name, exercise, _, _ in CASES]


def module_of(name: str):
    return importlib.import_module(f"support.{name[3:].replace('-', '_')}.exercises")


STATED: list[Exercise] = [getattr(module_of(name), exercise) for name, exercise, _, _ in CASES]


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


def faults_of(stated: Exercise) -> list[str]:
    """What is wrong with how an exercise is stated."""
    hints = [mistake.hint for mistake in stated.mistakes]
    faults = [] if len(hints) >= 2 and stated.because else ["no reason, or fewer than two mistakes"]
    if len(set(hints)) < len(hints):
        faults.append("two mistakes with one hint")
    if stated.check(stated.solution) != Verdict(True, stated.because):
        faults.append("the solution is not right")
    for mistake in stated.mistakes:
        verdict = stated.check(mistake.answer)
        if verdict != Verdict(False, mistake.hint):
            faults.append(f"{mistake.hint!r} is not said, but: {verdict}")
    return faults


@pytest.mark.parametrize("stated", STATED, ids=IDS)
def test_every_mistake_gets_its_own_hint(stated):
    assert not faults_of(stated)


def stated_with(*answers_and_hints) -> Exercise:
    return Exercise(solution=4, because="Four.", mistakes=in_pairs(*answers_and_hints))


@pytest.mark.parametrize(
    ("stated", "fault"),
    [
        (stated_with(3, "A.", 4.0, "B."), "'B.' is not said, but: Right. Four."),
        (stated_with(3, "A.", 3.0, "B."), "'B.' is not said, but: Not yet. A."),
        (stated_with(3, "A.", 5, "A."), "two mistakes with one hint"),
        (stated_with(3, "A."), "no reason, or fewer than two mistakes"),
        (Exercise(np.nan, "?", in_pairs(3, "A.", 5, "B.")), "the solution is not right"),
    ],
)
def test_an_exercise_that_is_stated_wrongly_is_noticed(stated, fault):
    assert faults_of(stated) == [fault]


@pytest.mark.parametrize("name", NAMES)
def test_every_stated_exercise_is_asked(name):
    stated = {key for key, value in vars(module_of(name)).items() if isinstance(value, Exercise)}
    assert stated == {exercise for exercise, _, _ in exercise_cells(name)}


def right_answers(stated: Exercise) -> dict[str, object]:
    """Forms of the right answer; of a function, those in which all its results can come."""
    if not stated.cases:
        return zoo.forms(stated.solution, stated.order)
    results = [stated.solution(*case) for case in stated.cases]
    names = set.intersection(*(set(zoo.forms(result, stated.order)) for result in results))
    answers: dict[str, object] = {name: in_form(stated, name) for name in sorted(names)}
    if any(isinstance(value, np.ndarray | torch.Tensor) for value in stated.cases[0]):
        answers["the other library"] = zoo.in_the_other_library(stated)
    return answers


def in_form(stated: Exercise, name: str) -> Callable:
    return zoo.on_cases(stated, lambda result: zoo.forms(result, stated.order)[name])


def wrong_answers(stated: Exercise) -> dict[str, object]:
    """Near misses and monsters; where a function is asked for, functions that return them too."""
    if not stated.cases:
        misses = {f"miss {i}": miss for i, miss in enumerate(zoo.near(stated.solution))}
        return misses | {name: make() for name, make in zoo.MONSTERS.items()} | zoo.FUNCTIONS
    count = min(len(list(zoo.near(stated.solution(*case)))) for case in stated.cases)
    misses = {
        f"miss {i}": zoo.on_cases(stated, lambda r, i=i: list(zoo.near(r))[i]) for i in range(count)
    }
    returning = {
        f"returns {name}": lambda *_, make=make: make() for name, make in zoo.MONSTERS.items()
    }
    return (
        misses | {name: make() for name, make in zoo.MONSTERS.items()} | zoo.FUNCTIONS | returning
    )


def reads_well(name: str, reason: str) -> bool:
    """A sentence of a length that one reads, without addresses in memory and tracebacks.

    That an answer "cannot be read" is said of one monster alone, or our own faults would hide.
    """
    if "Your answer cannot be read" in reason:
        return name.removeprefix("returns ") in zoo.UNREADABLE
    return 10 < len(reason) < 400 and not re.search(r"0x[0-9a-f]{6}|Traceback|<\w+ ", reason)


@pytest.mark.parametrize("stated", STATED, ids=IDS)
def test_a_zoo_of_answers(stated):
    """No right form is refused, no monster is right, nothing raises; then all is as before."""
    right, wrong = right_answers(stated), wrong_answers(stated)
    assert len(right) >= 5 and len(right) + len(wrong) + len(stated.mistakes) >= 30
    for name, answer in right.items():
        assert stated.check(answer) == Verdict(True, stated.because), (name, stated.check(answer))
    for name, answer in wrong.items():
        verdict = stated.check(answer)
        assert verdict.right is False and reads_well(name, verdict.reason), (name, verdict)
    assert not faults_of(stated)
