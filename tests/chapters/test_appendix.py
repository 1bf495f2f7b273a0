"""The appendix: its links lead to headings, its words have sections."""

import re

import pytest

from dlseg.data import PHOTOGRAPHS
from tests.chapters.tools import BOOK, NAMES, ROOT, notebook, prose

PAGES = [chapter.path for chapter in BOOK.chapters if chapter.path and not chapter.is_notebook]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_of(page) -> str:
    return prose(page.stem) if page.suffix == ".ipynb" else page.read_text(encoding="utf-8")


def anchors(page) -> set[str]:
    """The ids of a page's headings: blanks become hyphens, as JupyterLab makes them."""
    return {h.strip().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text_of(page), re.M)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page):
    for target in LINK.findall(text_of(page)):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        there = page.parent / file if file else page
        assert there.is_file(), target
        assert not anchor or anchor in anchors(there), target


def rows(page) -> list[list[str]]:
    """The cells of every row of the page's tables, headings and rules left out."""
    lines = [line for line in text_of(page).splitlines() if line.startswith("|")]
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
        if not line.startswith("|---") and not after.startswith("|---")
    ]


def test_every_row_of_the_appendix_names_its_section():
    listed = rows(ROOT / "chapters/A-appendix.md")
    assert len(listed) > 100
    for row in listed:
        assert LINK.fullmatch(row[-1][row[-1].index("]") :]), row
        assert all(row), row


def test_every_photograph_has_its_makers_name():
    text = (ROOT / "chapters/A-appendix.md").read_text(encoding="utf-8")
    for name, row in PHOTOGRAPHS.items():
        assert re.search(rf"^\| {name}: .*`{row.file}` \| {re.escape(row.credit)} \|", text, re.M)


def test_every_term_has_a_chinese_word_and_none_comes_twice():
    terms = [row for row in rows(ROOT / "chapters/A-appendix.md") if len(row) == 4]
    assert len(terms) > 60
    assert len({row[0] for row in terms}) == len(terms)
    latin = {"CRF as RNN"}  # known by its English name
    assert all(re.search(r"[\u4e00-\u9fff]", row[1]) or row[0] in latin for row in terms)


def plain(text: str) -> str:
    """Words in small letters with single blanks between them, without marks."""
    return " ".join(re.sub(r"[\W_]+", " ", text.lower()).split())


def forms(term: str) -> list[str]:
    """The words of a row, one between each two commas, without what is in brackets."""
    return [plain(part) for part in re.sub(r"\(.*?\)", "", term).split(",")]


LISTED = [row for row in rows(ROOT / "chapters/A-appendix.md") if len(row) == 4]
TEXT = " ".join(plain(prose(name)) for name in NAMES)


@pytest.mark.parametrize("term", [term for row in LISTED for term in forms(row[0])])
def test_every_term_is_named_in_a_chapter(term):
    stem = term.removesuffix("ting")  # overfit, overfitting
    assert f" {stem}" in TEXT, f"write {term!r} once where a chapter explains it"


def test_a_term_that_no_chapter_names_would_be_noticed():
    assert forms("void, ignore label (of VOC)") == ["void", "ignore label"]
    assert plain("**Fully connected**\nCRF-as-RNN") == "fully connected crf as rnn"
    assert " golden calf" not in TEXT


# What the book calls the units of a map, it does not call places, answers, positions or vectors.
OTHER_NAMES = re.compile(
    r"(?:\d x \d+|times \d+\$|\bof the|\bcoarse|\bold|\bshare of)"
    r" (?:places|answers|positions|vectors)\b"
)


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_of_a_map_has_one_name(name):
    pages = [" ".join(cell.source.split()) for cell in notebook(name).cells]
    assert [found for page in pages for found in OTHER_NAMES.findall(page)] == []


def test_another_name_of_a_unit_would_be_noticed():
    assert len(OTHER_NAMES.findall("3 x 3 places, $4 \\times 4$ answers; the old answers")) == 3
    assert not OTHER_NAMES.search("the answers of the network, in the old place")
