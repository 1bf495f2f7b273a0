"""The verdicts of an exercise."""

import numpy as np
import pytest
import torch

from dlseg.book.exercise import Exercise, Mistake, Verdict, in_pairs

SQUARE = Exercise(
    solution=lambda n: n * n,
    because="n times n.",
    mistakes=(Mistake(lambda n: 2 * n, "That doubles."), Mistake(lambda n: n, "Unchanged.")),
    cases=((2,), (3,)),
)
NINE = Exercise(solution=9, because="3 x 3.", mistakes=(Mistake(6, "3 + 3."),))


def test_right_wrong_and_untouched():
    assert SQUARE.check(lambda n: n**2) == Verdict(True, "n times n.")
    assert SQUARE.check(lambda n: n + n) == Verdict(False, "That doubles.")
    assert SQUARE.check(lambda n: ...).right is None
    assert SQUARE.check(lambda n: None).right is None
    assert SQUARE.check(...).right is None
    assert NINE.check(9.0).right is True
    assert NINE.check(6) == Verdict(False, "3 + 3.")
    assert NINE.check(...).right is None


def test_an_unforeseen_answer_gets_the_first_difference():
    verdict = SQUARE.check(lambda n: 4)
    assert verdict == Verdict(False, "For (3) you give 4, but it should be 9.")
    assert "10 is not it" in NINE.check(10).reason


def test_an_answer_that_fails_is_told_how():
    assert SQUARE.check(lambda n: 1 // 0).reason.startswith("Your answer raised ZeroDivisionError")
    assert SQUARE.check(3) == Verdict(False, "The answer should be a function, got 3.")


@pytest.mark.parametrize(
    "answer", [(1, 2.0), [1, 2], np.array([1, 2]), torch.tensor([1.0, 2.0])], ids=type
)
def test_numbers_are_compared_whatever_holds_them(answer):
    exercise = Exercise(solution=(1, 2), because="", mistakes=())
    assert exercise.check(answer).right is True
    assert exercise.check([1]).right is False
    assert exercise.check("12").right is False
    assert exercise.check((1, ...)).right is None


def test_a_verdict_reads_without_colour(monkeypatch):
    monkeypatch.delenv("DLSEG_BOOK", raising=False)
    assert repr(Verdict(True, "Yes.")) == "Right. Yes."
    assert "&#10007;</b> Not yet. 1 &lt; 2" in Verdict(False, "1 < 2")._repr_html_()


def test_mistakes_in_pairs():
    assert in_pairs(6, "3 + 3.", 3, "Twice.") == (Mistake(6, "3 + 3."), Mistake(3, "Twice."))
    for wrong in ((6,), (6, 3), (6, "3 + 3.", 3)):
        with pytest.raises(ValueError, match="after each answer its hint, a text: got"):
            in_pairs(*wrong)


def test_for_the_book_a_verdict_is_text(monkeypatch):
    monkeypatch.setenv("DLSEG_BOOK", "1")
    assert Verdict(True, "Yes.")._repr_html_() is None
