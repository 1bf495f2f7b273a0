"""The verdicts of an exercise."""

import math

import numpy as np
import pytest
import torch

from dlseg.book.exercise import Exercise, Mistake, Verdict, in_pairs
from tests.book import zoo

SQUARE = Exercise(
    solution=lambda n: n * n,
    because="n times n.",
    mistakes=(Mistake(lambda n: 2 * n, "That doubles."), Mistake(lambda n: n, "Unchanged.")),
    cases=((2,), (3,)),
)
NINE = Exercise(solution=9, because="3 x 3.", mistakes=(Mistake(6, "3 + 3."),))
PAIR = Exercise(solution=(36, 11), because="", mistakes=())
GRID = np.arange(12.0).reshape(3, 4)
NOTHING = "Your function returns nothing: is a `return` missing?"


def value(solution, **options) -> Exercise:
    return Exercise(solution=solution, because="", mistakes=(), **options)


def function(solution, *cases, **options) -> Exercise:
    return Exercise(solution=solution, because="", mistakes=(), cases=cases, **options)


def test_right_and_wrong():
    assert SQUARE.check(lambda n: n**2) == Verdict(True, "n times n.")
    assert SQUARE.check(lambda n: n + n) == Verdict(False, "That doubles.")
    assert NINE.check(9.0) == Verdict(True, "3 x 3.")
    assert NINE.check(6) == Verdict(False, "3 + 3.")


def stub(n): ...


def stub_below_its_name(n): ...  # on a line of its own


def stub_with_words(n):
    """Square it."""


def gives_dots(n):
    return ...


@pytest.mark.parametrize(
    "answer",
    [..., (..., 2), stub, stub_below_its_name, stub_with_words, gives_dots, lambda n: [1, [...]]],
)
def test_dots_are_no_answer_yet(answer):
    assert repr(SQUARE.check(answer)) == (
        "Not answered yet. Replace the dots and run the cell again."
    )


@pytest.mark.parametrize("answer", [..., (1, ...), [[...], 2], np.array([..., 1], dtype=object)])
def test_dots_within_a_value(answer):
    assert PAIR.check(answer).right is None


def forgets(n):
    n * n


def returns_none(n):
    return None


def passes(n):
    pass


@pytest.mark.parametrize("answer", [forgets, returns_none, passes, lambda n: None, print])
def test_a_forgotten_return(answer):
    assert SQUARE.check(answer) == Verdict(False, NOTHING)


def test_a_return_that_is_forgotten_in_one_branch():
    verdict = SQUARE.check(lambda n: 4 if n == 2 else None)
    assert verdict == Verdict(False, "For (3) y" + NOTHING[1:])


def test_no_value():
    assert NINE.check(None).reason == (
        "You give None, which is no value, but the answer should be one number."
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda n: 4, "For (3) you give 4, but it should be 9."),
        (lambda n: n * n + 1, "For (2) you give 5, but it should be 4. It is always 1 too large."),
        (lambda n: n * n - 0.5, "you give 3.5, but it should be 4. It is always 0.5 too small."),
        (lambda n: n * n / 4, "you give 1, but it should be 4. It is always 0.25 times what it"),
        (lambda n: [n * n], "For (2) you give [4], but it should be 4."),
        (lambda n: str(n * n), "For (2) you give the text '4', but it should be 4."),
        (lambda n: {n: n}, "For (2) you give a value of type dict, but it should be 4."),
        (lambda n: n * n * (1 + 1e-5), "you give 4.00004, but it should be 4."),
        (lambda n: (yield n), "you give a generator (put `list(...)` around it), but it should"),
        (lambda n: lambda: n * n, "you give a function (call it), but it should be 4."),
        (lambda n: n * n + 0j, "you give complex numbers, but it should be 4."),
        (lambda n: math.nan, "you give nan, but it should be 4."),
        (lambda n: [n, "x"], "you give a list with a text in it, but"),
        (lambda n: [[n], [n, n]], "you give a list whose parts have different lengths, but"),
        (lambda n: [n, None], "you give a list with None, which is no value in it, but"),
    ],
)
def test_an_unforeseen_result_is_shown_beside_the_right_one(answer, reason):
    verdict = SQUARE.check(answer)
    assert verdict.right is False
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda x: x, "(3, 4), but it should be an array of shape (4, 3). The values are right, t"),
        (
            lambda x: x.ravel(),
            "give an array of shape (12,), but it should be an array of shape (4",
        ),
        (lambda x: 7, "give 7, but it should be an array of shape (4, 3)."),
        (lambda x: x.T + (x.T == 6), "you give 7 at [2, 1], but it should be 6."),
        (
            lambda x: x.T[::-1],
            "at [0, 0], but it should be 0. The values are right, in another ord",
        ),
    ],
)
def test_of_a_long_array_the_first_entry_that_differs_is_told(answer, reason):
    verdict = function(lambda x: x.T, (GRID,)).check(answer)
    assert verdict.reason.startswith("For (an array of shape (3, 4)) you give")
    assert reason in verdict.reason


