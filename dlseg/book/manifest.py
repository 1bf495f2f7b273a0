"""The book's manifest: book.toml for the settings, chapters/SUMMARY.md for the list of chapters."""

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from dlseg.checks import CommandError
from dlseg.paths import printable
from dlseg.schema import Unfit, choice, integer, listing, number, record, switch, table, text


def _anything(_entry: str, value: object) -> object:
    return value


_CHAPTER = record(
    {}, {"seconds": integer(1, 10**5), "needs": listing(text(empty=False)), "question": text()}
)
_SPHINX = {"command": text(), "optional": switch, "theme": text(empty=False)}
_SPHINX |= {"edit-url-template": text(), "download-notebooks": switch}
_NBVAL = {"command": text(), "optional": switch, "renderers": listing(text())}
_NBVAL |= {"sanitize": text(empty=False), "workers": integer(1, 1000)}
_NBVAL |= {"ignored-share": number(0, 1), "megabytes": number(0)}
_NBVAL |= {"chapters": table(text(), _CHAPTER)}
_BOOK = {"authors": listing(text()), "description": text(), "src": text(empty=False)}
_BOOK |= {"language": text(empty=False), "text-direction": choice(("ltr", "rtl"))}
_BUILD = {"build-dir": text(), "create-missing": switch, "use-default-preprocessors": switch}
_BUILD |= {"extra-watch-dirs": listing(text())}
# What mdBook 0.5 accepts; it refuses any other key inside its own tables, and any other table.
_SETTINGS = record(
    {"book": record({"title": text(empty=False)}, _BOOK)},
    {
        "build": record({}, _BUILD),
        "rust": record({}, {"edition": text()}),
        "output": record({}, {"sphinx": record({}, _SPHINX)}, others=_anything),
        "preprocessor": record({}, {"nbval": record({}, _NBVAL)}, others=_anything),
    },
)
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
        raise ManifestError(f"no chapter is called '{printable(name)}'; there are: {known}")


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
    Raises: ManifestError if a file is missing, cannot be read, or holds what mdBook would refuse.
    """
    root = root or find_root()
    settings = _read_toml(root / "book.toml")
    book = settings["book"]
    nbval = settings.get("preprocessor", {}).get("nbval", {})
    folder = _inside(root, book.get("src", "src"), root / "book.toml")
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
    try:
        return _SETTINGS("", tomllib.loads(_read(file)))
    except Unfit as error:
        raise ManifestError(f"{file}: {error}; mdBook refuses other tables and keys") from error
    except (ValueError, RecursionError) as error:  # no TOML, or numbers and lists without end
        raise ManifestError(f"{file} is no TOML: {str(error)[:200]}; mend that line") from error


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ManifestError(f"{file} is missing") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{file} is not UTF-8: {error}; save it as UTF-8") from error
    except OSError as error:
        raise ManifestError(f"{file} cannot be read: {error}") from error


def read_summary(file: Path, settings: dict) -> list[Chapter]:
    """The chapters of a SUMMARY.md in mdBook's form; list items are numbered from 01.

    settings: per chapter name, the keys seconds, needs and question.
    Raises: ManifestError if a line is not understood, or a file or chapter name does not exist, is
    there twice, or leads out of the folder.
    """
    chapters, part, count = [], "", 0
    for place, raw in enumerate(_read(file).splitlines(), start=1):
        entry = ENTRY.match(raw)
        if raw.startswith("# "):
            part = raw[2:].strip()
        elif entry:
            count += bool(entry["item"])
            chapters.append(_chapter(entry, count, part, settings, file))
        elif raw.strip() not in ("", "---"):
            line = f"{file}, line {place}"
            raise ManifestError(f"{line}: expected `- [Title](file)`, got {raw[:100]!r}")
    names = [chapter.name for chapter in chapters if chapter.path]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ManifestError(f"{file}: {', '.join(twice)} is there twice; each name is one chapter")
    if unknown := set(settings) - {chapter.name for chapter in chapters}:
        raise ManifestError(f"book.toml has settings for {sorted(unknown)}, not in {file.name}")
    return chapters


def _chapter(entry: re.Match, count: int, part: str, settings: dict, file: Path) -> Chapter:
    path = _inside(file.parent, entry["path"], file) if entry["path"] else None
    if path and not os.path.isfile(path):
        raise ManifestError(f"{file}: {entry['path'][:200]} does not exist")
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


def _inside(folder: Path, name: str, file: Path) -> Path:
    """The path of that name in the folder; ManifestError, naming `file`, if it leads out."""
    path = folder / name
    if Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder)):
        return path
    raise ManifestError(f"{file}: {name} leads out of {folder}; keep the book in one folder")


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
