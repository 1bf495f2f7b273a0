"""The static site: what its pages link to, and that a fault in a chapter stops the build."""

import re
import shutil
import signal
import subprocess
import sys
from zipfile import ZipFile

import nbformat
import pytest

from dlseg.book import svg
from dlseg.book.explorer import Explorer
from dlseg.book.manifest import read_book
from dlseg.book.picture import from_figure, from_svg
from dlseg.book.site import (
    build,
    heading_anchor,
    index_page,
    page_links,
    publish,
    stage,
    stage_notebook,
    write_archive,
)
from dlseg.book.style import new_figure
from dlseg.checks import CommandError
from tests.processes import PATIENCE, started, stop, told, wait_until

ROOT = read_book().root
SUMMARY = "# Summary\n\n[Hello](00-hello.ipynb)\n\n# Part one\n\n- [One](01-one.ipynb)\n- [Two]()\n"
ONE = (
    "# 01. One\n\nBack to [the start](00-hello.ipynb#What-is-it?-A-test); $r = 2$.\n\n[Here](#one)"
)
HELLO = "# Hello\n\n## What is it? A test\n\nOn to [one](01-one.ipynb).\n\n## one"


def write_notebook(path, text: str) -> None:
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]), path)


@pytest.fixture
def make_book(tmp_path):
    """A book of two chapters with the project's own site settings."""

    def make(one: str = ONE, output: str = ""):
        for folder in ("site", "assets"):
            shutil.copytree(ROOT / folder, tmp_path / folder)
        shutil.rmtree(tmp_path / "site/pages")  # they speak of other chapters
        (tmp_path / "site/front.md").unlink()
        settings = '[book]\ntitle = "A & B"\nsrc = "chapters"\n[output.sphinx]\ntheme = "furo"\n'
        (tmp_path / "book.toml").write_text(settings + output)
        (tmp_path / "chapters").mkdir()
        write_notebook(tmp_path / "chapters/00-hello.ipynb", HELLO)
        write_notebook(tmp_path / "chapters/01-one.ipynb", one + "\n\n## one")
        (tmp_path / "chapters/SUMMARY.md").write_text(SUMMARY)
        return read_book(tmp_path)

    return make


def test_no_link_that_the_manifest_does_not_ask_for(make_book):
    book = make_book(output='edit-url-template = ""\n')
    assert page_links(book, book.find("01")) == {
        "download_url": "",
        "archive_url": "",
        "edit_url": "",
    }


def test_links_that_the_manifest_asks_for(make_book):
    book = make_book(
        output='edit-url-template = "https://example.org/edit/{path}"\ndownload-notebooks = true\n'
    )
    assert page_links(book, book.find("01")) == {
        "download_url": "01-one.ipynb",
        "archive_url": "01-one.zip",
        "edit_url": "https://example.org/edit/chapters/01-one.ipynb",
    }


def test_index_names_every_chapter_and_lists_the_written_ones(make_book):
    page = index_page(make_book())
    assert page.startswith("# A & B\n")
    assert "[One](01-one.ipynb)" in page and "Two" in page
    assert re.findall(r"^\d\d \w+ <.*>$", page, re.MULTILINE) == [
        "00 Hello <00-hello>",
        "01 One <01-one>",
    ]
    assert ":caption: Part one" in page


def test_anchor_is_the_heading_with_hyphens_for_blanks():
    assert heading_anchor("Exercise 2.1") == "Exercise-2.1"


