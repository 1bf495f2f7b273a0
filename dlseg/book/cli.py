"""The book's commands: read, list, run, test, site."""

import argparse
import os
import socket
import subprocess
import sys
from collections.abc import Sequence

from dlseg.book.manifest import Book, Chapter, chapter_table, read_book
from dlseg.checks import CommandError, need


def _chosen(book: Book, names: Sequence[str]) -> list[Chapter]:
    return [book.find(name) for name in names] or book.notebooks


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(f"port {port} is in use: choose another with --port") from error
        except OverflowError as error:
            raise CommandError(f"--port must be between 1 and 65535, got {port}") from error


def read(arguments: argparse.Namespace) -> int:
    """Open JupyterLab on loopback, at the contents page or at one chapter."""
    need("jupyterlab", "read")
    book = read_book()
    chapter = book.find(arguments.chapter)
    _check_port(arguments.port)
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.port={arguments.port}", "--ServerApp.port_retries=0"]
    command += [f"--ServerApp.root_dir={book.root}"]
    command += [f"--LabApp.default_url=/lab/tree/chapters/{chapter.path.name}"]
    # Lab would look for news and newer versions on the network.
    command += ["--LabApp.news_url=None"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command += ["--no-browser"] if arguments.no_browser else []
    # Containers run as root, and Jupyter asks to be told that this is meant.
    command += ["--allow-root"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    return subprocess.run(command, cwd=book.root).returncode


def _use_device(name: str | None) -> None:
    from dlseg.device import use_device  # it imports torch

    use_device(name)


def list_chapters(arguments: argparse.Namespace) -> int:
    """Print the chapters, for a terminal or as the README's table."""
    book = read_book()
    if arguments.markdown:
        print(chapter_table(book, "chapters/"))
        return 0
    for chapter in book.chapters:
        state = f"{chapter.seconds} s" if chapter.is_notebook else ""
        print(f"{chapter.number:2}  {chapter.title:34} {chapter.name or '(planned)':28} {state}")
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Execute chapters in place, as they are committed."""
    need("nbclient", "read")
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    from dlseg.book.execute import run_chapter

    chapters = _chosen(read_book(), arguments.chapters)
    _use_device(arguments.device)
    for chapter in chapters:
        try:
            seconds = run_chapter(chapter)
        except (CellExecutionError, CellTimeoutError) as error:
            raise CommandError(f"{chapter.name} failed, file unchanged:\n{error}") from error
        over = "" if seconds <= chapter.seconds else f": OVER ITS BUDGET of {chapter.seconds} s"
        print(f"{chapter.name}: {seconds:.1f} s{over}", flush=True)
    return 0


def test(arguments: argparse.Namespace) -> int:
    """Execute chapters under nbval, every text output compared."""
    need("nbval", "test")
    from dlseg.book.execute import run_tests

    book = read_book()
    chapters = _chosen(book, arguments.chapters)
    _use_device(arguments.device)
    return run_tests(book, chapters)


def site(arguments: argparse.Namespace) -> int:
    """Build the static site."""
    need("sphinx", "site")
    need("myst_nb", "site")
    from dlseg.book.site import build

    return build(read_book(), arguments.out)


def add(commands) -> None:
    """Add the parsers of these commands to the subparsers `commands`."""
    choices = {}
    named = {"read": read, "list": list_chapters, "run": run, "test": test, "site": site}
    for name, function in named.items():
        choices[name] = commands.add_parser(name, help=function.__doc__)
        choices[name].set_defaults(function=function)
    choices["read"].add_argument("chapter", nargs="?", default="00", help="default: the contents")
    choices["read"].add_argument("--port", type=int, default=8888)
    choices["read"].add_argument("--no-browser", action="store_true")
    choices["list"].add_argument("--markdown", action="store_true", help="as the README's table")
    for name in ("run", "test"):
        choices[name].add_argument("chapters", nargs="*", help="02 or its name; default: all")
        choices[name].add_argument("--device", choices=("auto", "cpu", "cuda", "mps"))
    choices["site"].add_argument("--out", help="folder of the pages; default: build/site/html")
