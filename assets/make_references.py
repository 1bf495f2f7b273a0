"""Write chapters/references.md from chapters/references.bib, one heading per key.

    python assets/make_references.py [FILE]

A chapter cites with a link that works in JupyterLab and on the site: [words](references.md#key).
"""

import sys
from pathlib import Path

import bibtexparser

CHAPTERS = Path(__file__).parents[1] / "chapters"
NOTE = "<!-- Written by assets/make_references.py: change references.bib instead. -->"


def read_entries(file: Path) -> list[dict[str, str]]:
    """The entries of a BibTeX file by key, each a dictionary of its fields."""
    with file.open(encoding="utf-8") as stream:
        entries = bibtexparser.load(stream).entries
    return sorted(entries, key=lambda entry: entry["ID"])


def plain(field: str) -> str:
    """A field without the braces that keep capitals in BibTeX."""
    return " ".join(field.replace("{", "").replace("}", "").split())


def people(field: str) -> str:
    """`Chen, Bo and Adam, Hartwig` as `Bo Chen and Hartwig Adam`."""
    names = [" ".join(reversed(name.split(", "))) for name in plain(field).split(" and ")]
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def venue(entry: dict[str, str]) -> str:
    """Where it was published, with volume and pages where they are known, and the year."""
    place = plain(entry.get("booktitle") or entry.get("journal") or "arXiv preprint")
    if "volume" in entry:
        number = f"({entry['number']})" if "number" in entry else ""
        place += f" {entry['volume']}{number}"
    if "pages" in entry:
        place += f", pages {entry['pages'].replace('--', '–')}"
    if "publisher" in entry:
        place += f", {entry['publisher']}"
    return f"{place}, {entry['year']}"


def links(entry: dict[str, str]) -> str:
    """The DOI and the arXiv number, those that are known, as links."""
    found = []
    if "doi" in entry:
        found.append(f"[doi:{entry['doi']}](https://doi.org/{entry['doi']})")
    if "eprint" in entry:
        found.append(f"[arXiv:{entry['eprint']}](https://arxiv.org/abs/{entry['eprint']})")
    return ", ".join(found)


def page(entries: list[dict[str, str]]) -> str:
    """The whole page in Markdown."""
    parts = ["# References", NOTE]
    for entry in entries:
        title = plain(entry["title"])
        title = f"*{title}*" if title.endswith("?") else f"*{title}.*"
        parts.append(f"## {entry['ID']}")
        parts.append(f"{people(entry['author'])}. {title} {venue(entry)}. {links(entry)}")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else CHAPTERS / "references.md"
    target.write_text(page(read_entries(CHAPTERS / "references.bib")), encoding="utf-8")
