"""Source without argument guards: what goes, and that everything else stays as it was."""

import ast

import pytest

from dlseg.book.source import is_guard, shown_source, without_guards

GUARDED = '''class Head(nn.Module):
    def __init__(self, channels, rates):
        """Doc."""
        super().__init__()
        check_integer("channels", channels, 1)
        if not rates:
            raise ValueError("rates must hold one rate")
        for rate in rates:
            check_integer("rate", rate, 1)
        self.wide = 2 * check_integer("channels", channels, 1) + 1
        self.layers = [conv(check_integer("rate", rate, 1), channels) for rate in rates]
        if channels > 3:
            self.wide = 3
'''
BARE = '''class Head(nn.Module):
    def __init__(self, channels, rates):
        """Doc."""
        super().__init__()
        self.wide = 2 * channels + 1
        self.layers = [conv(rate, channels) for rate in rates]
        if channels > 3:
            self.wide = 3
'''


def test_guards_go_and_the_rest_stays():
    assert without_guards(GUARDED) == BARE
    assert without_guards(BARE) == BARE


@pytest.mark.parametrize(
    ("code", "guard"),
    [
        ("check_image(x)", True),
        ("_check(depth, stem)", True),
        ("if a < 1:\n    raise ValueError('a')", True),
        ("if a < 1:\n    raise ValueError('a')\nelse:\n    b = 1", False),
        ("y = check_image(x)", False),
        ("x = check_integer('x', x, 1)", True),
        ("y = check_integer('x', x, 1)", False),
        ("for a in b:\n    c.append(a)", False),
        ("layer.check(x)", False),
        ("rate = check_integer('rate', rate, 1)", True),
        ("rate, stride = check_window(rate, stride)", True),
        ("wide = check_integer('rate', rate, 1)", False),
    ],
)
def test_what_a_guard_is(code, guard):
    assert is_guard(ast.parse(code).body[0]) is guard


def test_a_check_over_several_lines_becomes_its_value():
    source = "y = f(\n    check_integer(\n        'a', a + 1, 1\n    ),\n    b,\n)\n"
    assert without_guards(source) == "y = f(\n    a + 1,\n    b,\n)\n"


def test_the_source_of_a_method_stands_at_the_left_edge():
    class Net:
        def forward(self, x):
            check_image(x)  # noqa: F821
            return x

    assert shown_source(Net.forward) == "def forward(self, x):\n    return x\n"
