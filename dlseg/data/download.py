"""Archives of data sets: fetched by address and checksum, unpacked safely. Nothing here is needed.

Cityscapes can be had only by people who registered for it: get its two archives by hand, then
`extract("leftImg8bit_trainvaltest.zip", "leftImg8bit", root)` and
`extract("gtFine_trainvaltest.zip", "gtFine", root)`. There are no published checksums for them.
"""

import stat
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from tqdm import tqdm

from dlseg.aside import new_folder
from dlseg.fetch import Checksum, fetch_file
from dlseg.paths import check_path

# Of an archive: the default limit in bytes, and how much larger it may be than the file.
LEAST_LIMIT, TIMES = 10**9, 20
MEMBERS, DEEPEST = 1_000_000, 100  # files, and folders within each other
LONGEST = 1 << 20  # bytes of a header


@dataclass(frozen=True)
class Archive:
    """A published archive. top: the folder inside that is wanted."""

    url: str
    checksum: Checksum
    top: str

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.url.rsplit("/", 1)[-1]


# Training and validation, 2 GB. Address and MD5 as torchvision 0.28 has them (datasets/voc.py).
VOC2012 = Archive(
    "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
    Checksum("md5", "6cd6e144f989b92b3379bac3b3de84fd"),
    "VOCdevkit",
)


def obtain(archive: Archive, folder: str | Path, limit: float | None = None) -> Path:
    """The folder `archive.top` in `folder`, fetched and unpacked unless it is there already.

    The archive itself stays in `folder`, and may be put there by hand. limit: as for `extract`.
    Raises OSError as `dlseg.fetch.fetch_file` does, ValueError for a path that cannot be, and as
    `extract`.
    """
    folder = check_path("folder", folder)
    if (folder / archive.top).is_dir():
        return folder / archive.top
    path = fetch_file(archive.url, folder / archive.file, archive.checksum, archive.file)
    return extract(path, archive.top, folder, limit)


def extract(path: str | Path, top: str, folder: str | Path, limit: float | None = None) -> Path:
    """Unpack the folder `top` of a tar or zip archive into `folder`. Returns folder / top.

    It appears in one step when all of it is there; what else the archive has is left out. Shows a
    progress bar on a terminal.
    limit: bytes that all members may have together; None: 20 times the size of the archive, and
    1 GB at least, for pictures hardly shrink; math.inf: no limit.
    Raises ValueError for an archive that is damaged, encrypted, too large, has no `top`, or a
    member that leads out of the folder, is no plain file or folder, comes twice, or is unreadable,
    and for a path that cannot be;
    FileExistsError where `folder / top` is there, OSError where it cannot be read or written.
    """
    path, target = check_path("path", path), check_path("folder", folder) / top
    if target.exists():
        raise FileExistsError(f"{target} is there already; delete it to unpack {path} again")
    limit = max(LEAST_LIMIT, TIMES * path.stat().st_size) if limit is None else limit
    guard = _Guard(path, top, limit)
    try:
        with new_folder(target) as part:
            _unpack(path, guard, part)
            if not guard.seen.get(PurePosixPath(top)):
                raise Refused(f"{path} holds no folder {top}; is it another archive?")
    except (OSError, Refused):
        raise
    except NotImplementedError as error:
        raise ValueError(f"{path} needs another program to unpack it: {error}") from error
    except Exception as error:  # there is no end to what damaged bytes can raise
        raise ValueError(f"{path} is damaged ({error}); get it again") from error
    return target


class Refused(ValueError):
    """What is wrong with an archive; other ValueErrors come of damaged bytes."""


