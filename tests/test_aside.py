"""What is written appears whole or not at all, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dlseg.aside import new_file, new_folder, only_one

POSIX = pytest.mark.skipif(os.name != "posix", reason="locks and links of POSIX")
STUCK = """
import sys, time
from pathlib import Path
from dlseg.aside import new_file, new_folder, only_one
path = Path(sys.argv[2])
with {"file": new_file, "folder": new_folder, "lock": lambda p: only_one(p, "training")}[sys.argv[1]](path):
    print("in", flush=True)
    time.sleep(60)
"""  # noqa: E501


@pytest.fixture
def stuck(tmp_path):
    """Start processes that hang within a write, and kill them at the end."""
    running = []

    def start(kind: str, path: Path) -> subprocess.Popen:
        command = [sys.executable, "-c", STUCK, kind, str(path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout.readline() == "in\n"
        return process

    yield start
    for process in running:
        process.send_signal(signal.SIGTERM)
        process.wait()
        process.stdout.close()


def kill(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


def test_a_file_is_there_when_its_block_ends(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with new_file(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert [found.name for found in path.parent.iterdir()] == ["a.txt"]


def test_a_failure_keeps_the_old_file_and_leaves_no_part(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), new_file(path) as file:
        file.write(b"half")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@POSIX
def test_a_symlink_is_replaced_and_not_followed(tmp_path):
    other, link = tmp_path / "other", tmp_path / "link"
    other.write_bytes(b"of somebody else")
    link.symlink_to(other)
    with new_file(link) as file:
        file.write(b"new")
    assert other.read_bytes() == b"of somebody else"
    assert not link.is_symlink() and link.read_bytes() == b"new"


@POSIX
def test_files_are_as_readable_as_any_other(tmp_path):
    usual = tmp_path / "usual"
    usual.touch()
    with new_file(tmp_path / "a"):
        pass
    assert (tmp_path / "a").stat().st_mode == usual.stat().st_mode


def test_a_folder_replaces_the_old_one_when_it_is_whole(tmp_path):
    path = tmp_path / "site"
    for text in ("old", "new"):
        with new_folder(path, replace=True) as part:
            (part / text).touch()
    assert [found.name for found in path.iterdir()] == ["new"]
    with pytest.raises(KeyError), new_folder(path, replace=True):
        raise KeyError
    assert [found.name for found in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


@POSIX
@pytest.mark.parametrize("there", ["nothing", "the new one"])
def test_a_folder_whose_writer_died_between_the_renamings_comes_back(tmp_path, there):
    """Unless the new one was in its place already."""
    left = tmp_path / "out" / f"site.{'0' * 32}.old"
    left.mkdir(parents=True)
    (left / "a").write_text("old")
    if there != "nothing":
        (tmp_path / "out/site").mkdir()
    with new_file(tmp_path / "out/other"):
        pass
    assert sorted(path.name for path in left.parent.iterdir()) == ["other", "site"]
    assert (left.with_name("site") / "a").exists() == (there == "nothing")


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch, error):
    path = tmp_path / "site"
    path.mkdir()
    (path / "a").write_text("old")
    rename = Path.rename

    def fail(part, target):
        if part.suffix == ".part":
            raise error
        return rename(part, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(error), new_folder(path, replace=True):
        pass
    assert [found.name for found in tmp_path.rglob("*")] == ["site", "a"]


def test_a_folder_is_not_replaced_unless_asked(tmp_path):
    (tmp_path / "data").mkdir()
    with (
        pytest.raises(FileExistsError, match="data is there already"),
        new_folder(tmp_path / "data"),
    ):
        pass


@POSIX
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_the_next_writer_clears_away_what_a_killed_one_left(tmp_path, stuck, kind):
    alive, dead = (stuck(kind, tmp_path / name) for name in ("alive", "dead"))
    kill(dead)
    left = set(tmp_path.glob("*.part"))
    assert len(left) == 2
    (tmp_path / "mine.part").touch()  # not one of ours
    with new_file(tmp_path / "next"):
        pass
    (stays,) = {path.name for path in tmp_path.glob("*.part")} - {"mine.part"}
    assert stays.startswith("alive.")
    kill(alive)


def test_a_folder_is_held_by_one_process(tmp_path, stuck):
    first = stuck("lock", tmp_path)
    message = r"another process is training in .*: wait"
    with pytest.raises(BlockingIOError, match=message), only_one(tmp_path, "training"):
        pass
    kill(first)
    with only_one(tmp_path, "training"):
        pass
    with only_one(tmp_path, "training"):
        pass
