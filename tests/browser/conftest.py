"""A browser, a file server for the built site, and a JupyterLab that belongs to the tests alone."""

import functools
import http.server
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from dlseg.book.manifest import Chapter, find_root
from tests.browser.driving import FLAGS, find_chromium, is_local

QUIET_SETTINGS = {
    "docmanager-extension/plugin": {"autosave": False},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


@pytest.fixture(scope="session")
def chromium():
    """A headless browser; skipped where playwright or Chromium is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_words):
        """Say nothing: the tests look at the browser's side."""


@pytest.fixture(scope="session")
def site_folder() -> Path:
    """The built site; skipped where it was not built."""
    folder = find_root() / "build/site/html"
    if not (folder / "index.html").is_file():
        pytest.skip("the site is not built: run `python -m dlseg site` first")
    return folder


@pytest.fixture(scope="session")
def site(site_folder) -> str:
    """The built site's address on a loopback server."""
    handler = functools.partial(_Quiet, directory=str(site_folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@dataclass
class Visit:
    """A tab that may only ask the site itself. problems: whatever went wrong so far."""

    page: object
    base: str
    problems: list[str]

    def open(self, name: str):
        """Open a page by name and wait until it is quiet."""
        self.page.goto(f"{self.base}/{name}", wait_until="networkidle")
        return self.page

    def _refuse_outside(self, route):
        if is_local(route.request.url, self.base):
            route.continue_()
        else:
            self.problems.append(f"outside request: {route.request.url}")
            route.abort()

    def watch(self) -> None:
        """Note every outside request, error of a script, and missing file."""
        self.page.context.route("**/*", self._refuse_outside)
        self.page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        self.page.on("console", self._note_console)
        self.page.on("response", self._note_response)

    def _note_console(self, message) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text}")

    def _note_response(self, response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")


@pytest.fixture
def visit(chromium, site):
    """A fresh tab on the site."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1000})
    tab = Visit(context.new_page(), site, [])
    tab.watch()
    yield tab
    context.close()


@dataclass
class Lab:
    """A running JupyterLab. folder: its own settings, trust and runtime files."""

    url: str
    token: str
    root: Path
    folder: Path

    def address(self, chapter: Chapter) -> str:
        """Where Lab shows a chapter."""
        path = chapter.path.relative_to(self.root).as_posix()
        return f"{self.url}/lab/tree/{path}?reset&token={self.token}"

    def trust(self, chapter: Chapter, trusted: bool) -> None:
        """Sign a chapter, or take its signature back; the file is not touched."""
        import nbformat
        from nbformat.sign import NotebookNotary

        notary = NotebookNotary(data_dir=str(self.folder / "data"))
        notebook = nbformat.read(chapter.path, as_version=4)
        (notary.sign if trusted else notary.unsign)(notebook)
        notary.store.close()


def _lab_environment(folder: Path) -> dict[str, str]:
    """Empty folders for everything Jupyter would read from, or leave in, the user's home."""
    for name, values in QUIET_SETTINGS.items():
        file = folder / "settings/@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(values), encoding="utf-8")
    own = {
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
    }
    environment = {**os.environ, **{key: str(folder / name) for key, name in own.items()}}
    environment.pop("DLSEG_BOOK", None)  # a reader's kernel: explorers are live
    return environment


def _lab_command(root: Path, folder: Path, port: int, token: str) -> list[str]:
    return [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        "--expose-app-in-browser",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={root}",
        f"--FileCheckpoints.checkpoint_dir={folder / 'checkpoints'}",
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """JupyterLab on a free loopback port, with a token; it never saves a notebook."""
    pytest.importorskip("jupyterlab", reason="jupyterlab is not installed")
    folder, root = tmp_path_factory.mktemp("lab"), find_root()
    port, token = _free_port(), secrets.token_hex(16)
    command, log = _lab_command(root, folder, port, token), folder / "lab.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, env=_lab_environment(folder), stdout=stream, stderr=subprocess.STDOUT
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(f"{url}/api?token={token}", process, log)
            yield Lab(url, token, root, folder)
        finally:
            process.terminate()  # Jupyter's own way down: it ends the kernels it started
            process.wait(20)
