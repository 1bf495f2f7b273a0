"""A guess: its three forms, that it blocks nothing, and what it leaves in the book."""

import pytest

from dlseg.book import Predict

FORMS = {
    "number": {"number": (0, 200)},
    "choice": {"choice": ["more", "less"]},
    "curve": {"curve": ["0-7", "8-15", "16-23"], "between": (0.5, 1)},
}


@pytest.fixture(params=FORMS)
def guess(request):
    return Predict("How far?", **FORMS[request.param])


def test_nothing_is_guessed_before_the_reader_does(guess):
    assert guess.value is None
    guess.widget()
    assert guess.value is None


def test_in_the_book_it_is_a_question_in_words(guess, publishing):
    ((kind, words),) = guess._repr_mimebundle_().items()
    assert kind == "text/plain" and words.startswith("Guess first: How far?\nRun this cell")


def test_live_it_is_a_form(guess):
    assert "application/vnd.jupyter.widget-view+json" in guess._repr_mimebundle_()


def test_a_number():
    guess = Predict("How far?", number=(0, 200))
    form = guess.widget().children[1]
    assert (form.min, form.max) == (0, 200)
    form.value = 47
    assert guess.value == 47


def test_a_choice():
    guess = Predict("How far?", choice=["more", "less"])
    form = guess.widget().children[1]
    assert form.value is None
    form.value = "less"
    assert guess.value == "less"


def test_a_curve():
    guess = Predict("How far?", **FORMS["curve"])
    _, form, words = guess.widget().children
    assert "Not answered" in words.value
    form.children[1].value = 0.6
    assert guess.value == {"0-7": 0.75, "8-15": 0.6, "16-23": 0.75}
    assert "noted" in words.value
    form.children[2].value = 1
    assert guess.value["16-23"] == 1


@pytest.mark.parametrize(
    "wrong",
    [{}, {"number": (0, 1), "choice": ["a", "b"]}, {"choice": ["a"]}, {"curve": []}],
)
def test_one_of_the_three(wrong):
    with pytest.raises(ValueError, match="one of the three"):
        Predict("How far?", **wrong)


@pytest.mark.parametrize("ends", [(1, 1), (2, 1)])
def test_ends_in_order(ends):
    with pytest.raises(ValueError, match="the smaller first"):
        Predict("How far?", number=ends)
    with pytest.raises(ValueError, match="the smaller first"):
        Predict("How far?", curve=["a", "b"], between=ends)
