"""book.toml and SUMMARY.md: what mdBook would refuse is refused, and the rest is read right."""

import pytest

from dlseg.book.manifest import ManifestError, chapter_table, find_root, read_book
from tests.chapters.tools import BOOK, ROOT

GOOD = '[book]\ntitle = "T"\nsrc = "chapters"\n'
SUMMARY = "# Summary\n\n[Start](00-start.ipynb)\n\n# Part\n\n- [One](01-one.ipynb)\n- [Two]()\n"


@pytest.fixture
def make_book(tmp_path):
    def make(toml: str = GOOD, summary: str | None = SUMMARY):
        (tmp_path / "book.toml").write_text(toml)
        (tmp_path / "chapters").mkdir(exist_ok=True)
        for name in ("00-start", "01-one"):
            (tmp_path / f"chapters/{name}.ipynb").write_text("{}")
        if summary is not None:
            (tmp_path / "chapters/SUMMARY.md").write_text(summary)
        return tmp_path

    return make


def test_chapters_parts_and_numbers(make_book):
    book = read_book(make_book())
    found = [(c.number, c.title, c.name, c.part) for c in book.chapters]
    assert found == [
        ("00", "Start", "00-start", ""),
        ("01", "One", "01-one", "Part"),
        ("02", "Two", "", "Part"),
    ]
    assert [chapter.name for chapter in book.notebooks] == ["00-start", "01-one"]


def test_settings_of_a_chapter(make_book):
    table = '[preprocessor.nbval.chapters.01-one]\nseconds = 7\nneeds = ["site"]\nquestion = "Q?"\n'
    chapter = read_book(make_book(GOOD + table)).find("01")
    assert (chapter.seconds, chapter.needs, chapter.question) == (7, ("site",), "Q?")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (GOOD + 'license = "MIT"\n', "book.license is unknown; there may be authors, desc"),
        (GOOD + "[chapters]\nx = 1\n", "chapters is unknown; there may be book, .*mdBook refuses"),
        (GOOD + "[build]\nbuilddir = 1\n", "build.builddir is unknown"),
        ("[book]\nsrc = 'chapters'\n", "book.toml: book lacks title"),
        ("x = 1\n", "book.toml: the content lacks book"),
        ("book = 1\n", "book must be a table of names and values, got 1"),
        (GOOD + "authors = 5\n", "book.authors must be a list, got 5"),
        (GOOD + "authors = [1979-05-27]\n", r"book.authors\[0\] must be a text .*type date"),
        ("[book]\ntitle = 1e3\n", "book.title must be a text of one line, got 1000.0"),
        ("[book]\ntitle = 'T'\nsrc = '../elsewhere'\n", "book.toml: ../elsewhere leads out of"),
        ("[book]\ntitle = 'T'\nsrc = '/tmp'\n", "book.toml: /tmp leads out of"),
        (
            GOOD + "[preprocessor.nbval]\nworkers = true\n",
            "nbval.workers must be an integer .* True",
        ),
        (GOOD + "[preprocessor.nbval]\nmegabytes = nan\n", "nbval.megabytes must be a finite"),
        (GOOD + "[output]\nsphinx = []\n", "output.sphinx must be a table"),
        (GOOD + "[preprocessor.nbval.chapters.01-one]\nseconds = '7'\n", "01-one.seconds must be"),
        (
            GOOD + "[preprocessor.nbval.chapters.01-one]\nneeds = 'x'\n",
            "01-one.needs must be a list",
        ),
        ("[book\n", "book.toml is no TOML: Expected"),
        ("x = " + "9" * 5000, "book.toml is no TOML: Exceeds the limit"),
        ("x = " + "[" * 20_000, "book.toml is no TOML: "),
        (GOOD + "[preprocessor.nbval.chapters.09-x]\nseconds = 1\n", r"settings for \['09-x'\]"),
    ],
)
def test_what_mdbook_refuses_is_refused(make_book, toml, message):
    with pytest.raises(ManifestError, match=message):
        read_book(make_book(toml))


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        ("- [One](1-one.ipynb)\n", "1-one.ipynb does not exist"),
        ("- [One](01-one.ipynb)\n- [Again](01-one.ipynb)\n", "01-one is there twice"),
        ("- [One](/etc/passwd)\n", "/etc/passwd leads out of .*chapters; keep the book"),
        ("- [One](../chapters/../book.toml)\n", "book.toml leads out of"),
        (f"- [One]({'a' * 5000})\n", "aaa does not exist"),
        ("- [One](a\0b)\n", "a\0b does not exist"),
        ("- [One]()\n" + "x" * 5000, r"line 2: expected .* got 'xxx"),
        ("- One\n", r"line 1: expected `- \[Title\]\(file\)`, got '- One'"),
        (None, "SUMMARY.md is missing"),
    ],
)
def test_a_summary_that_cannot_be_read(make_book, summary, message):
    with pytest.raises(ManifestError, match=message):
        read_book(make_book(summary=summary))


@pytest.mark.parametrize("name", ["book.toml", "chapters/SUMMARY.md"])
def test_files_that_are_not_utf_8_or_no_files(make_book, name):
    file = make_book() / name
    file.write_bytes(b"# caf\xe9\n")
    with pytest.raises(ManifestError, match=f"{name} is not UTF-8: .*; save it as UTF-8"):
        read_book(file.parents[name.count("/")])
    file.unlink()
    file.mkdir()
    with pytest.raises(ManifestError, match=f"{name} cannot be read"):
        read_book(file.parents[name.count("/")])


def test_find_by_number_name_or_path(make_book):
    book = read_book(make_book())
    for name in ("01", "01-one", "01-one.ipynb", "chapters/01-one.ipynb"):
        assert book.find(name).name == "01-one"
    with pytest.raises(ManifestError, match="no chapter is called '02'; there are: 00-start"):
        book.find("02")


def test_root_is_found_from_below(make_book):
    root = make_book()
    assert find_root(root / "chapters") == root
    assert find_root(ROOT / "tests") == ROOT


def test_the_books_own_settings_stand_where_mdbook_allows_them():
    for table in (BOOK.sphinx, BOOK.nbval):
        assert table["command"] and table["optional"] is True


@pytest.mark.parametrize(
    ("file", "folder"), [("README.md", "chapters/"), ("CONTENTS", "")], ids=["README", "contents"]
)
def test_tables_of_chapters_are_current(file, folder):
    from tests.chapters.tools import prose

    text = prose("00-contents") if file == "CONTENTS" else (ROOT / file).read_text("utf-8")
    assert chapter_table(BOOK, folder) in text
