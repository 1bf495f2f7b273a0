"""Fetch a file by its address and checksum: whole and right, or not at all."""

import hashlib
import os
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tqdm import tqdm

from dlseg.aside import grown_file
from dlseg.paths import expanded

TIMEOUT = 30  # seconds without a single byte, not for the whole file
CHUNK = 1 << 20  # bytes
SEED = "DLSEG_SEED"  # the variable: folders with files that need not be fetched

_ALGORITHMS = {"md5": ("MD5", 32), "sha256": ("SHA-256", 64)}  # name in messages, hex digits


@dataclass(frozen=True)
class Checksum:
    """What the bytes of a file must add up to.

    algorithm: "md5" or "sha256". digits: all hex digits of the sum, or the first 8 or more, which
    find damage and are no proof against somebody who forges a file; nor is MD5.
    Raises ValueError for another algorithm or anything but 8 or more lower-case hex digits.
    """

    algorithm: str
    digits: str

    def __post_init__(self) -> None:
        if self.algorithm not in _ALGORITHMS:
            known = ", ".join(_ALGORITHMS)
            raise ValueError(f"algorithm must be one of {known}, got {self.algorithm!r}")
        name, length = _ALGORITHMS[self.algorithm]
        hexadecimal = set(self.digits) <= set("0123456789abcdef")
        if not (8 <= len(self.digits) <= length and hexadecimal):
            raise ValueError(
                f"digits must be 8 to {length} lower-case hex digits, got {self.digits!r}: "
                f"copy the {name} from where the file is published"
            )

    @property
    def _rest(self) -> str:
        return "" if len(self.digits) == _ALGORITHMS[self.algorithm][1] else "..."

    def __str__(self) -> str:
        verb = "begin with" if self._rest else "be"
        return f"its {_ALGORITHMS[self.algorithm][0]} must {verb} {self.digits}"

    def verify(self, path: Path, verdict: str) -> None:
        """OSError that begins with `verdict` unless the file at `path` has this sum."""
        with path.open("rb") as file:
            digits = hashlib.file_digest(file, self.algorithm).hexdigest()
        if not digits.startswith(self.digits):
            raise OSError(
                f"{verdict} (expected {_ALGORITHMS[self.algorithm][0]} {self.digits}{self._rest}, "
                f"got {digits[: len(self.digits)]}{self._rest})"
            )


def fetch_file(url: str, target: Path, checksum: Checksum, what: str, hint: str = "") -> Path:
    """The file `target`, downloaded from `url` if it is not at hand, its checksum verified.

    Returns: where it lies, `target` or in a folder that `DLSEG_SEED` names, see `at_hand`.
    what: the file's name in messages; hint: a last sentence for them, without its full stop.
    The file appears under its name only when it is whole and right. A download that was broken off
    goes on where it was, if the server can do so. Shows a progress bar on a terminal.
    Raises OSError, with what to do by hand, where the file cannot be had or is damaged.
    """
    try:
        if found := at_hand(target.name, target.parent):
            checksum.verify(found, f"{found} is damaged; delete it and try again")
            return found
        _download(url, target, checksum)
    except (OSError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()  # it holds the connection
        raise OSError(
            f"cannot get {what}: {str(error) or type(error).__name__}. "
            f"To do it by hand, save {url} as {target}; {checksum}" + (f". {hint}" if hint else "")
        ) from error
    return target


def kept_at(folder: str | Path | None = None) -> Path:
    """Where fetched files are kept: `folder`, or where torchvision keeps them too.

    That is `hub/checkpoints` below `TORCH_HOME`.
    """
    if folder is not None:
        return Path(expanded(folder))
    import torch  # here: whoever only reads pictures need not wait for it

    return Path(torch.hub.get_dir(), "checkpoints")


def data_folder(name: str, folder: str | Path | None = None) -> Path:
    """Where the data set `name` is kept once it is fetched.

    folder: of weights, as for `kept_at`.
    """
    return kept_at(folder).parents[1] / "data" / name


def at_hand(name: str, folder: str | Path | None = None) -> Path | None:
    """Where the file `name` lies on this machine: where files are kept, or a seed; else None.

    folder: as for `kept_at`. The file's checksum is not tested.
    """
    seeds = [Path(seed) for seed in os.environ.get(SEED, "").split(os.pathsep) if seed]
    found = (place / name for place in (kept_at(folder), *seeds))
    return next((path for path in found if path.is_file()), None)


def _download(url: str, target: Path, checksum: Checksum) -> None:
    """Put the file at `target` in one step, after it came whole and with the right sum."""
    with grown_file(target) as file:
        _copy(url, file)
        file.flush()
        try:
            checksum.verify(Path(file.name), f"what {url} sent is damaged; try again")
        except OSError:
            file.truncate(0)  # nothing to go on from
            raise


def _copy(url: str, file: BinaryIO) -> None:
    """Write what the file lacks, or all where the server sends all."""
    have = file.tell()
    with _reply(url, have) as reply:
        if have and reply.status != 206:  # the code of an answer that is a part
            have = _emptied(file)
        whole = None if reply.length is None else have + reply.length  # as the server announces
        # disable=None: no bar unless standard error is a terminal
        with tqdm(
            total=whole, initial=have, desc=url, unit="B", unit_scale=True, disable=None
        ) as bar:
            while chunk := reply.read1(CHUNK):
                have += file.write(chunk)
                bar.update(len(chunk))
    if whole is not None and have < whole:
        raise OSError(f"the connection closed {whole - have} bytes before the end; try again")


def _reply(url: str, have: int) -> HTTPResponse:
    headers = {"User-Agent": "dlseg"}  # some hosts turn Python's own away
    if have:
        try:
            part = Request(url, headers=headers | {"Range": f"bytes={have}-"})
            return urlopen(part, timeout=TIMEOUT)
        except HTTPError as error:
            if error.code != 416:  # nothing behind these bytes
                raise
            error.close()
    return urlopen(Request(url, headers=headers), timeout=TIMEOUT)


def _emptied(file: BinaryIO) -> int:
    file.seek(0)
    return file.truncate()
