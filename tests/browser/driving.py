"""Hands and eyes for the browser tests: find explorers, move their controls, watch the picture."""

import shutil
from collections.abc import Callable

# Headless in a container: no sandbox to be had, no GPU, and no traffic of the browser's own.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# An explorer's slider: printed for a page without a kernel, or ipywidgets' live one.
PRINTED, LIVE = "input[type=range]", ".noUi-handle"
PICTURE = "img.dlseg-picture"
# A committed picture, as JupyterLab shows it before its cell is run.
STILL = ".jp-RenderedImage img"
FEW_SECONDS = 10_000

# Milliseconds from a key press to the first frame in which a cell shows another picture.
TIME_KEY = """(cell) => new Promise(done => {
  const source = () => cell.querySelector("img.dlseg-picture")?.src;
  const before = source();
  addEventListener("keydown", () => {
    const start = performance.now();
    const look = () => source() && source() !== before
      ? done(performance.now() - start)
      : performance.now() - start > 5000 ? done(null) : requestAnimationFrame(look);
    look();
  }, {capture: true, once: true});
})"""


def find_chromium() -> str | None:
    """The path of a Chromium or Chrome that is installed, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


def is_local(url: str, base: str) -> bool:
    """Whether a request stays on the server under test, or inside the page."""
    return url.startswith((base, "data:", "blob:"))


def look(explorer) -> tuple[str, str]:
    """The picture an explorer shows now: (its source, its alt text)."""
    picture = explorer.locator(PICTURE)
    return picture.get_attribute("src"), picture.get_attribute("alt")


def changes(explorer, act: Callable[[], None]) -> bool:
    """Whether picture and alt text are both others after `act`."""
    from playwright.sync_api import expect

    source, alt = look(explorer)
    act()
    picture = explorer.locator(PICTURE)
    try:
        expect(picture).not_to_have_attribute("src", source, timeout=FEW_SECONDS)
        expect(picture).not_to_have_attribute("alt", alt, timeout=FEW_SECONDS)
    except AssertionError:
        return False
    return picture.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")


def place(slider) -> tuple[float, float]:
    """Where a slider stands and where it ends: (value, maximum), counted from its start."""
    return slider.evaluate(
        """s => s.matches("input") ? [+s.value - s.min, s.max - s.min]
        : [s.ariaValueNow - s.ariaValueMin, s.ariaValueMax - s.ariaValueMin]"""
    )


def press(slider) -> str:
    """Press the arrow key that leads away from the nearer end; returns the key."""
    value, most = place(slider)
    key = "ArrowRight" if value < most else "ArrowLeft"
    slider.focus()
    slider.page.keyboard.press(key)
    return key


def drag(slider) -> None:
    """Drag by mouse, in small steps, to the end that is farther away."""
    value, most = place(slider)
    knob, track = slider.bounding_box(), _track(slider)
    begin = knob["x"] + knob["width"] / 2
    if knob == track:  # a range input: its box is the whole track, and the knob is inside
        begin = track["x"] + 8 + (track["width"] - 16) * value / most
    end = track["x"] + (track["width"] - 2 if value < most / 2 else 2)
    height = knob["y"] + knob["height"] / 2
    mouse = slider.page.mouse
    mouse.move(begin, height)
    mouse.down()
    mouse.move(end, height, steps=20)
    mouse.up()


def _track(slider) -> dict:
    if slider.evaluate("s => s.matches('input')"):
        return slider.bounding_box()
    return slider.locator("xpath=ancestor::*[contains(@class,'noUi-target')]").bounding_box()
