"""The static site: chapters, references and an index page, staged and given to Sphinx."""

import ast
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import nbformat

from dlseg.aside import new_file, new_folder
from dlseg.book.child import run_child
from dlseg.book.compare import Shown, kept, shown
from dlseg.book.execute import FRAMES_FOLDER
from dlseg.book.frames import Frames, framed
from dlseg.book.manifest import Book, Chapter, chapter_table
from dlseg.book.picture import PNG, Picture
from dlseg.book.raster import DENSITY
from dlseg.paths import make_folder

DATE = (2026, 1, 1, 0, 0, 0)
EXTRA = "extra"  # the folder of what pages offer for download
PICTURE = "atrous.svg"
ALT = (
    "Animation: nine taps, two pixels apart, move over a grid of 9 by 9 pixels; "
    "each stop writes one pixel of the 5 by 5 output."
)
TOCTREE = """```{{toctree}}
:hidden:
:caption: {caption}

{names}
```"""


def heading_anchor(title: str) -> str:
    """The anchor of a heading as JupyterLab names it, so that one link works in both places."""
    return title.replace(" ", "-")


def page_links(book: Book, chapter: Chapter) -> dict[str, str]:
    """Where a chapter's page lets its notebook be downloaded and edited.

    Returns: download_url, archive_url and edit_url; empty where book.toml does not ask for it.
    """
    template = book.sphinx.get("edit-url-template", "")
    path = chapter.path.relative_to(book.root).as_posix()
    return {
        "download_url": chapter.path.name if book.sphinx.get("download-notebooks") else "",
        "archive_url": f"{chapter.name}.zip" if book.sphinx.get("download-notebooks") else "",
        "edit_url": template.replace("{path}", path),
    }


def index_page(book: Book) -> str:
    """The first page, in MyST Markdown: title, purpose, picture, chapters and their questions.

    What site/front.md says stands in the place of purpose and picture.
    """
    front = book.root / "site/front.md"
    parts = [f"# {book.title}", book.description, f"![{ALT}]({PICTURE})"]
    if front.is_file():
        parts[1:] = [front.read_text(encoding="utf-8")]
    parts += [chapter_table(book)]
    if not all(chapter.path for chapter in book.chapters):
        parts += ["Chapters without a link are in preparation."]
    if more := [page.stem for page in pages(book)]:
        parts.append(TOCTREE.format(caption="Try", names="\n".join(more)))
    written = [chapter for chapter in book.chapters if chapter.path]
    unnamed = "Start here"
    for part, chapters in groupby(written, key=lambda chapter: chapter.part):
        parts.append(TOCTREE.format(caption=part or unnamed, names=_names(chapters)))
        unnamed = "Appendix"
    return "\n\n".join(parts)


def pages(book: Book) -> list[Path]:
    """What the site has beside the chapters: the Markdown of site/pages."""
    return sorted((book.root / "site/pages").glob("*.md"))


def _names(chapters: Iterable[Chapter]) -> str:
    return "\n".join(f"{c.number} {c.title} <{c.name}>".strip() for c in chapters)


def stage(book: Book, folder: Path) -> None:
    """Fill a new folder with what Sphinx reads."""
    folder.mkdir()
    for chapter in book.chapters:
        if chapter.is_notebook:
            told = [
                page for page in pages(book) if f"]({chapter.path.name}" in page.read_text("utf-8")
            ]
            stage_notebook(chapter.path, folder, told)
        elif chapter.path:
            shutil.copy(chapter.path, folder)
    for page in pages(book):
        shutil.copy(page, folder)
    shutil.copy(book.root / "assets" / PICTURE, folder)
    (folder / "index.md").write_text(index_page(book), encoding="utf-8")


def stage_notebook(path: Path, folder: Path, told: Iterable[Path] = ()) -> None:
    """Copy a notebook; its pictures become HTML: with alt text, as vectors, explorers alive.

    told: pages of the site that speak of it, to which its first cell then leads.
    Raises: ValueError if a file beside the notebook is missing or another one.
    """
    notebook = nbformat.read(path, as_version=4)
    for page in told:
        title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        notebook.cells[0].source += f"\n**Try it** in this browser: [{title}]({page.name})."
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for picture in shown([output]):
                output.data["text/html"] = picture_html(picture, path.parent / FRAMES_FOLDER)
    nbformat.write(notebook, folder / path.name)