def test_arrays_of_one_shape_are_not_told_by_their_shape():
    square = np.arange(9).reshape(3, 3)
    verdict = function(lambda x: x.T, (square,)).check(lambda x: x)
    assert verdict.reason == (
        "For (an array of shape (3, 3)) you give 1 at [0, 1], but it should be 3. The values are "
        "right, the axes are in another order: transpose it."
    )


def test_values_that_differ_behind_the_digits_shown():
    verdict = function(lambda n: 1 / n, (3,), (7,)).check(lambda n: 1 / n + 3e-7 * (n == 7))
    assert verdict.reason == (
        "For (7) you give 0.14285744285714286, but it should be 0.14285714285714285."
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((11, 36), "[11, 36] is not it. The two are swapped."),
        ((36, 10), "[36, 10] is not it. The first that is wrong is entry [1] (from 0)."),
        (36, "You give 36, but the answer should be 2 numbers."),
        ([36, 11, 0], "You give [36, 11, 0], but the answer should be 2 numbers."),
        ({36, 11}, "You give a set, which has no order (make it a list), but the answer should"),
        ("36, 11", "You give the text '36, 11', but the answer should be 2 numbers."),
        (["36", "11"], "You give the texts ['36', '11'], but the answer should be 2 numbers."),
        (min, "You give a function (call it), but the answer should be 2 numbers."),
        (int, "You give a class, but the answer should be 2 numbers."),
    ],
)
def test_a_wrong_value_is_explained_without_the_right_one(answer, reason):
    assert reason in PAIR.check(answer).reason


def test_a_wrong_number():
    assert NINE.check(10).reason == ("10 is not it. Read the question once more, then try again.")


def test_a_function_that_fails_is_told_how_and_where():
    assert SQUARE.check(lambda n: 1 // (n - 3)) == Verdict(
        False, "Your answer raised ZeroDivisionError: integer division or modulo by zero, for (3)."
    )
    assert SQUARE.check(3) == Verdict(False, "The answer should be a function, got 3.")
    assert SQUARE.check("n*n").reason == "The answer should be a function, got the text 'n*n'."


def test_other_arguments():
    assert SQUARE.check(lambda a, b: a * b).reason == (
        "Your function is called with 1 argument, such as (2), but: missing a required "
        "argument: 'b'."
    )
    assert "too many positional arguments" in SQUARE.check(lambda: 4).reason
    assert SQUARE.check(lambda n, power=2: n**power).right is True
    assert SQUARE.check(lambda *n: n[0] ** 2).right is True


@pytest.mark.parametrize("error", [KeyboardInterrupt])
def test_the_stop_button_works(error):
    def stopped(n):
        raise error

    class Stopped(list):
        def __len__(self):
            raise error

    with pytest.raises(error):
        SQUARE.check(stopped)
    with pytest.raises(error):
        PAIR.check(Stopped())


def test_what_a_function_does_to_its_arguments_is_forgotten():
    total = function(sum, ([1, 2, 3],))
    assert total.check(lambda rates: [rates.pop() for _ in range(3)] and 0).right is False
    assert total.check(lambda rates: 6 * (rates == [1, 2, 3])).right is True


@pytest.mark.parametrize("name", zoo.forms((1, 2)))
def test_numbers_are_compared_whatever_holds_them(name):
    exercise = value((1, 2))
    assert exercise.check(zoo.forms((1, 2))[name]).right is True
    assert exercise.check(zoo.forms((1, 3))[name]).right is False


@pytest.mark.parametrize("number", [3, 0.5, True])
def test_one_number_in_every_form(number):
    for name, form in zoo.forms(number).items():
        assert value(number).check(form).right is True, name
        assert value(number + 1).check(form).right is False, name
    assert value(number).check([number]).right is False


