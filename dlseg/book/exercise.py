"""Exercises that check themselves: an answer gets a verdict and the reason at once."""

import html
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dlseg.book.answers import read, same
from dlseg.book.calls import is_stub, refusal, result
from dlseg.book.differences import always, arguments, of_a_result, of_a_value, rearranged, shown
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
    digits: places behind the point that the page shows, where an answer rounded to them is right;
        -6 where the page speaks of millions. None: nothing is rounded.
    order: of a list: "given" by the solution; "sorted", where a set is right too; or "free".
    Raises: ValueError for another order.
    """

    solution: Any
    because: str
    mistakes: tuple[Mistake, ...]
    cases: tuple[tuple, ...] = ()
    digits: int | None = None
    order: str = "given"

    def __post_init__(self) -> None:
        if self.order not in ("given", "sorted", "free"):
            raise ValueError(f'order should be "given", "sorted" or "free", got {self.order!r}')

    @cached_property
    def _wanted(self) -> list:
        return self._found(self.solution)

    @cached_property
    def _mistaken(self) -> list[list]:
        return [self._found(mistake.answer) for mistake in self.mistakes]

    def check(self, answer: Any) -> Verdict:
        """The verdict on a reader's answer, whatever it is. Only KeyboardInterrupt passes."""
        wanted = self._wanted
        try:
            return self._unfit(answer) or self._verdict(self._found(answer), wanted)
        except KeyboardInterrupt:
            raise
        except _Failed as failed:
            return Verdict(False, str(failed))
        except BaseException:  # the answer's class did it; no method of it is safe to call
            return Verdict(False, "Your answer cannot be read. Give numbers, a list or an array.")

    def _unfit(self, answer: Any) -> Verdict | None:
        """The verdict on a function that is none, is not written yet, or takes other arguments."""
        if not self.cases:
            return None
        if not callable(answer):
            found = read(answer)
            if found is ...:
                return _BLANK
            return Verdict(False, f"The answer should be a function, got {shown(found)}.")
        if is_stub(answer):
            return _BLANK
        if why := refusal(answer, self.cases[0]):
            call = f"{_counted(self.cases[0])}, such as {arguments(self.cases[0])}"
            return Verdict(False, f"Your function is called with {call}, but: {why}.")
        return None

    def _found(self, answer: Any) -> list:
        """The answer, or what the function returns for each case, read; None for nothing."""
        if not self.cases:
            return [read(answer, self.order)]
        returned = [_returned(answer, case) for case in self.cases]
        return [None if value is None else read(value, self.order) for value in returned]

    def _verdict(self, given: list, wanted: list) -> Verdict:
        if any(value is ... for value in given):
            return _BLANK
        if self._same(given, wanted):
            return Verdict(True, self.because)
        for mistake, mistaken in zip(self.mistakes, self._mistaken, strict=True):
            if self._same(given, mistaken):
                return Verdict(False, mistake.hint)
        if not self.cases:
            return Verdict(False, of_a_value(given[0], wanted[0]))
        return Verdict(False, self._first_difference(given, wanted))

    def _same(self, given: list, wanted: list) -> bool:
        pairs = zip(given, wanted, strict=True)
        return all(same(a, b, self.digits, self.order) for a, b in pairs)

    def _first_difference(self, given: list, wanted: list) -> str:
        if all(value is None for value in given):
            return "Your function returns nothing: is a `return` missing?"
        cases = zip(self.cases, given, wanted, strict=True)
        case, yours, right = next(c for c in cases if not self._same([c[1]], [c[2]]))
        if yours is None:
            return f"For {arguments(case)} your function returns nothing: is a `return` missing?"
        remark = rearranged(yours, right) or always(given, wanted)
        return f"For {arguments(case)} {of_a_result(yours, right)}. {remark}".strip()


_BLANK = Verdict(None, "Replace the dots and run the cell again.")


class _Failed(Exception):
    """A reader's function raised something; the message is for the reader."""


def _returned(function: Callable, case: tuple) -> Any:
    try:
        return result(function, case)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _Failed(f"Your answer raised {_told(error)}, for {arguments(case)}.") from error


def _told(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # an error of the reader's own class
        text = ""
    return f"{type(error).__name__}: {text[:200]}".removesuffix(": ")


def _counted(case: tuple) -> str:
    return f"{len(case)} argument{'s' if len(case) != 1 else ''}"
