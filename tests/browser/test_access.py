"""Every page for everybody: axe finds nothing, in light and dark, and words stay readable."""

import pytest

from tests.browser.test_site import CHAPTERS, PAGES
from tests.sampling import sampled

pytestmark = pytest.mark.browser

SCHEMES = ("light", "dark")
CASES = [(name, scheme) for name in [*PAGES, "explainer"] for scheme in SCHEMES]
OFTEN = [case for case in CASES if case[0] in ("index", "explainer", "02-atrous-convolution")]
SMALLEST = 11  # pixels on the screen, of any word in a picture
# The smallest words of an explorer's drawing, in pixels of the screen.
WORDS = """() => [...document.querySelectorAll(".explorer .picture-frame img")].map(image => {
  const drawing = decodeURIComponent(image.src).match(/font-size="([\\d.]+)"/g) || [];
  const sizes = drawing.map(words => parseFloat(words.slice(11)));
  return [image.getBoundingClientRect().width / image.naturalWidth, Math.min(...sizes)];
})"""


@pytest.mark.parametrize(("name", "scheme"), sampled(CASES, OFTEN))
def test_axe_finds_nothing(chromium, site, name, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")
    page = chromium.new_page(viewport={"width": 1366, "height": 900}, color_scheme=scheme)
    page.goto(f"{site}/{name}.html")
    found = axe.Axe().run(page).response["violations"]
    page.close()
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


@pytest.mark.parametrize("name", [*CHAPTERS, "index", "explainer"])
def test_words_of_explorers_are_readable_on_a_phone(chromium, site, name):
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{site}/{name}.html")
    if page.locator(".explorer").count():
        page.locator(".explorer input, .explorer select").first.wait_for()
    shown = page.evaluate(WORDS)
    assert all(scale * size >= SMALLEST for scale, size in shown if size < 1e6), shown
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    page.close()
