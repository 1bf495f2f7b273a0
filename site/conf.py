"""Sphinx's settings; what is said about the book itself comes from its manifest."""

import os
from pathlib import Path

from dlseg.book.manifest import read_book
from dlseg.book.site import EXTRA, page_links

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
html_static_path = ["_static"]
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


def _add_links(app, pagename, templatename, context, doctree):
    if pagename in chapters:
        context.update(page_links(book, chapters[pagename]))


def _trim_mathjax(app, exception):
    # The extension copies MathJax for every input and output; pages load this one and its parts.
    for bundle in Path(app.outdir, "_static/mathjax").glob("*.js"):
        if bundle.name != "tex-chtml.js":
            bundle.unlink()


def setup(app):
    """Give each chapter's template the links of its own notebook; keep the site small."""
    app.connect("html-page-context", _add_links)
    app.connect("build-finished", _trim_mathjax, priority=900)  # after the extension's copying
