"""Real processes of the command line, started and stopped as a shell does it."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from dlseg.book.execute import patience

ROOT = Path(__file__).parents[1]
OWN = (
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "JUPYTERLAB_SETTINGS_DIR",
    "JUPYTERLAB_WORKSPACES_DIR",
    "IPYTHONDIR",
)
# Seconds for what takes two, on a machine that has other work; as chapters, as patient as is asked.
PATIENCE = 12 * patience()


@contextmanager
def started(folder: Path, *arguments: str, **variables: str) -> Iterator[subprocess.Popen]:
    """`dlseg ...` in a folder, in a session of its own; killed with all it started at the end."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DLSEG_DEVICE": "cpu", **variables}
    with (folder / "stderr.txt").open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "dlseg", *arguments],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=stream,
            start_new_session=True,
        )
    family = [psutil.Process(process.pid)]
    try:
        yield process
        family += family[0].children(recursive=True) if family[0].is_running() else []
    finally:
        for member in family:
            if member.is_running():
                member.kill()
        process.wait()


def wait_until(true: Callable[[], object], process: subprocess.Popen) -> None:
    """Wait for something that a process does; AssertionError if it ends, or takes too long."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert process.poll() is None, "it ended"
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def stop(process: subprocess.Popen, number: int, group: bool = False) -> int:
    """Send a signal to the process, or to its group as a terminal does; wait until all are gone.

    Returns: its exit code.
    """
    family = psutil.Process(process.pid).children(recursive=True)
    (os.killpg if group else os.kill)(process.pid, number)
    code = process.wait(PATIENCE)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive, alive
    return code


def told(folder: Path) -> str:
    """What the process that was started in a folder wrote to standard error."""
    return (folder / "stderr.txt").read_text()


@contextmanager
def reading(folder: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """The real `dlseg read` with empty settings of its own, once it answers: (process, address)."""
    for name in ("book.toml", "chapters"):
        (folder / name).symlink_to(ROOT / name)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, variables = f"http://127.0.0.1:{port}", {name: str(folder / name) for name in OWN}
    words = ["read", "--no-browser", "--port", str(port)]
    with started(folder, *words, **variables) as process:
        wait_until(lambda: _answers(url), process)
        yield process, url


def _answers(url: str) -> bool:
    try:
        return ask(f"{url}/api")[0] == 200
    except OSError:
        return False


def ask(url: str, token: str = "", data: bytes | None = None) -> tuple[int, object]:
    """Status and answer of the server; data: posted."""
    request = urllib.request.Request(url, data, {"Authorization": f"token {token}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None


def token_of(folder: Path) -> str:
    """The token in the address that `reading` printed."""
    return re.search(r"/lab/tree/chapters/00-contents.ipynb\?token=(\w{48})", told(folder))[1]
