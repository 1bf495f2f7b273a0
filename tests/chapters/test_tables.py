"""The papers' tables: read as printed, shown as they are, and drawn with every number said."""

import math
import tomllib

import pytest

from dlseg.book.manifest import find_root
from support.tables import FILE, PaperTable, Printed, bars, curves, paper_table

SAMPLE = """
[v9.table1]
caption = "two nets, val"
source = "DeepLab v9, Table 1"
names = { miou = "mIoU, %" }
[[v9.table1.rows]]
label = "small"
miou = 70.10
crf = 71.00
[[v9.table1.rows]]
label = "large"
miou = 80.25
params = 3
"""


@pytest.fixture
def table(tmp_path) -> PaperTable:
    file = tmp_path / "tables.toml"
    file.write_text(SAMPLE)
    return paper_table("v9", "1", file)


def test_number_counts_as_a_float_and_prints_as_in_the_paper():
    number = Printed("70.10")
    assert number == 70.1 and number + 1 == pytest.approx(71.1)
    assert str(number) == f"{number}" == "70.10"
    assert f"{number:.1f}" == "70.1"


def test_rows_columns_and_single_values(table):
    assert len(table) == 2 and table[1]["label"] == "large"
    assert [row["miou"] for row in table] == table.column("miou") == [70.1, 80.25]
    assert table.column("crf") == [71, None]
    assert table.value("miou", label="large") == 80.25
    assert table.keys == ["label", "miou", "crf", "params"]


def test_missing_column_row_and_table_say_what_there_is(table, tmp_path):
    with pytest.raises(ValueError, match="no column 'iou'; it has label, miou, crf, params"):
        table.column("iou")
    with pytest.raises(ValueError, match=r"Table 1: one row with .*tiny.* there are 0"):
        table.value("miou", label="tiny")
    with pytest.raises(ValueError, match="and 'params' is needed"):
        table.value("params", label="small")
    with pytest.raises(ValueError, match=r"no table '2' of paper 'v9' .*; there are v9 1"):
        paper_table("v9", "2", tmp_path / "tables.toml")


def test_shown_in_markdown_and_in_text(table):
    shown = table._repr_mimebundle_()
    lines = shown["text/markdown"].splitlines()
    assert lines[0] == "| label | mIoU, % | crf | params |"
    assert lines[2] == "| small | 70.10 | 71.00 | - |"
    assert lines[-1] == "*DeepLab v9, Table 1: two nets, val.*"
    assert shown["text/plain"].splitlines()[2] == "small  70.10    71.00  -"


def test_pictures_say_every_number(table):
    assert bars(table).alt == (
        "DeepLab v9, Table 1, two nets, val. mIoU, %: small: 70.10; large: 80.25."
    )
    assert "crf: small: 71.00." in bars(table, "crf").alt
    assert curves(table, ["miou", "crf"]).alt == (
        "DeepLab v9, Table 1, two nets, val. Over mIoU, %, crf: small: 70.10, 71.00; "
        "large: 80.25, -."
    )


def committed() -> list[tuple[str, str]]:
    with (find_root() / FILE).open("rb") as stream:
        papers = tomllib.load(stream)
    return [(paper, key.removeprefix("table")) for paper in papers for key in papers[paper]]


PAPERS = {
    "v1": "DeepLab v1",
    "v2": "DeepLab v2",
    "v3": "DeepLab v3",
    "v3plus": "DeepLab v3+",
    "mobilenetv2": "MobileNetV2",
}


@pytest.mark.parametrize(("paper", "number"), committed())
def test_committed_table_names_its_source_and_has_possible_numbers(paper, number):
    table = paper_table(paper, number)
    plain = table.source.replace(" (", "").replace(")", "")  # Table 1 (a) is table1a
    assert plain == f"{PAPERS[paper]}, Table {number}"
    assert table.caption and not table.caption.endswith(".")
    assert table.rows
    assert set(table.names) - {"unit"} <= set(table.keys)
    for row in table:
        for value in row.values():
            assert not isinstance(value, float) or (math.isfinite(value) and value > 0)
        assert all(row[key] < 100 for key in row if key.startswith("miou"))
    assert len({tuple(row.items()) for row in table}) == len(table)
