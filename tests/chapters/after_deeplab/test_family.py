"""The table of the family says where each of its facts stands, and no idea takes a long read."""

import ast
import re
from pathlib import Path

import pytest

from support.after_deeplab import family

ROOM = Path(family.__file__).parent
# Each idea: its module, and the classes and functions that it is.
IDEAS = {
    "holes in time": (
        "holes_in_time",
        "Asked doubling field_in_time causal GatedLayer TemporalBlock wavenet tcn",
    ),
    "attention with holes": ("neighbourhood", "neighbours NeighbourhoodAttention"),
    "moving taps": ("deformable", "regular_taps sample deform_conv2d DeformableConv2d"),
    "large kernels": ("large_kernels", "depthwise ConvNeXtBlock LargeKernel StripAttention"),
    "the CRF as attention": ("mean_field", "kernel_attention mean_field_step"),
    "regions": ("regions", "region_vectors ObjectContext kmeans_step masked_attention"),
    "SegFormer's encoder": (
        "segformer",
        "Patches EfficientAttention MixFFN Block Encoder",
    ),
    "SegFormer's decoder": ("segformer", "Stage MLPDecoder SegFormer"),
    "two decoders": ("panoptic", "Maps Branch PanopticDeepLab"),
    "middles and arrows": ("panoptic", "targets peaks group panoptic"),
}


def test_every_row_is_whole_and_has_a_source():
    table = family.family()
    assert table.keys == ["label", "year", "idea", "decides", "reported", "source"]
    for row in table:
        assert all(row[key] for key in table.keys) and 2018 <= row["year"] <= 2022
        assert str(row["year"]) in row["source"]
    years = table.column("year")
    assert years == sorted(years) and len(table) == 6


def test_it_prints():
    assert "| kMaX-DeepLab | 2022 |" in family.family().markdown()
    assert "who decides where a unit looks" in str(family.family())


def code_lines(node: ast.AST, text: str) -> int:
    """Lines of a module, class or function without docstrings, comments and blank lines."""
    texts = [one for one in ast.walk(node) if isinstance(one, ast.Expr) and _is_text(one.value)]
    docs = {line for one in texts for line in range(one.lineno, one.end_lineno + 1)}
    first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", None)
    numbered = list(enumerate(text.splitlines(), start=1))[first - 1 : last]
    kept = [line.strip() for number, line in numbered if number not in docs]
    return sum(bool(line) and not line.startswith("#") for line in kept)


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


@pytest.mark.parametrize("idea", IDEAS)
def test_every_idea_has_sixty_lines_at_most(idea):
    module, parts = IDEAS[idea]
    text = (ROOM / f"{module}.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    found = {
        node.name: code_lines(node, text)
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    assert sum(found[name] for name in parts.split()) <= 60
    if len([one for one, _ in IDEAS.values() if one == module]) == 1:
        assert set(parts.split()) == set(found)


def test_lines_are_counted_without_what_explains_them():
    text = '"""A."""\n\nx = 1\n\ndef f():\n    """B.\n\n    C."""\n    # D\n    return "E"\n'
    tree = ast.parse(text)
    assert code_lines(tree, text) == 3 and code_lines(tree.body[2], text) == 2


def test_sources_name_people_and_years():
    for module in {module for module, _ in IDEAS.values()}:
        text = (ROOM / f"{module}.py").read_text(encoding="utf-8")
        assert re.search(r"(et al\.|and \w+|Koltun) 20\d\d", text), module
