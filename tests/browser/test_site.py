"""The built site in a real browser that may ask no other host."""

import nbformat
import pytest

from dlseg.book.manifest import read_book
from dlseg.book.site import pages
from tests.browser.driving import PICTURE, PRINTED, changes, drag, press
from tests.sampling import sampled

pytestmark = pytest.mark.browser

BOOK = read_book()
CHAPTERS = [chapter.name for chapter in BOOK.notebooks]
PAGES = ["index", "search", *[chapter.name for chapter in BOOK.chapters if chapter.path]]
# An error in a formula is an mjx-merror; a macro that MathJax does not know is typeset in red.
UNTYPESET = """() => MathJax.startup.promise.then(() => [...document.querySelectorAll(".math")]
  .filter(formula => !formula.querySelector("mjx-container")
    || formula.querySelector("mjx-merror, mjx-mtext[style*='red']"))
  .map(formula => formula.textContent))"""
FONTS = "() => [...document.fonts].some(f => f.family.includes('MJX') && f.status === 'loaded')"
LOADED = "() => window.MathJax?.startup?.promise"
BACKGROUND = "() => getComputedStyle(document.body).backgroundColor"


@pytest.mark.parametrize("name", PAGES)
def test_page_needs_nothing_from_outside(visit, name):
    page = visit.open(f"{name}.html")
    assert visit.problems == []
    alts = page.locator("img").evaluate_all("images => images.map(image => image.alt.trim())")
    assert all(alts)
    assert "CC BY 4.0" in page.locator("footer").inner_text()


@pytest.mark.parametrize("name", CHAPTERS)
def test_formulas_are_typeset(visit, name):
    page = visit.open(f"{name}.html")
    if page.locator(".math").count():
        page.wait_for_function(LOADED)  # it comes after the page
        assert page.evaluate(UNTYPESET) == []
        assert page.evaluate(FONTS)


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_slider_moves_its_picture(visit, name):
    move_every_slider(visit.open(f"{name}.html"))
    assert visit.problems == []


def move_every_slider(page) -> None:
    for explorer in page.locator(".explorer").all():
        sliders = explorer.locator(f"{PRINTED}, select")
        sliders.first.wait_for()
        assert explorer.locator(PICTURE).count() == 1
        for slider in explorer.locator(PRINTED).all():
            slider.scroll_into_view_if_needed()
            assert changes(explorer, lambda slider=slider: press(slider)), "arrow key"
            assert changes(explorer, lambda slider=slider: drag(slider)), "mouse"


@pytest.mark.parametrize("name", sampled(CHAPTERS, 4))
def test_sliders_move_on_a_page_opened_as_a_file(chromium, site_folder, name):
    page = chromium.new_page()
    page.goto((site_folder / f"{name}.html").as_uri())
    move_every_slider(page)
    page.close()


def test_choice_by_dropdown_moves_the_picture(visit):
    for name in CHAPTERS:
        page = visit.open(f"{name}.html")
        for explorer in page.locator(".explorer", has=page.locator("select")).all():
            select = explorer.locator("select").first
            other = 1 if select.evaluate("s => s.selectedIndex") == 0 else 0
            assert changes(explorer, lambda s=select, o=other: s.select_option(index=o))


def test_search_finds_a_word(visit):
    page = visit.open("search.html?q=receptive")
    page.locator("#search-results li a").first.wait_for()
    found = page.locator("#search-results li a").evaluate_all("links => links.map(a => a.href)")
    assert any("receptive-fields.html" in link for link in found)
    assert visit.problems == []


def test_theme_button_changes_the_background(visit):
    page = visit.open(f"{CHAPTERS[0]}.html")
    seen = {page.evaluate(BACKGROUND)}
    for _ in range(2):
        page.locator("button.theme-toggle:visible").click()
        seen.add(page.evaluate(BACKGROUND))
    assert len(seen) == 2


def test_pages_lead_on_and_back(visit):
    page, way = visit.open("index.html"), [*(one.stem for one in pages(BOOK)), *CHAPTERS]
    for name in way:
        page.locator("a.next-page").click()
        page.wait_for_url(f"**/{name}.html")
    for name in way[-2::-1]:
        page.locator("a.prev-page").click()
        page.wait_for_url(f"**/{name}.html")


@pytest.mark.parametrize("chapter", BOOK.notebooks, ids=CHAPTERS)
def test_notebook_can_be_downloaded(visit, chapter, tmp_path):
    page = visit.open(f"{chapter.name}.html")
    with page.expect_download() as download:
        page.get_by_text("Download this notebook").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert file.name == chapter.path.name
    nbformat.validate(nbformat.read(file, as_version=4))


@pytest.mark.parametrize("name", PAGES)
def test_internal_links_lead_to_what_they_name(visit, site_folder, name):
    page = visit.open(f"{name}.html")
    links = page.locator("article a[href]").evaluate_all("links => links.map(a => a.href)")
    for link in {link for link in links if link.startswith(visit.base)}:
        address, _, fragment = link.removeprefix(visit.base + "/").partition("#")
        file = site_folder / address.partition("?")[0]
        assert file.is_file(), link
        if fragment and file.suffix == ".html":
            assert f'id="{fragment}"' in file.read_text(encoding="utf-8"), link
