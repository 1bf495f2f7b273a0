"""The book's commands: read, list, run, test, site."""

# JupyterLab, nbclient, nbval and Sphinx belong to extras, and PyTorch is slow to load: they are
# imported where they are used, so that `dlseg list` works at once and everywhere.

import argparse
import json
import os
import shlex
import socket
import sys
import tempfile
from pathlib import Path

from dlseg.book.child import run_child
from dlseg.book.manifest import Book, Chapter, chapter_table, read_book
from dlseg.checks import DEVICES, CommandError, need
from dlseg.paths import path_argument

# As `dlseg.commands.main.LIBRARY`.
BOOK = {
    "read": (__name__, "open JupyterLab on loopback, at the contents page or at one chapter"),
    "list": (__name__, "print the chapters, for a terminal or as the README's table"),
    "run": (__name__, "execute chapters in place, as they are committed"),
    "test": (__name__, "execute chapters under nbval, every text output compared"),
    "site": (__name__, "build the static site"),
}


CONFIG_PATH = "JUPYTER_CONFIG_PATH"
LAB_DEFAULTS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}
}


def add(parser: argparse.ArgumentParser, name: str) -> None:
    """Give the parser the arguments of the command of that name."""
    functions = {"read": read, "list": list_chapters, "run": run, "test": test, "site": site}
    parser.set_defaults(function=functions[name])
    if name == "read":
        parser.add_argument("chapter", nargs="?", default="00", help="default: the contents")
        parser.add_argument("--port", type=int, default=8888)
        parser.add_argument("--no-browser", action="store_true")
    elif name == "list":
        parser.add_argument("--markdown", action="store_true", help="as the README's table")
    elif name == "site":
        parser.add_argument(
            "--out", type=path_argument, help="folder of the pages; default: build/site/html"
        )
    else:
        parser.add_argument("chapters", nargs="*", help="02 or its name; default: all")
        parser.add_argument("--device", choices=DEVICES)
        text = "let a cell take N times its chapter's budget (book.toml); default: 10"
        parser.add_argument("--patience", type=float, metavar="N", help=text)


def read(arguments: argparse.Namespace) -> int:
    """Start JupyterLab and wait for its end; returns its exit code."""
    book = read_book()
    need("jupyterlab", "read")
    chapter = book.find(arguments.chapter)
    _check_port(arguments.port)
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.port={arguments.port}", "--ServerApp.port_retries=0"]
    command += [f"--ServerApp.root_dir={book.root}"]
    command += [f"--LabApp.default_url=/lab/tree/chapters/{chapter.path.name}"]
    # Lab would look for news and newer versions on the network.
    command += ["--LabApp.news_url=None"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    if arguments.no_browser:
        command.append("--no-browser")
    # Containers run as root, and Jupyter asks to be told that this is meant.
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    with tempfile.TemporaryDirectory() as folder:
        return run_child(command, book.root, {CONFIG_PATH: _defaults(Path(folder))})


def _defaults(folder: Path) -> str:
    """Write other defaults for JupyterLab: it need not ask whether to fetch news.

    The user's own settings come first, and are not touched.
    Returns: where Jupyter looks for configuration, `folder` and what was there before.
    """
    file = folder / "labconfig/default_setting_overrides.json"
    file.parent.mkdir()
    file.write_text(json.dumps(LAB_DEFAULTS), encoding="utf-8")
    return os.pathsep.join(filter(None, [str(folder), os.environ.get(CONFIG_PATH)]))


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(f"port {port} is in use: choose another with --port") from error
        except OverflowError as error:
            raise CommandError(f"--port must be between 1 and 65535, got {port}") from error


def list_chapters(arguments: argparse.Namespace) -> int:
    """Print the chapters."""
    book = read_book()
    if arguments.markdown:
        print(chapter_table(book, "chapters/"))
        return 0
    for chapter in book.chapters:
        state = f"{chapter.seconds} s" if chapter.is_notebook else ""
        print(f"{chapter.number:2}  {chapter.title:34} {chapter.name or '(planned)':28} {state}")
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Execute chapters in place and print how long each took."""
    book = read_book()
    need("nbclient", "read")
    need("resvg_py", "test")
    from nbclient.exceptions import CellExecutionError

    from dlseg.book.execute import run_chapter

    chapters = _chosen(arguments, book)
    for index, chapter in enumerate(chapters):
        try:
            seconds = run_chapter(chapter)
        except CellExecutionError as error:
            raise CommandError(f"{chapter.name} failed, file unchanged:\n{error}") from error
        except KeyboardInterrupt as error:
            rest = shlex.join(chapter.number or chapter.name for chapter in chapters[index:])
            error.add_note(f"{chapter.name} is unchanged; go on with: dlseg run {rest}")
            raise
        over = "" if seconds <= chapter.seconds else f": OVER ITS BUDGET of {chapter.seconds} s"
        print(f"{chapter.name}: {seconds:.1f} s{over}", flush=True)
    return 0


def test(arguments: argparse.Namespace) -> int:
    """Execute chapters under nbval; returns pytest's exit code."""
    book = read_book()
    need("nbval", "test")
    from dlseg.book.execute import run_tests

    return run_tests(book, _chosen(arguments, book))


def _chosen(arguments: argparse.Namespace, book: Book) -> list[Chapter]:
    """The chapters that are named, or all; sets the device and the patience that are named."""
    chapters = [book.find(name) for name in arguments.chapters] or book.notebooks
    from dlseg.book.execute import PATIENCE, patience
    from dlseg.device import use_device

    use_device(arguments.device)
    if arguments.patience is not None:
        os.environ[PATIENCE] = str(arguments.patience)
    patience()
    return chapters


def site(arguments: argparse.Namespace) -> int:
    """Build the static site; returns Sphinx's exit code."""
    book = read_book()
    need("sphinx", "site")
    need("myst_nb", "site")
    from dlseg.book.site import build

    return build(book, arguments.out)
