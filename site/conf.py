"""Sphinx's settings; what is said about the book itself comes from its manifest."""

import os
import re
import sys
from pathlib import Path

from dlseg.book.manifest import read_book
from dlseg.book.site import EXTRA, page_links
from dlseg.data import CLASSES, PALETTE

book = read_book(Path(os.environ["DLSEG_ROOT"]))
chapters = {chapter.name: chapter for chapter in book.notebooks}

project = html_title = book.title
author = ", ".join(book.authors)
language = book.language

# The MathJax that comes with this extension is served with the site: no page asks another host.
extensions = ["myst_nb", "sphinx-mathjax-offline"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_dmath_double_inline = True
myst_heading_anchors = 6
myst_heading_slug_func = "dlseg.book.site.heading_anchor"

# Chapters are published as they were executed and tested; staging adds the HTML of pictures.
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_mime_priority_overrides = [("html", "text/html", 1)]
nb_merge_streams = True

pygments_style, pygments_dark_style = "default", "github-dark"
html_theme = book.sphinx["theme"]
MADE = Path(os.environ["DLSEG_WORK"], "made")  # what is not in the repository as it is served
MADE.mkdir(exist_ok=True)
html_static_path = ["_static", str(MADE)]
html_css_files = ["book.css"]
html_js_files = [("explorer.js", {"defer": "defer"})]
html_favicon = "_static/favicon.svg"
templates_path = ["_templates"]
html_copy_source = False
html_show_sourcelink = False
html_use_index = False
html_show_copyright = False
html_context = {"authors": author}
html_extra_path = [str(Path(os.environ["DLSEG_WORK"], EXTRA))]  # notebooks to download


def _add_explainer(app, pagename, templatename, context, doctree):
    if pagename in ("index", "explainer"):
        app.add_js_file("explainer-page.js", loading_method="defer")
        app.add_css_file("explainer.css")


def _make_explainer(app):
    if not Path(app.srcdir, "explainer.md").is_file():
        return
    sys.path[:0] = [str(Path(__file__).parent), str(book.root / "chapters")]
    from explainer.join import script

    from support import small_networks

    names, numbers = small_networks.told("scenes")
    page = script(names, numbers, [f"#{bytes(one).hex()}" for one in PALETTE[: len(CLASSES)]])
    (MADE / "explainer-page.js").write_text(page, encoding="utf-8")


def _add_links(app, pagename, templatename, context, doctree):
    if pagename in chapters:
        context.update(page_links(book, chapters[pagename]))


def _trim_mathjax(app, exception):
    # The extension copies MathJax for every input and output; pages load this one and its parts.
    for bundle in Path(app.outdir, "_static/mathjax").glob("*.js"):
        if bundle.name != "tex-chtml.js":
            bundle.unlink()


# What the theme and the parser leave out for those who listen to a page.
MENDED = {
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="Chapters">',
    '<aside class="toc-drawer': '<aside aria-label="On this page" class="toc-drawer',
    '<div id="search-results">': '<h1>Search</h1><div id="search-results">',
}


def _mend(app, exception):
    for page in Path(app.outdir).glob("*.html"):
        text = page.read_text(encoding="utf-8")
        for before, after in MENDED.items():
            text = text.replace(before, after)
        text = re.sub(r'<th class="head">(\s|<p>|</p>)*</th>', '<td class="head"></td>', text)
        page.write_text(text, encoding="utf-8")


def setup(app):
    """Give each chapter's template the links of its own notebook; keep the site small."""
    app.connect("builder-inited", _make_explainer)
    app.connect("html-page-context", _add_links)
    app.connect("html-page-context", _add_explainer)
    app.connect("build-finished", _trim_mathjax, priority=900)  # after the extension's copying
    app.connect("build-finished", _mend)
