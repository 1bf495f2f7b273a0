"""Files and folders that appear under their name whole, or not at all; for every package.

Each is written beside its place, under a name of its own that ends in `.part`, and renamed; a
folder that gives way to it is `.old` meanwhile. Whoever is killed leaves them behind. The next
process that writes there deletes the part and gives an old folder its name back where nothing has
it, and leaves alone what a living writer has locked.
"""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from filelock import FileLock, Timeout

from dlseg.paths import expanded

try:
    import fcntl
except ImportError:  # on Windows, where nobody can delete a file that is open
    fcntl = None

_NAME = re.compile(r"(.*)\.[0-9a-f]{32}\.(part|old)", re.DOTALL)
_CLEARED: set[Path] = set()  # folders, in this process


@contextlib.contextmanager
def new_file(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write bytes to; it takes the name `path` when the block ends without an error.

    What was at `path` stays until then, and for good after an error; a symlink there is replaced,
    not followed. Folders on the way are made.
    Raises OSError where it cannot be written.
    """
    path = _named(path)
    with _part(path) as part, part.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())  # else a crash may leave an empty file under the new name
        file.close()  # before the renaming, for Windows
        part.replace(path)
        _sync(path.parent)


@contextlib.contextmanager
def grown_file(path: str | Path) -> Iterator[BinaryIO]:
    """As `new_file`, for what is long in coming: what was written stays for the next writer.

    It lies beside `path`, with `.begun` behind its name, when an error or a death ends the block;
    the file given then stands at its end. Where another process writes it, this is `new_file`.
    Raises OSError where it cannot be written.
    """
    path = _named(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = path.with_name(f"{path.name}.begun")
    try:
        file = _begun(begun)
    except OSError:
        with new_file(path) as file:
            yield file
        return
    with file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()
            begun.replace(path)
            _sync(path.parent)
        finally:
            if not file.closed and not os.fstat(file.fileno()).st_size:
                begun.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: str | Path, replace: bool = False) -> Iterator[Path]:
    """An empty folder to fill; it takes the name `path` when the block ends without an error.

    replace: True puts what is at `path` away, once the new folder is whole.
    Raises FileExistsError where `path` is there and not to be replaced, OSError where the folder
    cannot be written.
    """
    path = _named(path)
    if not replace and path.exists():
        raise FileExistsError(f"{path} is there already; delete it, or choose another folder")
    with _part(path, folder=True) as part:
        yield part
        with _put_away(path) if replace else contextlib.nullcontext():
            part.rename(path)


@contextlib.contextmanager
def only_one(folder: str | Path, doing: str) -> Iterator[None]:
    """Hold `folder`, which is made, for this process alone; a killed process holds nothing.

    doing: what is done there, for the message, such as "training".
    Raises BlockingIOError where another process holds it, OSError where it cannot be made.
    """
    folder = _named(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BlockingIOError(
            f"another process is {doing} in {folder}: wait for its end, or choose another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


def remove(path: Path) -> None:
    """Delete a file or a folder, or nothing where there is none; a symlink, not its target."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _named(path: str | Path) -> Path:
    """`expanded` as a Path. OSError where no file can have it, which Python tells otherwise."""
    path = expanded(path)
    try:
        os.lstat(path)
    except OSError:
        pass  # most often nothing is there yet; whoever writes tells what else it is
    except ValueError as error:
        raise OSError(errno.EINVAL, f"no file can have this name ({error})", str(path)) from error
    return Path(path)


@contextlib.contextmanager
def _part(path: Path, folder: bool = False) -> Iterator[Path]:
    """A new, locked file or folder beside `path`, which is gone or renamed at the end."""
    if not path.name:  # . or /
        raise IsADirectoryError(errno.EISDIR, "it is a folder; give a name in it", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent.resolve() not in _CLEARED:  # once: a folder may get many thousand files
        _clear(path.parent)
        _CLEARED.add(path.parent.resolve())
    part, lock = _make(path, folder)
    try:
        yield part
    finally:
        with contextlib.suppress(FileNotFoundError):
            remove(part)
        if lock is not None:
            os.close(lock)


def _begun(path: Path) -> BinaryIO:
    """The file at its end, made if it must be, and locked; OSError where another process has it."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)

    file = open(path, "r+b", opener=opener)  # noqa: SIM115, it goes to the caller
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
            raise FileNotFoundError(path)  # its writer renamed it before it was locked
        file.seek(0, os.SEEK_END)
    except OSError:
        file.close()
        raise
    return file


@contextlib.contextmanager
def _put_away(path: Path) -> Iterator[None]:
    """Rename what is at `path`; delete it at the end, unless nothing has its name by then."""
    old, lock = _unused(path, "old"), None
    with contextlib.suppress(OSError):  # nothing, a symlink, or a file system without locks
        lock = _lock(path)
    try:
        with contextlib.suppress(FileNotFoundError):
            path.rename(old)
        yield
    finally:
        _settle(old, path, "old")
        if lock is not None:
            os.close(lock)


def _unused(path: Path, ending: str = "part") -> Path:
    return path.with_name(f"{path.name}.{uuid4().hex}.{ending}")


def _make(path: Path, folder: bool) -> tuple[Path, int | None]:
    while True:
        part = _unused(path)
        part.mkdir() if folder else part.touch(exist_ok=False)
        try:
            lock = _lock(part)
        except (FileNotFoundError, BlockingIOError):
            continue  # somebody clears the folder, and came between the making and the locking
        except OSError:
            lock = None  # a file system without locks
        return part, lock


def _clear(folder: Path) -> None:
    """Delete the parts whose writers are dead, and what they put away and replaced."""
    for part in list(folder.iterdir()):
        name = _NAME.fullmatch(part.name)
        if name and not part.is_symlink() and (fcntl is not None or part.is_file()):
            with contextlib.suppress(OSError):  # its writer lives, or another has cleared it
                lock = _lock(part)
                try:
                    _settle(part, part.with_name(name[1]), name[2])
                finally:
                    if lock is not None:
                        os.close(lock)


def _settle(left: Path, path: Path, ending: str) -> None:
    """What a dead writer of `path` left: its part, or what was there before."""
    if ending == "old" and os.path.lexists(left) and not os.path.lexists(path):
        left.rename(path)
    else:
        remove(left)


def _lock(part: Path) -> int | None:
    """Lock a part until the process ends or closes it; OSError where another process has it."""
    if fcntl is None:
        return None
    handle = os.open(part, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.stat(part)  # still there: nobody cleared it before it was locked
    except OSError:
        os.close(handle)
        raise
    return handle


def _sync(folder: Path) -> None:
    """Force a renaming to the disk, where the system lets us open a folder."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