def test_built_pages_have_links_and_notebooks_beside_them(make_book, tmp_path):
    pytest.importorskip("myst_nb")
    book = make_book(
        output='edit-url-template = "https://example.org/edit/{path}"\ndownload-notebooks = true\n'
    )
    html = tmp_path / "build/site/html"
    stale = old_page(html)
    assert build(book) == 0
    assert not stale.exists()
    target = re.search(r'href="00-hello.html#([^"]+)"', (html / "01-one.html").read_text())[1]
    assert f'id="{target}"' in (html / "00-hello.html").read_text(encoding="utf-8")
    page = (html / "01-one.html").read_text(encoding="utf-8")
    assert 'href="https://example.org/edit/chapters/01-one.ipynb"' in page
    assert re.search(r'<a href="01-one.ipynb" download', page)
    assert ZipFile(html / "01-one.zip").testzip() is None
    assert (html / "01-one.ipynb").read_bytes() == book.find("01").path.read_bytes()
    assert "CC BY 4.0" in page and ">MIT<" in page
    index = (html / "index.html").read_text(encoding="utf-8")
    assert "example.org" not in index, "the index page is made, not written: nothing to edit"


def test_a_file_in_the_way_is_told_at_once(make_book, tmp_path):
    (tmp_path / "pages").write_text("a file")
    with pytest.raises(CommandError, match="pages: a file is in the way; name a folder"):
        build(make_book(), tmp_path / "pages")


def test_no_link_is_offered_that_was_not_asked_for(make_book, tmp_path):
    pytest.importorskip("myst_nb")
    assert build(make_book(), str(tmp_path / "pages")) == 0
    page = (tmp_path / "pages/01-one.html").read_text(encoding="utf-8")
    assert "Propose a change" not in page and "Download this notebook" not in page


def draw(radius=4):
    return from_svg(svg.document(90, 40, [svg.dot(20, 20, radius)]), f"a dot of radius {radius}")


@pytest.fixture
def committed(publishing, tmp_path):
    """A notebook with an explorer, a drawing and a figure, and its files."""
    figures = [Explorer(draw, radius=[4, 5]), draw(6), from_figure(new_figure()[0], "no line")]
    (tmp_path / "frames").mkdir()
    cells = []
    for figure in figures:
        data, metadata = figure._repr_mimebundle_()
        output = nbformat.v4.new_output("execute_result", data, metadata=metadata)
        cells.append(nbformat.v4.new_code_cell("", outputs=[output]))
    for path in tmp_path.glob("01-one.*"):
        path.rename(tmp_path / "frames" / path.name)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "01-one.ipynb")
    return tmp_path / "01-one.ipynb"


def test_staged_pictures_have_alt_text_vectors_and_sliders(committed, tmp_path):
    before = committed.read_bytes()
    (tmp_path / "out").mkdir()
    stage_notebook(committed, tmp_path / "out")
    staged = nbformat.read(tmp_path / "out/01-one.ipynb", as_version=4)
    explorer, drawing, figure = [cell.outputs[0].data["text/html"] for cell in staged.cells]
    assert explorer.startswith('<div class="explorer" data-stops="[[&quot;radius&quot;, [4, 5]]]"')
    assert 'alt="a dot of radius 4"' in explorer and "<script" in explorer
    assert 'src="data:image/svg+xml;base64,' in drawing and 'alt="a dot of radius 6"' in drawing
    assert 'width="792" src="data:image/png;base64,' in figure and 'alt="no line"' in figure
    assert committed.read_bytes() == before