class _Guard:
    """Looks at members before they are unpacked. seen: those in `top`, True for a folder."""

    def __init__(self, path: Path, top: str, limit: float):
        self.path, self.top, self.limit = path, top, limit
        self.seen: dict[PurePosixPath, bool] = {}
        self.bytes = self.members = 0

    def count(self, size: int) -> None:
        """Add a member of that size; ValueError where it is one too many, or too large."""
        self.bytes, self.members = self.bytes + size, self.members + 1
        if self.bytes > self.limit or self.members > MEMBERS:
            raise Refused(
                f"{self.path} is not unpacked: it holds more than {self.limit / 1e9:.3g} GB or "
                f"{MEMBERS} files; if that is right, unpack it by hand, or give a limit"
            )

    def place(self, name: str, folder: bool, plain: bool) -> str | None:
        """Where a member goes below `top`, None where it is left out.

        folder: whether it is one; plain: whether it is a folder or a file, no link or device.
        Raises ValueError for a member that no data set has.
        """
        posix, windows = PurePosixPath(name), PureWindowsPath(name)
        leads_out = name.startswith("/") or windows.drive or windows.root or ".." in windows.parts
        if leads_out or "\0" in name:
            self.refuse(name, "leads out of the folder")
        if not plain:
            self.refuse(name, "is neither file nor folder")
        if len(posix.parts) > DEEPEST:
            self.refuse(name[:100], f"lies more than {DEEPEST} folders deep")
        if posix.parts[:1] != (self.top,):
            return None
        self._meet(posix, folder)
        return str(posix.relative_to(self.top)) if len(posix.parts) > 1 else None

    def refuse(self, name: str, why: str) -> None:
        """ValueError that names the member."""
        problem = f"its member {name!r} {why}"
        raise Refused(f"{self.path} is not unpacked: {problem}; get another archive")

    def _meet(self, name: PurePosixPath, folder: bool) -> None:
        """Note a member; one file may not come twice, nor be a folder too."""
        for above in name.parents:
            if self.seen.setdefault(above, True) is False:
                self.refuse(str(name), "lies in a file")
        if name in self.seen and not (folder and self.seen[name]):
            self.refuse(str(name), "is there twice")
        self.seen[name] = folder


class _Header(tarfile.TarInfo):
    """A header of a tar, whose long name or notes may not be as long as memory."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> "_Header":
        header = super().frombuf(buf, encoding, errors)
        if header.type in _NOTES and header.size > LONGEST:
            raise Refused(f"a header of {header.size} bytes belongs to no data set")
        return header


_NOTES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_NOTES += (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)


def _unpack(path: Path, guard: _Guard, folder: Path) -> None:
    if not hasattr(tarfile, "data_filter"):
        raise Refused("this Python cannot unpack tar safely; install Python 3.11.4 or newer")
    if _is_tar(path):
        _unpack_tar(path, guard, folder)
    elif zipfile.is_zipfile(path):
        _unpack_zip(path, guard, folder)
    else:
        raise Refused(f"{path} is neither tar nor zip, or damaged; get it again")


def _is_tar(path: Path) -> bool:
    try:
        with tarfile.open(path, tarinfo=_Header):
            return True
    except tarfile.ReadError:
        return False


def _unpack_tar(path: Path, guard: _Guard, folder: Path) -> None:
    with tarfile.open(path, tarinfo=_Header) as archive:
        for member in _bar(archive, path):
            guard.count(member.size)
            plain = member.isreg() or member.isdir()
            place = guard.place(member.name, member.isdir(), plain)
            if place is not None:
                # Times are left out: there are some that no file can have.
                member = member.replace(name=place, mtime=None, deep=False)
                archive.extract(member, folder, filter="data")


def _unpack_zip(path: Path, guard: _Guard, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        for member in members:
            guard.count(member.file_size)
        for member in _bar(members, path):
            kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where no Unix wrote the archive
            plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
            if member.flag_bits & 1:
                guard.refuse(member.filename, "is encrypted")
            # orig_filename: of the other, zipfile has cut off what follows a zero byte.
            name, is_folder = member.orig_filename, member.is_dir()
            place = guard.place(name, is_folder, plain)
            if place is not None:
                member.filename = place + "/" * is_folder
                archive.extract(member, folder)


def _bar(members: Iterable, path: Path) -> tqdm:
    return tqdm(members, desc=path.name, unit=" files", disable=None)
