"""The layer that checks what is read: it names entry, what was wanted and what was given."""

import math

import pytest

from dlseg.schema import (
    DEEPEST,
    LARGEST,
    LINE,
    MOST,
    Unfit,
    choice,
    in_words,
    inside,
    integer,
    listing,
    maybe,
    number,
    plain,
    record,
    switch,
    table,
    text,
)

PERSON = record(
    {"name": text(empty=False)},
    {"age": maybe(integer(0, 150)), "friends": listing(text(), 1, 2), "size": number(0)},
)
OPEN = record({"kind": choice(("a", 1))}, {"on": switch}, others=plain)


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (PERSON, 5, "the content must be a table of names and values, got 5"),
        (PERSON, {}, "the content lacks name"),
        (PERSON, {"name": ""}, "name must be a text of one line, got ''"),
        (PERSON, {"name": "a", "hat": 1}, "hat is unknown; there may be age, friends, name, size"),
        (PERSON, {"name": "a", "age": True}, "age must be an integer from 0 to 150, got True"),
        (PERSON, {"name": "a", "friends": []}, "friends must be a list of 1 to 2, got a list of 0"),
        (PERSON, {"name": "a", "friends": ["b\n"]}, "friends[0] must be a text of one line"),
        (PERSON, {"name": "a", "size": float("nan")}, "size must be a finite number >= 0, got nan"),
        (PERSON, {"name": "a", "size": 10**400}, "got an integer of 1329 bits"),
        (table(text(), PERSON), {"x y": {}}, "['x y'] lacks name"),
        (OPEN, {"kind": True}, "kind must be one of a, 1, got True"),
        (OPEN, {"kind": 1, "on": 0}, "on must be true or false, got 0"),
        (OPEN, {"kind": 1, "more": {"deep": [1j]}}, "more.deep[0] must be a number, a text, or a"),
    ],
)
def test_the_entry_is_named(check, value, message):
    with pytest.raises(Unfit) as caught:
        check("", value)
    assert message in str(caught.value)


def test_what_is_right_comes_back_plain():
    given = {"name": "é", "age": None, "friends": ("x",), "size": 3}
    assert PERSON("", given) == given | {"friends": ["x"]}
    more = OPEN("", {"kind": "a", "more": {1: (None, 2.5)}})["more"]
    assert more == {1: [None, 2.5]}


def test_values_of_any_size_in_words():
    assert in_words("x" * 1000) == "'" + "x" * 50 + "'..."
    assert in_words({1: 2}) == "a dict of 1" and in_words(b"x") == "a value of type bytes"


def nested(levels: int) -> list:
    return [nested(levels - 1)] if levels else []


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (integer(2, 3), (2, 3), (1, 4)),
        (integer(), (0, 10**9), (-1,)),
        (number(2, 3), (2, 3.0), (1.99, 3.01)),
        (number(), (-LARGEST, LARGEST), (-math.inf, math.inf)),
        (text(), ("", "x" * LINE), ("x" * (LINE + 1),)),
        (listing(integer(), 1, 2), ([1], [1, 2]), ([], [1, 2, 3])),
        (plain, (nested(DEEPEST), [0] * (MOST - 1)), (nested(DEEPEST + 1), [0] * MOST)),
    ],
)
def test_bounds_belong_to_what_may_be(check, good, bad):
    for value in good:
        assert check("x", value) == value
    for value in bad:
        with pytest.raises(Unfit):
            check("x", value)


def test_integers_in_words_up_to_twenty_digits():
    assert in_words(-(10**20 - 1)) == "-" + "9" * 20
    assert in_words(10**20) == "an integer of 67 bits"
    assert in_words("x" * 59) == repr("x" * 59) and in_words("x" * 60).endswith("...")


@pytest.mark.parametrize("name", ["odd name", "", "x" * 101, "a\n", 5])
def test_names_that_could_be_misread_are_quoted(name):
    assert inside("weights", name) == f"weights[{in_words(name)}]"
    assert inside("weights", "x" * 100) == "weights." + "x" * 100 and inside("", "x") == "x"