def test_a_chapter_leads_to_the_pages_that_speak_of_it(make_book, tmp_path):
    book = make_book()
    (tmp_path / "site/pages").mkdir()
    (tmp_path / "site/pages/play.md").write_text("# Play\n\nSee [one](01-one.ipynb#one).\n")
    stage(book, tmp_path / "source")
    one, hello = (
        nbformat.read(tmp_path / f"source/{name}.ipynb", as_version=4).cells[0].source
        for name in ("01-one", "00-hello")
    )
    assert one.endswith("\n**Try it** in this browser: [Play](play.md).")
    assert hello == HELLO
    assert "play" in (tmp_path / "source/index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_text("")])
def test_a_missing_or_other_file_stops_the_staging(committed, tmp_path, spoil):
    spoil(tmp_path / "frames/01-one.02.svg")
    (tmp_path / "out").mkdir()
    with pytest.raises(ValueError, match=r"01-one\.02\.svg"):
        stage_notebook(committed, tmp_path / "out")


def test_broken_links_fail_the_build_and_the_old_site_stays(make_book, tmp_path, capfd):
    pytest.importorskip("myst_nb")
    old = old_page(tmp_path / "build/site/html")
    broken = "[gone](00-hello.ipynb#Nowhere)", "[gone](02-two.ipynb)"
    assert build(make_book(one="# 01. One\n\n" + "\n\n".join(broken))) != 0
    warnings = capfd.readouterr().err
    assert warnings.count("WARNING") >= 2 and "Nowhere" in warnings and "02-two" in warnings
    assert [path.read_text() for path in old.parent.iterdir()] == ["old"]


def old_page(folder):
    """A page of a chapter that is gone."""
    folder.mkdir(parents=True)
    (folder / "09-gone.html").write_text("old")
    return folder / "09-gone.html"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_build_that_is_killed_leaves_the_old_site(make_book, tmp_path, number):
    pytest.importorskip("myst_nb")
    old = old_page(tmp_path / "build/site/html")
    make_book()
    # Where it is killed: Sphinx has read its settings, and would begin.
    settings = "import pathlib, time\npathlib.Path('started').touch()\ntime.sleep(60)\n"
    (tmp_path / "site/conf.py").write_text(settings)
    begun = [tmp_path / "site/started", tmp_path / "started"]
    with started(tmp_path, "site") as process:
        wait_until(lambda: any(path.exists() for path in begun), process)
        if number == signal.SIGTERM:
            assert stop(process, number) == 143
            assert told(tmp_path) == "dlseg: stopped\n"
        else:
            process.kill()
            process.wait()
    assert [path.read_text() for path in old.parent.iterdir()] == ["old"]


def test_the_new_pages_take_the_place_of_all_the_old_ones(tmp_path):
    old, pages = old_page(tmp_path / "site"), tmp_path / "pages"
    (pages / "_static").mkdir(parents=True)
    (pages / "_static/book.css").write_text("new")
    publish(pages, old.parent, whole=True)
    assert [path.name for path in old.parent.iterdir()] == ["_static"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pages", "site"]


def test_a_folder_of_the_users_keeps_what_is_his(tmp_path):
    mine, pages = old_page(tmp_path / "mine"), tmp_path / "pages"
    (pages / "_static").mkdir(parents=True)
    (pages / "_static/book.css").write_text("new")
    publish(pages, mine.parent, whole=False)
    assert mine.read_text() == "old"
    assert (mine.parent / "_static/book.css").read_text() == "new"


# What a chapter reads beside its cells: a test for each kind of file.
READS = {
    "01-what-is-semantic-segmentation": "json.loads((find_root() / FIRST).read_text())",
    "10-deeplab-v3": "released.labels('horse')",
    "11-deeplab-v3plus": "trained_long.summary('scenes'), trained_long.scene_picture(8, '2, 4, 6')",
    "16-your-own-pictures": "walk.backbone_weights(), walk.runs('one list')",
}


@pytest.mark.parametrize("name", READS)
def test_an_unpacked_chapter_finds_all_it_imports_and_reads(name, tmp_path):
    """Where dlseg is installed, and nothing else of the book."""
    book = read_book(ROOT)
    write_archive(book, book.find(name), tmp_path)
    with ZipFile(tmp_path / f"{name}.zip") as archive:
        archive.extractall(tmp_path)
    assert (tmp_path / f"{name}.zip").stat().st_size < 4_000_000
    chapters = tmp_path / name / "chapters"
    notebook = nbformat.read(chapters / f"{name}.ipynb", as_version=4)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    imports = [
        line for cell in cells[1:] for line in cell.splitlines() if line.startswith("from support")
    ]
    more = "import json, support\nfrom dlseg.book import find_root\n"
    more += "FIRST = 'assets/results/first_networks.json'\n"
    code = "\n".join([cells[0], *imports, more, READS[name], "print(support.__path__[0])"])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=chapters, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.stdout.startswith(str(chapters)), done.stderr
