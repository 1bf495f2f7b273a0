"""Exercises that check themselves: an answer gets a verdict and the reason at once."""

import html
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlseg.book.publish import executed_for_the_book


@dataclass(frozen=True)
class Verdict:
    """What an exercise says to an answer.

    right: True, False, or None while there is no answer yet.
    reason: one or two sentences for the reader.
    """

    right: bool | None
    reason: str

    def __repr__(self) -> str:
        head = {True: "Right.", False: "Not yet.", None: "Not answered yet."}[self.right]
        return f"{head} {self.reason}".strip()

    def _repr_html_(self) -> str | None:
        if executed_for_the_book():
            return None  # viewers that take HTML away would show nothing
        mark = {True: "&#10003;", False: "&#10007;", None: "&#9998;"}[self.right]
        return f'<p class="dlseg-verdict"><b>{mark}</b> {html.escape(repr(self))}</p>'


@dataclass(frozen=True)
class Mistake:
    """A plausible wrong answer, of the same form as the solution, and the hint it earns."""

    answer: Any
    hint: str


def in_pairs(*answers_and_hints: Any) -> tuple[Mistake, ...]:
    """Mistakes as they are told: an answer, its hint, the next answer, its hint.

    Raises: ValueError where a hint is missing, or is no text.
    """
    answers, hints = answers_and_hints[::2], answers_and_hints[1::2]
    if len(answers) != len(hints) or not all(isinstance(hint, str) for hint in hints):
        raise ValueError(f"after each answer its hint, a text: got {answers_and_hints!r}")
    return tuple(map(Mistake, answers, hints))


@dataclass(frozen=True)
class Exercise:
    """A question whose answer can be computed: a value, or a function tried on several cases.

    solution: the right value, or a function.
    because: said when the answer is right.
    mistakes: plausible wrong answers; the first that behaves like the reader's gives the hint.
    cases: argument tuples on which a function is tried; empty when the answer is a value.
    """

    solution: Any
    because: str
    mistakes: tuple[Mistake, ...]
    cases: tuple[tuple, ...] = ()

    def check(self, answer: Any) -> Verdict:
        """The verdict on a reader's answer; never raises."""
        if self.cases and not callable(answer) and answer is not ...:
            return Verdict(False, f"The answer should be a function, got {answer!r}.")
        wanted = self._results(self.solution)
        try:
            given = self._results(answer)
        except Exception as error:
            return Verdict(False, f"Your answer raised {type(error).__name__}: {error}")
        if any(_blank(value) for value in given):
            return Verdict(None, "Replace the dots and run the cell again.")
        if _same(given, wanted):
            return Verdict(True, self.because)
        for mistake in self.mistakes:
            if _same(given, self._results(mistake.answer)):
                return Verdict(False, mistake.hint)
        return Verdict(False, self._first_difference(given, wanted))

    def _results(self, answer: Any) -> list:
        if not self.cases:
            return [answer]
        if answer is ...:
            return [...]
        return [answer(*case) for case in self.cases]

    def _first_difference(self, given: list, wanted: list) -> str:
        if not self.cases:
            return f"{given[0]!r} is not it. Read the question once more, then try again."
        cases = zip(self.cases, given, wanted, strict=True)
        case, yours, right = next(c for c in cases if not _same([c[1]], [c[2]]))
        arguments = ", ".join(_short(value) for value in case)
        return f"For ({arguments}) you give {_short(yours)}, but it should be {_short(right)}."


def _blank(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(_blank(part) for part in value)
    return value is ... or value is None


def _short(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"an array of shape {tuple(shape)}" if shape else repr(value)


def _plain(value: Any) -> Any:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _same(given: list, wanted: list) -> bool:
    return all(_equal(_plain(a), _plain(b)) for a, b in zip(given, wanted, strict=True))


def _equal(given: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) or isinstance(given, str):
        return given == wanted
    try:
        left, right = np.asarray(given, dtype=float), np.asarray(wanted, dtype=float)
    except (TypeError, ValueError):
        return given == wanted
    return left.shape == right.shape and bool(np.allclose(left, right, rtol=1e-6, atol=1e-9))