def test_whole_numbers_are_right_or_wrong():
    many = value(19_001_359_440)
    assert many.check(19_001_359_440.0).right is True
    assert many.check(19_001_359_441).right is False
    assert value([119_631_893, 2]).check([119_631_892, 2]).right is False


def test_rounding_to_the_digits_of_the_page():
    share = value(625 / 9, digits=1)  # 69.44
    assert all(share.check(number).right for number in (69.4, 69.44, 69.444, 625 / 9))
    assert not any(share.check(number).right for number in (69, 70, 69.3, 69.5))
    assert value(625 / 9).check(69.444).right is False
    billions = value(19_001_359_440, digits=-7)
    assert all(billions.check(number).right for number in (1.9e10, 19.001e9, 19_001_359_440))
    near = (19_001_359_441, 19_001_359_439, 19.002e9, 19.0, 19_000_000_001)
    assert not any(billions.check(number).right for number in near)


def test_single_precision_is_enough():
    left = function(lambda x: 1 - x, (np.array([0.2, 0.9999]),))
    assert left.check(lambda x: 1 - torch.tensor(x).float()).right is True
    assert left.check(lambda x: (1 - torch.tensor(x).float()).double()).right is False
    assert left.check(lambda x: (1 - torch.tensor(x).float()) * (1 + 1e-4)).right is False


def test_order():
    odd = dict(solution=lambda n: list(range(1, n, 2)), because="", mistakes=(), cases=((4,), (8,)))
    given, ordered, free = (Exercise(**odd, order=order) for order in ("given", "sorted", "free"))

    def as_set(n):
        return set(range(1, n, 2))

    def backwards(n):
        return list(range(1, n, 2))[::-1]

    assert [e.check(as_set).right for e in (given, ordered, free)] == [False, True, True]
    assert [e.check(backwards).right for e in (given, ordered, free)] == [False, False, True]
    assert ordered.check(backwards).reason.endswith("[1, 3]. The two are swapped.")
    assert free.check(lambda n: [1] * (n // 2)).right is False
    with pytest.raises(ValueError, match='"given", "sorted" or "free", got \'any\''):
        Exercise(**odd, order="any")


@pytest.mark.parametrize("text", ["Better", " better ", "BETTER.", "better\n", list("better")])
def test_letters_in_either_case(text):
    exercise = value("better")
    assert exercise.check(text).right is True
    assert exercise.check("worse").reason == (
        "You give the text 'worse', but the answer should be a text of 6 letters."
    )
    assert "Its letter 5 is the first that is wrong." in exercise.check("bettor").reason
    assert exercise.check(3).reason == "You give 3, but the answer should be a text of 6 letters."


def test_functions_of_tensors_where_arrays_are_given_and_the_reverse():
    labels = function(lambda p: p.argmax(0), (GRID[::-1],), (GRID,))
    assert labels.check(lambda p: torch.argmax(p, dim=0)).right is True
    assert labels.check(lambda p: torch.argmin(p, dim=0)).right is False
    doubled = function(lambda f, x: f(x) * 2, (torch.sqrt, torch.tensor([4.0, 9.0])))
    assert doubled.check(lambda f, x: f(x).astype(float) * 2).right is True
    assert doubled.check(lambda f, x: x.astype(float)).reason.startswith("For (a function, [4, 9])")
    both = labels.check(lambda p: p.nothing())
    assert "'numpy.ndarray' object has no attribute 'nothing'" in both.reason


@pytest.mark.parametrize("name", zoo.MONSTERS)
@pytest.mark.parametrize("exercise", [NINE, PAIR, value("abcd"), value(GRID)], ids=str)
def test_no_monster_breaks_a_page(name, exercise):
    verdict = exercise.check(zoo.MONSTERS[name]())
    assert verdict.right is False
    assert verdict.reason.startswith("Your answer cannot be read.") == (name in zoo.UNREADABLE)
    assert SQUARE.check(lambda n: zoo.MONSTERS[name]()).right is False


@pytest.mark.parametrize("name", zoo.FUNCTIONS)
def test_no_function_breaks_a_page(name):
    verdict = SQUARE.check(zoo.FUNCTIONS[name])
    assert verdict.right is False
    assert "cannot be read" not in verdict.reason


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
