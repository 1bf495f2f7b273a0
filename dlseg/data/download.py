"""Archives of data sets: fetched by address and checksum, unpacked safely. Nothing here is needed.

Cityscapes can be had only by people who registered for it: get its two archives by hand, then
`extract("leftImg8bit_trainvaltest.zip", "leftImg8bit", root)` and
`extract("gtFine_trainvaltest.zip", "gtFine", root)`. There are no published checksums for them.
"""

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from uuid import uuid4

from tqdm import tqdm

from dlseg.fetch import Checksum, fetch_file

_DAMAGE = (tarfile.ReadError, zipfile.BadZipFile, zlib.error, EOFError)


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


def obtain(archive: Archive, folder: str | Path) -> Path:
    """The folder `archive.top` in `folder`, fetched and unpacked unless it is there already.

    The archive itself stays in `folder`, and may be put there by hand.
    Raises OSError as `dlseg.fetch.fetch_file` does, and as `extract`.
    """
    folder = Path(folder)
    if (folder / archive.top).is_dir():
        return folder / archive.top
    path = fetch_file(archive.url, folder / archive.file, archive.checksum, archive.file)
    return extract(path, archive.top, folder)


def extract(path: str | Path, top: str, folder: str | Path) -> Path:
    """Unpack the folder `top` of a tar or zip archive into `folder`. Returns folder / top.

    It appears in one step when all of it is there; what else the archive has is left out. Refuses
    an archive with members that lead out of the folder. Shows a progress bar on a terminal.
    Raises ValueError for an archive that is damaged, unsafe, or has no `top`, FileExistsError
    where `folder / top` is there, OSError where it cannot be written.
    """
    path, folder = Path(path), Path(folder)
    target = folder / top
    if target.exists():
        raise FileExistsError(f"{target} is there already; delete it to unpack {path} again")
    partial = folder / f"{top}.{uuid4().hex}.part"
    partial.mkdir(parents=True)
    try:
        _unpack(path, top, partial)
        if not (partial / top).is_dir():
            raise ValueError(f"{path} holds no folder {top}; is it another archive?")
        (partial / top).rename(target)
    except _DAMAGE as error:
        raise ValueError(f"{path} is damaged ({error}); get it again") from error
    finally:
        shutil.rmtree(partial)
    return target


def _unpack(path: Path, top: str, folder: Path) -> None:
    if tarfile.is_tarfile(path):
        _unpack_tar(path, top, folder)
    elif zipfile.is_zipfile(path):
        _unpack_zip(path, top, folder)
    else:
        raise ValueError(f"{path} is neither tar nor zip, or damaged; get it again")


def _unpack_tar(path: Path, top: str, folder: Path) -> None:
    if not hasattr(tarfile, "data_filter"):
        raise ValueError("this Python cannot unpack tar safely; install Python 3.11.4 or newer")
    with tarfile.open(path) as archive:
        for member in _bar(archive, path):
            regular = member.isreg() or member.isdir()
            if _is_inside(member.name, top, path, regular):
                archive.extract(member, folder, filter="data")


def _unpack_zip(path: Path, top: str, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in _bar(archive.infolist(), path):
            kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where no Unix wrote the archive
            regular = kind in (0, stat.S_IFREG, stat.S_IFDIR)
            # orig_filename: of the other, zipfile has cut off what follows a zero byte.
            if _is_inside(member.orig_filename, top, path, regular):
                archive.extract(member, folder)


def _is_inside(name: str, top: str, path: Path, regular: bool) -> bool:
    """Whether a member belongs to `top`; ValueError for one that no data set has."""
    parts = PurePosixPath(name).parts
    windows = PureWindowsPath(name)
    leads_out = name.startswith("/") or windows.drive or windows.root or ".." in windows.parts
    if leads_out or "\0" in name or not regular:
        why = "leads out of the folder" if regular else "is neither file nor folder"
        raise ValueError(f"{path} is not unpacked: its member {name!r} {why}; get another archive")
    return parts[:1] == (top,)


def _bar(members: Iterable, path: Path) -> tqdm:
    return tqdm(members, desc=path.name, unit=" files", disable=None)
