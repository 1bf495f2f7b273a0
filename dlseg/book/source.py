"""Source as a chapter shows it: what the code does, without the checks of its arguments."""

import ast
from collections.abc import Callable
from inspect import getsource
from textwrap import dedent


def shown_source(thing: Callable | type) -> str:
    """The source of a function, method or class, from the left edge, without argument guards."""
    return without_guards(dedent(getsource(thing)))


def without_guards(source: str) -> str:
    """Python source without its argument guards.

    A guard is a call of a function named `check...` or `_check...` that stands alone or gives a
    name to itself (`rate = check_integer("rate", rate, 1)`), an `if` that does nothing but raise,
    or a loop of nothing but guards; `check_integer(name, value, least)` inside an expression
    becomes `value`.
    """
    lines = source.splitlines()
    # From the end, so that earlier places stay where they are; a call inside a guard goes with it.
    for node in sorted(_removable(ast.parse(source)), key=_place, reverse=True):
        first, last = node.lineno - 1, node.end_lineno - 1
        if isinstance(node, ast.stmt):
            lines[first : last + 1] = []
        else:
            value = ast.get_source_segment(source, node.args[1])
            before, after = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
            lines[first : last + 1] = [before + value + after]
    return "\n".join(lines) + "\n"


def is_guard(node: ast.AST) -> bool:
    """Whether a statement only checks arguments."""
    if isinstance(node, ast.Expr):
        return _calls_check(node.value)
    if isinstance(node, ast.If):
        return not node.orelse and all(isinstance(part, ast.Raise) for part in node.body)
    if isinstance(node, ast.Assign) and _calls_check(node.value):
        given = [ast.unparse(argument) for argument in node.value.args]
        return ast.unparse(node.targets[0]).strip("()") in (", ".join(given), *given)
    return isinstance(node, ast.For) and all(is_guard(part) for part in node.body)


def _removable(tree: ast.AST) -> list[ast.AST]:
    """Guards, outermost only, and checks inside the expressions of what stays."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if is_guard(node) or (_calls_check(node) and len(node.args) == 3):
            found.append(node)
        else:
            found += _removable(node)
    return found


def _calls_check(node: ast.AST) -> bool:
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return named and node.func.id.lstrip("_").startswith("check")


def _place(node: ast.AST) -> tuple[int, int]:
    return node.lineno, node.col_offset
