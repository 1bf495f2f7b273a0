"""The real `dlseg read`: loopback alone, no entry without the token, and nobody left at the end."""

import json
import os
import signal
import sys
import threading
import time

import psutil
import pytest

from dlseg.book import child, cli
from tests.processes import ask, reading, stop, token_of, told, wait_until


def addresses(pid: int) -> set[str]:
    """Where a process and all it started listen."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    found = [one for member in family for one in member.net_connections("inet")]
    return {one.laddr.ip for one in found if one.status == psutil.CONN_LISTEN}


def test_the_server(tmp_path):
    with reading(tmp_path) as (process, url):
        assert addresses(process.pid) == {"127.0.0.1"}
        assert ask(f"{url}/api/contents")[0] == 403
        assert ask(f"{url}/api/contents", "guessed")[0] == 403
        token = token_of(tmp_path)
        assert ask(f"{url}/api/contents", token)[0] == 200
        assert ask(f"{url}/api/kernels", token, b"{}")[0] == 201
        wait_until(lambda: len(psutil.Process(process.pid).children(recursive=True)) > 1, process)
        assert stop(process, signal.SIGTERM) == 143
    assert told(tmp_path).splitlines()[-1] == "dlseg: stopped"


def test_other_defaults_come_beside_the_users_own_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/mine")
    assert cli._defaults(tmp_path) == f"{tmp_path}:/mine"
    monkeypatch.delenv("JUPYTER_CONFIG_PATH")
    (tmp_path / "new").mkdir()
    assert cli._defaults(tmp_path / "new") == str(tmp_path / "new")
    file = tmp_path / "new/labconfig/default_setting_overrides.json"
    assert json.loads(file.read_text()) == cli.LAB_DEFAULTS


def test_a_program_that_does_not_listen_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(child, "GRACE", 0.2)
    script = (
        "import pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pathlib.Path('deaf').touch()\n"
        "time.sleep(60)"
    )

    def interrupt_when_deaf():
        while not (tmp_path / "deaf").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt_when_deaf)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        child.run_child([sys.executable, "-c", script], tmp_path)
    thread.join()
    assert not psutil.Process().children()