def picture_html(picture: Shown, folder: Path) -> str:
    """A committed picture for a page: from the file beside its notebook, where it has one.

    folder: where such files lie.
    """
    if "file" in picture.about:
        found = kept(picture, folder)
        return found.html() if isinstance(found, Frames) else framed(found)
    return framed(Picture(picture.png, PNG, picture.about["alt"], DENSITY))


def used_modules(notebook: Path) -> list[Path]:
    """The modules of chapters/support that a notebook imports, and those that these import."""
    found: dict[Path, None] = {}
    todo = [_code(notebook)]
    while todo:
        for name in _imported(todo.pop()):
            path = notebook.parent / f"{name.replace('.', '/')}.py"
            if path.is_file() and path not in found:
                found[path] = None
                todo.append(path.read_text(encoding="utf-8"))
    return list(found)


def _code(notebook: Path) -> str:
    cells = nbformat.read(notebook, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


def _imported(code: str) -> Iterator[str]:
    """Names of modules that may be imported: of `from a import b` both a and a.b."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def write_archive(book: Book, chapter: Chapter, folder: Path) -> None:
    """A zip in `folder` of all that a chapter needs where dlseg is installed.

    It holds the notebook with its frames, the modules of chapters/support that it imports, the
    results that these read, the tables, and book.toml, by which they are found.
    """
    source, results = chapter.path.parent, book.root / "assets/results"
    modules = used_modules(chapter.path)
    code = [_code(chapter.path), *(path.read_text(encoding="utf-8") for path in modules)]
    read = {found for text in code for found in re.findall(r"assets/results/([\w.]+)", text)}
    files = [book.root / "book.toml", chapter.path, *modules]
    files += (source / FRAMES_FOLDER).glob(f"{chapter.name}.*")
    files += (book.root / "assets").glob("*.toml")
    files += [
        path
        for path in results.rglob("*")
        if path.is_file() and path.relative_to(results).parts[0] in read
    ]
    with ZipFile(folder / f"{chapter.name}.zip", "w", ZIP_DEFLATED) as archive:
        for file in sorted(files):
            inside = f"{chapter.name}/{file.relative_to(book.root).as_posix()}"
            # A fixed date: the same files make the same zip.
            archive.writestr(ZipInfo(inside, DATE), file.read_bytes(), ZIP_DEFLATED)


def build(book: Book, out: str | Path | None = None) -> int:
    """Build the site; warnings are errors. What was there stays until the new site is whole.

    out: the folder of the pages, by default build/site/html. A folder of the user's keeps what
    else lies in it.
    Returns: Sphinx's exit code. Raises CommandError where `out` cannot be written.
    """
    target = Path(out).resolve() if out else book.root / "build/site/html"
    if out:
        make_folder(target)  # what is in its way is told now, not in some minutes
    with tempfile.TemporaryDirectory(prefix="dlseg-site-") as folder:
        work = Path(folder)
        stage(book, work / "source")
        stage_extra(book, work / EXTRA)
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going"]
        command += ["-c", str(book.root / "site"), "-d", str(work / "doctrees")]
        command += [str(work / "source"), str(work / "html")]
        code = run_child(command, book.root, {"DLSEG_ROOT": str(book.root), "DLSEG_WORK": folder})
        if code == 0:
            publish(work / "html", target, whole=out is None)
            print(f"site: {target / 'index.html'}")
    return code


def stage_extra(book: Book, folder: Path) -> None:
    """Fill a new folder with what pages offer for download."""
    folder.mkdir()
    if book.sphinx.get("download-notebooks"):
        for chapter in book.notebooks:
            shutil.copy(chapter.path, folder)
            write_archive(book, chapter, folder)


def publish(pages: Path, target: Path, whole: bool) -> None:
    """Bring pages to where they are read.

    whole: the folder `target` is the site's own: it is replaced at once, and a page whose chapter
    is gone goes. Otherwise file by file, and what else lies there stays.
    """
    if whole:
        with new_folder(target, replace=True) as fresh:
            shutil.copytree(pages, fresh, dirs_exist_ok=True)
    else:
        shutil.copytree(pages, target, dirs_exist_ok=True, copy_function=_copy_aside)


def _copy_aside(source: str, target: str) -> None:
    with new_file(target) as file:
        file.write(Path(source).read_bytes())
