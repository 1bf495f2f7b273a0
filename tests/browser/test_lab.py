"""Chapters in real JupyterLab, as a reader meets them: not run, trusted or not, and run."""

from statistics import median

import pytest

from dlseg.book.manifest import read_book
from tests.browser.driving import (
    LIVE,
    PICTURE,
    PRINTED,
    STILL,
    TIME_KEY,
    changes,
    drag,
    is_local,
    press,
)
from tests.processes import reading, token_of

pytestmark = pytest.mark.browser

CHAPTERS = ("02", "03")
PRESSES = 12
STARTED = """() => {
  const panel = window.jupyterapp?.shell.currentWidget;
  const kernel = panel?.sessionContext?.session?.kernel;
  return panel?.context?.isReady && kernel?.status === "idle";
}"""
RUN = "() => window.jupyterapp.commands.execute('notebook:run-all-cells')"
DONE = """() => {
  const panel = window.jupyterapp.shell.currentWidget;
  const codes = panel.content.widgets.map(cell => cell.model).filter(m => m.type === "code");
  return panel.sessionContext.session.kernel.status === "idle"
    && codes.every(m => m.executionState === "idle");
}"""
FAILED = """() => window.jupyterapp.shell.currentWidget.content.widgets
  .filter(cell => cell.model.type === "code")
  .flatMap(cell => cell.model.outputs.toJSON())
  .filter(output => output.output_type === "error")
  .map(output => output.ename + ": " + output.evalue)"""
COUNTS = """() => window.jupyterapp.shell.currentWidget.content.widgets
  .filter(cell => cell.model.type === "code").map(cell => cell.model.executionCount)"""


@pytest.fixture(params=CHAPTERS)
def chapter(request):
    """A chapter, and the promise that the test leaves its file as it was."""
    chapter = read_book().find(request.param)
    before = chapter.path.read_bytes()
    yield chapter
    assert chapter.path.read_bytes() == before


@pytest.fixture
def tab(chromium, lab):
    """A fresh tab in which Lab has not been opened yet; its kernel ends with it."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1400})
    page = context.new_page()
    yield page
    page.evaluate("() => window.jupyterapp?.shell.currentWidget?.sessionContext?.shutdown()")
    context.close()


def open_chapter(tab, lab, chapter) -> None:
    tab.goto(lab.address(chapter), wait_until="domcontentloaded")
    tab.wait_for_function(STARTED, timeout=90_000)
    tab.locator(".jp-Notebook .jp-Cell").first.wait_for()


def cells_with(tab, what: str) -> list:
    """Every cell whose output holds `what`; explorers lie in one cell each."""
    found = tab.locator(".jp-Notebook .jp-CodeCell").filter(has=tab.locator(what))
    found.first.wait_for(state="attached", timeout=20_000)
    return found.all()


@pytest.mark.parametrize("trusted", [False, True])
def test_a_chapter_that_is_not_run_shows_its_pictures(tab, lab, chapter, trusted):
    lab.trust(chapter, trusted)
    open_chapter(tab, lab, chapter)
    for cell in cells_with(tab, STILL):
        picture = cell.locator(STILL)
        picture.scroll_into_view_if_needed()
        assert picture.is_visible()
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        assert cell.locator(f"{PRINTED}, .explorer").count() == 0


def test_run_all_has_no_failed_cell_and_every_live_slider_moves(tab, lab, chapter, capsys):
    open_chapter(tab, lab, chapter)
    tab.evaluate(RUN)
    tab.wait_for_function(DONE, timeout=2000 * chapter.seconds)
    assert tab.evaluate(FAILED) == []
    counts = tab.evaluate(COUNTS)
    assert counts == list(range(1, len(counts) + 1))
    times = []
    for cell in cells_with(tab, LIVE):
        for slider in cell.locator(LIVE).all():
            slider.scroll_into_view_if_needed()
            if not cell.locator(PICTURE).count():  # a guess, which changes no picture
                press(slider)
                cell.get_by_text("Your guess is noted").wait_for()
                continue
            assert changes(cell, lambda slider=slider: press(slider)), "arrow key"
            assert changes(cell, lambda slider=slider: drag(slider)), "mouse"
            times += time_keys(cell, slider)
    with capsys.disabled():
        print(f"\n{chapter.name}: key to picture {median(times):.0f} ms, {len(times)} presses")


def test_the_book_s_lab_asks_nobody_whether_to_fetch_news(chromium, tmp_path):
    """The real command; its server and its settings are the test's own."""
    with reading(tmp_path) as (_, url):
        context = chromium.new_context(viewport={"width": 1280, "height": 1000})
        page, outside = context.new_page(), []
        page.on("request", lambda one: is_local(one.url, url) or outside.append(one.url))
        page.goto(f"{url}/lab/tree/chapters/00-contents.ipynb?token={token_of(tmp_path)}")
        page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=90_000)
        page.wait_for_timeout(4000)  # Lab asks once it has settled
        assert page.get_by_text("news").count() == 0
        assert outside == []
        context.close()


def time_keys(cell, slider) -> list[float]:
    """Milliseconds from key to picture, for a few presses that changed it."""
    times = []
    for _ in range(PRESSES):
        timer = cell.element_handle()
        cell.page.evaluate("(cell) => {window.timing = (" + TIME_KEY + ")(cell)}", timer)
        press(slider)
        times.append(cell.page.evaluate("() => window.timing"))
    return [time for time in times if time is not None]
