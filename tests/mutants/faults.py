"""Small faults that a test should notice: where a module has room for one, and what it reads then.

A fault replaces the text of one node: all else, comments and docstrings too, stays as it is.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise, zip_longest

OFF, SIGN, COMPARISON = "off by one", "sign", "comparison"
DROPPED, SWAPPED, CONSTANT = "dropped line", "swapped arguments", "constant"
OPERATORS = (OFF, SIGN, COMPARISON, DROPPED, SWAPPED, CONSTANT)

_SIGNS = {
    ast.Add: ast.Sub(),
    ast.Sub: ast.Add(),
    ast.Mult: ast.FloorDiv(),
    ast.Div: ast.Mult(),
    ast.FloorDiv: ast.Mult(),
}
_COMPARISONS = {
    ast.Lt: ast.LtE(),
    ast.LtE: ast.Lt(),
    ast.Gt: ast.GtE(),
    ast.GtE: ast.Gt(),
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
    ast.And: ast.Or(),
    ast.Or: ast.And(),
}
# Of these the order of the arguments decides nothing.
_SYMMETRIC = {"min", "max", "minimum", "maximum", "gcd", "equal", "allclose"}


@dataclass(frozen=True)
class Fault:
    """One fault. start, end: bytes of the module's text that `after` replaces.

    key: names it in reports and in `survivors.toml`; it outlives changes elsewhere in the file.
    """

    file: str
    operator: str
    key: str
    start: int
    end: int
    after: str

    def plant(self, text: bytes) -> bytes:
        """The module's text with this fault in it."""
        return text[: self.start] + self.after.encode() + text[self.end :]


def faults(file: str, text: bytes) -> list[Fault]:
    """All faults that `text`, the module `file`, has room for, in the order of the text."""
    lines, found = _line_starts(text), []
    for node, scope, names in _nodes(ast.parse(text), (), frozenset()):
        for operator, after in _changes(node, names):
            start = lines[node.lineno - 1] + node.col_offset
            end = lines[node.end_lineno - 1] + node.end_col_offset
            change = f"{' '.join(text[start:end].decode().split())} -> {after}"
            key = f"{file} {'.'.join(scope) or 'top'}: {change}"
            found.append(Fault(file, operator, key, start, end, after))
    return _numbered(found)


def draw(found: list[Fault], count: int, seed: int) -> list[Fault]:
    """`count` of the faults, as many of each operator as there are.

    The lot of a fault follows from the seed and its key alone: a change of one line of the package
    leaves the lots of the others as they are.
    """
    lots = sorted(found, key=lambda fault: sha256(f"{seed} {fault.key}".encode()).digest())
    columns = [[fault for fault in lots if fault.operator == kind] for kind in OPERATORS]
    return [fault for row in zip_longest(*columns) for fault in row if fault][:count]


def _line_starts(text: bytes) -> list[int]:
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def _numbered(found: list[Fault]) -> list[Fault]:
    """The faults with keys of their own: the second of one key ends in #2."""
    seen, own = Counter(), []
    for fault in found:
        seen[fault.key] += 1
        count = seen[fault.key]
        own.append(replace(fault, key=f"{fault.key} #{count}") if count > 1 else fault)
    return own


def _nodes(node: ast.AST, scope: tuple, names: frozenset) -> Iterator[tuple]:
    """(node, names of the definitions around it, variables set before it), but what is mere text.

    Left out are annotations, docstrings, the messages of errors and f-strings.
    """
    if isinstance(node, ast.FunctionDef):
        arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
        names = frozenset(argument.arg for argument in arguments)
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        scope = (*scope, node.name)
    for field, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        for child in children:
            if field in ("annotation", "returns") or not isinstance(child, ast.AST):
                continue
            if isinstance(child, ast.JoinedStr) or _is_text(child):
                continue
            early = isinstance(node, ast.If) and isinstance(child, ast.Return)
            if hasattr(child, "lineno"):
                yield child, scope, names | {"return"} if early else names
            if not isinstance(child, ast.Raise):
                yield from _nodes(child, scope, names)
            names |= _assigned(child)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _assigned(node: ast.AST) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return {name.id for target in targets for name in ast.walk(target) if _is_stored(name)}


def _is_stored(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _changes(node: ast.AST, names: frozenset) -> Iterator[tuple[str, str]]:
    """(operator, text in place of the node's own)."""
    if isinstance(node, ast.stmt):
        if _can_be_dropped(node, names):
            yield DROPPED, "pass"
    elif isinstance(node, ast.Constant):
        yield from _other_constants(node.value)
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    else:
        yield from _operations(node)


def _can_be_dropped(node: ast.stmt, names: frozenset) -> bool:
    """Whether the function may still run without it: its names are set before, if it sets any."""
    if isinstance(node, ast.Assign):
        return _assigned(node) <= names
    if isinstance(node, ast.Return):
        return "return" in names
    kinds = (ast.Expr, ast.AugAssign, ast.Raise, ast.Continue, ast.Break, ast.Delete)
    return isinstance(node, kinds)


def _other_constants(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, bool):
        yield CONSTANT, str(not value)
    elif isinstance(value, int):
        yield OFF, str(value + 1)
        yield OFF, str(value - 1) if value else "(-1)"
    elif isinstance(value, float):
        yield CONSTANT, repr(2 * value or 1.0)
    elif isinstance(value, str) and value:
        yield CONSTANT, repr(value + "_")


def _calls(node: ast.Call) -> Iterator[tuple[str, str]]:
    arguments = node.args
    if any(isinstance(argument, ast.Starred) for argument in arguments):
        return
    name = ast.unparse(node.func).rpartition(".")[2]
    if name == "range":
        more = ast.BinOp(arguments[-1], ast.Add(), ast.Constant(1))
        yield OFF, ast.unparse(ast.Call(node.func, [*arguments[:-1], more], []))
    for index, (first, second) in enumerate(pairwise(arguments)):
        if name not in _SYMMETRIC and ast.dump(first) != ast.dump(second):
            swapped = [*arguments[:index], second, first, *arguments[index + 2 :]]
            yield SWAPPED, ast.unparse(ast.Call(node.func, swapped, node.keywords))


def _operations(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
        other = ast.BinOp(node.left, _SIGNS[type(node.op)], node.right)
        yield SIGN, f"({ast.unparse(other)})"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        kind = SIGN if isinstance(node.op, ast.USub) else COMPARISON
        yield kind, f"({ast.unparse(node.operand)})"
    elif isinstance(node, ast.BoolOp):
        yield COMPARISON, f"({ast.unparse(ast.BoolOp(_COMPARISONS[type(node.op)], node.values))})"
    elif isinstance(node, ast.Compare):
        operator = _COMPARISONS[type(node.ops[0])]
        other = ast.Compare(node.left, [operator, *node.ops[1:]], node.comparators)
        yield COMPARISON, f"({ast.unparse(other)})"
