"""The tables that the papers print: cited data, from assets/paper_tables.toml.

The file has one section per paper, "v1", "v2", "v3", "v3plus" and "mobilenetv2", and in it one per
table:

    [v3.table5]
    caption = "ASPP with multi-grid and image-level features, output stride 16, val"
    source = "DeepLab v3, Table 5"
    names = { miou = "mIoU, %" }        # headings, where the key is not good enough
    [[v3.table5.rows]]
    label = "multi-grid (1,2,4)"
    miou = 76.58

A row leaves out what the paper leaves blank.
"""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dlseg.book import BLUE, Picture, find_root, from_figure, new_figure

FILE = "assets/paper_tables.toml"


class Printed(float):
    """A number of a paper: counts as a float, and prints with the digits that the paper prints."""

    def __new__(cls, text: str):
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __str__(self) -> str:
        return self.text

    def __format__(self, spec: str) -> str:
        return super().__format__(spec) if spec else self.text


@dataclass(frozen=True)
class PaperTable:
    """One table as it is printed; the last expression of a cell shows it.

    caption: what was measured, on what, in our words. source: paper and number of the table.
    rows: one dictionary per row, key to value. names: headings for keys that are not their own.
    """

    caption: str
    source: str
    rows: Sequence[dict]
    names: dict[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[dict]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        return self.rows[index]

    @property
    def keys(self) -> list[str]:
        """The keys of all rows, in the order in which they turn up."""
        return list(dict.fromkeys(key for row in self.rows for key in row))

    def heading(self, key: str) -> str:
        """What stands above the column of `key`."""
        return self.names.get(key, key.replace("_", " "))

    def column(self, key: str) -> list:
        """The values under `key`, None where a row has none.

        Raises: ValueError where no row has any.
        """
        if key not in self.keys:
            raise ValueError(f"{self.source} has no column {key!r}; it has {', '.join(self.keys)}")
        return [row.get(key) for row in self.rows]

    def value(self, key: str, **where) -> int | float | str:
        """The value under `key` in the one row that has the given values elsewhere.

        Raises: ValueError unless exactly one row has them.
        """
        matching = [row for row in self.rows if where.items() <= row.items()]
        if len(matching) != 1 or key not in matching[0]:
            raise ValueError(
                f"{self.source}: one row with {where} and {key!r} is needed, "
                f"there are {len(matching)}"
            )
        return matching[0][key]

    def markdown(self) -> str:
        """The table in Markdown, with its caption and source below."""
        lines = [_row(self.heading(key) for key in self.keys), _row("---" for _ in self.keys)]
        lines += [_row(_shown(row.get(key)) for key in self.keys) for row in self.rows]
        return "\n".join([*lines, "", f"*{self.source}: {self.caption}.*"])

    def __str__(self) -> str:
        cells = [[self.heading(key) for key in self.keys]]
        cells += [[_shown(row.get(key)) for key in self.keys] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
        return "\n".join([f"{self.source}: {self.caption}", *lines])

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/markdown": self.markdown(), "text/plain": str(self)}


def paper_table(paper: str, number: str, file: Path | None = None) -> PaperTable:
    """Table `number` of `paper`: "v1", "v2", "v3", "v3plus" or "mobilenetv2".

    file: by default assets/paper_tables.toml. A number of the paper is a `Printed`.
    Raises: ValueError where there is no such table.
    """
    text = (file or find_root() / FILE).read_text(encoding="utf-8")
    papers = tomllib.loads(text, parse_float=Printed)
    if f"table{number}" not in papers.get(paper, {}):
        known = ", ".join(f"{p} {t.removeprefix('table')}" for p in papers for t in papers[p])
        raise ValueError(f"no table {number!r} of paper {paper!r} in {FILE}; there are {known}")
    return PaperTable(**papers[paper][f"table{number}"])


def bars(table: PaperTable, value: str = "miou", label: str = "label", low: float = 0) -> Picture:
    """One bar per row, its number at the end; a row without `value` is left out.

    low: where the axis begins, in the unit of the values. A bar must begin at 0 to be as long as
    its value is large, so on an axis that does not there are points.
    """
    rows = [row for row in table if value in row]
    figure, axes = new_figure(height=0.85 + 0.32 * len(rows))
    names, values = [str(row[label]) for row in rows], [float(row[value]) for row in rows]
    places = range(len(rows))
    drawn = axes.barh(places, values, color="none" if low else BLUE, height=0.66)
    if low:
        axes.hlines(places, low, values, color=BLUE, linewidth=1.5)
        axes.plot(values, places, linestyle="", color=BLUE)
    axes.bar_label(drawn, [_shown(row[value]) for row in rows], padding=8 if low else 3)
    axes.set(yticks=places, yticklabels=names, xlabel=table.heading(value))
    axes.set_ylabel("" if label == "label" else table.heading(label))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set(xlim=(low, max(values) + 0.12 * (max(values) - low)), title=table.source)
    listed = "; ".join(
        f"{name}: {_shown(row[value])}" for name, row in zip(names, rows, strict=True)
    )
    return from_figure(
        figure, f"{table.source}, {table.caption}. {table.heading(value)}: {listed}."
    )


def curves(table: PaperTable, columns: Sequence[str], label: str = "label") -> Picture:
    """One curve per row over the named columns, which hold one quantity each."""
    figure, axes = new_figure(height=3.2)
    sentences = []
    for row in table:
        values = [row.get(column) for column in columns]
        known = [(x, float(v)) for x, v in enumerate(values) if v is not None]
        axes.plot(*zip(*known, strict=True), label=str(row[label]))
        sentences.append(f"{row[label]}: {', '.join(map(_shown, values))}")
    axes.set_xticks(range(len(columns)), [table.heading(column) for column in columns])
    axes.set(title=table.source, ylabel=table.names.get("unit", ""))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    headings = ", ".join(table.heading(column) for column in columns)
    alt = f"{table.source}, {table.caption}. Over {headings}: {'; '.join(sentences)}."
    return from_figure(figure, alt)


def _row(cells) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(value) -> str:
    return "-" if value is None else str(value)
