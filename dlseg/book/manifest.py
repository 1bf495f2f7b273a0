"""The book's manifest: book.toml for the settings, chapters/SUMMARY.md for the list of chapters."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from dlseg.checks import CommandError

# What mdBook 0.5 accepts; it refuses any other key inside its own tables.
TABLES = {"book", "build", "rust", "output", "preprocessor"}
KEYS = {
    "book": {"title", "authors", "description", "src", "language", "text-direction"},
    "build": {"build-dir", "create-missing", "use-default-preprocessors", "extra-watch-dirs"},
    "rust": {"edition"},
}
ENTRY = re.compile(r"^(?P<item>\s*[-*]\s+)?\[(?P<title>[^\]]+)\]\((?P<path>[^)]*)\)\s*$")


class ManifestError(CommandError):
    """book.toml or SUMMARY.md holds something unusable; the message names file and fix."""


@dataclass(frozen=True)
class Chapter:
    """One line of SUMMARY.md.

    number: two digits for a numbered chapter, "00" for the contents page, "" for other pages.
    path: the file inside the chapters folder; None for a chapter that is planned, not written.
    """

    number: str
    title: str
    path: Path | None
    part: str = ""
    seconds: int = 60
    needs: tuple[str, ...] = ()
    question: str = ""

    @property
    def name(self) -> str:
        """The file's name without suffix, "" for a planned chapter."""
        return self.path.stem if self.path else ""

    @property
    def slug(self) -> str:
        """The name of the chapter's folder in chapters/support: the file's without its number."""
        return self.name.partition("-")[2].replace("-", "_")

    @property
    def is_notebook(self) -> bool:
        return self.path is not None and self.path.suffix == ".ipynb"


@dataclass(frozen=True)
class Book:
    """The whole manifest. root: the folder that holds book.toml."""

    root: Path
    title: str
    authors: tuple[str, ...]
    description: str
    language: str
    chapters: tuple[Chapter, ...]
    sphinx: dict
    nbval: dict

    @property
    def notebooks(self) -> list[Chapter]:
        """The chapters that are written as notebooks, in reading order."""
        return [chapter for chapter in self.chapters if chapter.is_notebook]

    def find(self, name: str) -> Chapter:
        """The notebook called `02`, `02-atrous-convolution` or `chapters/02-...ipynb`.

        Raises: ManifestError that lists what there is.
        """
        wanted = Path(name).name.removesuffix(".ipynb")
        for chapter in self.notebooks:
            if wanted in (chapter.number, chapter.name):
                return chapter
        known = ", ".join(chapter.name for chapter in self.notebooks)
        raise ManifestError(f"no chapter is called {name!r}; there are: {known}")


def find_root(start: Path | None = None) -> Path:
    """The folder with book.toml: above `start` (or the current folder), else beside the package.

    Raises: ManifestError if there is none.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents, Path(__file__).parents[2]):
        if (folder / "book.toml").is_file():
            return folder
    raise ManifestError(
        f"no book.toml in {start} or above it: go to your copy of the book, or get one; "
        "the package alone has no chapters"
    )


def read_book(root: Path | None = None) -> Book:
    """Read and check book.toml and SUMMARY.md.

    root: the folder that holds them; found from the current folder if left out.
    Raises: ManifestError if a file is missing, or holds what mdBook would refuse.
    """
    root = root or find_root()
    settings = _read_toml(root / "book.toml")
    book = settings["book"]
    nbval = settings.get("preprocessor", {}).get("nbval", {})
    folder = root / book.get("src", "src")
    return Book(
        root=root,
        title=book["title"],
        authors=tuple(book.get("authors", ())),
        description=book.get("description", ""),
        language=book.get("language", "en"),
        chapters=tuple(read_summary(folder / "SUMMARY.md", nbval.get("chapters", {}))),
        sphinx=settings.get("output", {}).get("sphinx", {}),
        nbval=nbval,
    )


def _read_toml(file: Path) -> dict:
    if not file.is_file():
        raise ManifestError(f"{file} is missing")
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"{file}: {error}") from error
    if unknown := set(settings) - TABLES:
        raise ManifestError(f"{file}: mdBook refuses the table {sorted(unknown)}: use [output.*]")
    for table, keys in KEYS.items():
        if unknown := set(settings.get(table, {})) - keys:
            raise ManifestError(f"{file}: mdBook refuses {sorted(unknown)} in [{table}]")
    if "title" not in settings.get("book", {}):
        raise ManifestError(f"{file}: [book] needs a title")
    return settings


def read_summary(file: Path, settings: dict) -> list[Chapter]:
    """The chapters of a SUMMARY.md in mdBook's form; list items are numbered from 01.

    settings: per chapter name, the keys seconds, needs and question.
    Raises: ManifestError if a line is not understood, or a file or chapter name does not exist.
    """
    if not file.is_file():
        raise ManifestError(f"{file} is missing")
    chapters, part, count = [], "", 0
    for number, raw in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        entry = ENTRY.match(raw)
        if raw.startswith("# "):
            part = raw[2:].strip()
        elif entry:
            count += bool(entry["item"])
            chapters.append(_chapter(entry, count, part, settings, file))
        elif raw.strip() not in ("", "---"):
            raise ManifestError(f"{file}, line {number}: expected `- [Title](file)`, got {raw!r}")
    if unknown := set(settings) - {chapter.name for chapter in chapters}:
        raise ManifestError(f"book.toml has settings for {sorted(unknown)}, not in {file.name}")
    return chapters


def _chapter(entry: re.Match, count: int, part: str, settings: dict, file: Path) -> Chapter:
    path = file.parent / entry["path"] if entry["path"] else None
    if path and not path.is_file():
        raise ManifestError(f"{file}: {entry['path']} does not exist")
    own = settings.get(path.stem, {}) if path else {}
    number = f"{count:02d}" if entry["item"] else path.stem[:2] if path else ""
    return Chapter(
        number=number if number.isdigit() else "",
        title=entry["title"],
        path=path,
        part=part if entry["item"] else "",
        seconds=own.get("seconds", 60),
        needs=tuple(own.get("needs", ())),
        question=own.get("question", ""),
    )


def chapter_table(book: Book, folder: str = "") -> str:
    """The table of chapters in Markdown, for the README and the contents page.

    folder: what stands before a file's name in a link, such as "chapters/".
    """
    rows = ["| | chapter | the question it answers |", "|---|---|---|"]
    for chapter in book.chapters:
        if chapter.is_notebook:
            link = f"[{chapter.title}]({folder}{chapter.path.name})"
            rows.append(f"| {chapter.number} | {link} | {chapter.question} |")
        elif chapter.path is None:
            rows.append(f"| {chapter.number} | {chapter.title} | |")
    return "\n".join(rows)
