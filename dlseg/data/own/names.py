"""Files of pictures by name, and which mask belongs to which picture."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

# Ends of file names, the likeliest first.
IMAGES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif")
# JPEG and WebP are no masks, but one should be told so, not that there is none.
MASKS = (".png", ".tif", ".tiff", ".bmp", ".gif", ".jpg", ".jpeg", ".webp")
_OF_MASK = "masks?|labels?|l|gt|seg|segmentation|annot|annotations?|ground_?truth|labelids"
_MASK_END = re.compile(rf"(?:[-_. ](?:{_OF_MASK}|gtfine_labelids))$", re.IGNORECASE)
_IMAGE_END = re.compile(r"[-_. ](?:image|img|photo|rgb|sat|leftimg8bit)$", re.IGNORECASE)
_START = re.compile(r"^(?:image|img|mask|label|gt|seg)[-_. ]", re.IGNORECASE)


def pictures_in(folder: Path, suffixes: tuple[str, ...], deep: bool = True) -> dict[str, Path]:
    """The files of pictures in a folder, if it is to be deep in those below too, by their keys.

    A key is the path from there with / between, without the end of the file's name, in Unicode's
    composed form: the same on all systems. suffixes: of files with one key the first counts.
    """
    found: dict[str, tuple[int, str]] = {}
    for inside, place, name in _files(
        folder, deep
    ):  # texts: to make paths of all takes 10 times as long
        stem, suffix = os.path.splitext(name)
        if (suffix := suffix.lower()) in suffixes:
            key = key_of(f"{inside}{stem}")
            here = suffixes.index(suffix), os.path.join(place, name)
            found[key] = min(here, found.get(key, here))
    return {key: Path(found[key][1]) for key in sorted(found)}


def has_pictures(folder: Path, suffixes: tuple[str, ...]) -> bool:
    """Whether `pictures_in` would find one."""
    return any(os.path.splitext(name)[1].lower() in suffixes for *_, name in _files(folder))


def key_of(name: str) -> str:
    """A name in Unicode's composed form (NFC): macOS takes names apart."""
    return unicodedata.normalize("NFC", name)


def _files(folder: Path, deep: bool = True) -> Iterator[tuple[str, str, str]]:
    """All files in it, and if deep below, also behind links; none that is hidden or macOS's own.

    Each as the folders on the way there, / behind each, the folder it is in, and its name.
    """
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if deep and not _is_junk(name))
        below = os.path.relpath(place, folder)
        inside = "" if below == "." else below.replace(os.sep, "/") + "/"
        yield from ((inside, place, name) for name in sorted(files) if not _is_junk(name))


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def is_mask_name(key: str) -> bool:
    """Whether a file is called as masks beside their pictures are: NAME_mask, NAME_label."""
    return bool(_MASK_END.search(key.rpartition("/")[2]))


def pair_up(
    images: dict[str, Path], masks: dict[str, Path]
) -> tuple[dict[str, tuple[Path, Path]], list[Path], list[Path]]:
    """Pairs by the picture's key, and the pictures and masks that are left alone.

    First those of one key; then those that are equal without regard to capitals, without the usual
    endings of masks, such as _mask, and without those of pictures; then, for masks that lie in
    another folder, by the file's name alone. Where several would fit, none is taken.
    """
    pairs = {key: (images[key], masks[key]) for key in images if key in masks}
    for of_image, of_mask in (*_STAGES, *((_last(a), _last(b)) for a, b in _STAGES)):
        used = {mask for _, mask in pairs.values()}
        pictures = _grouped(of_image, [key for key in images if key not in pairs])
        left = _grouped(of_mask, [key for key in masks if masks[key] not in used])
        for name, keys in pictures.items():
            if len(keys) == len(left.get(name, ())) == 1:
                pairs[keys[0]] = images[keys[0]], masks[left[name][0]]
    used = {mask for _, mask in pairs.values()}
    alone = [path for key, path in images.items() if key not in pairs]
    return dict(sorted(pairs.items())), alone, [p for p in masks.values() if p not in used]


def _grouped(form: Callable[[str], str], keys: list[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(form(key), []).append(key)
    return groups


def _without(*patterns: re.Pattern) -> Callable[[str], str]:
    """A function that takes these off a key's last part, and the capitals."""

    def form(key: str) -> str:
        folder, slash, name = key.rpartition("/")
        for pattern in patterns:
            name = pattern.sub("", name) or name
        return (folder + slash + name).casefold()

    return form


def _last(form: Callable[[str], str]) -> Callable[[str], str]:
    return lambda key: form(key.rpartition("/")[2])


# How the keys of pictures and of masks are compared, one pair of forms after the other.
_STAGES = (
    (_without(), _without()),
    (_without(), _without(_MASK_END, _START)),
    (_without(_IMAGE_END, _START), _without(_MASK_END, _START)),
)


def held_out(names: list[str], share: float, seed: int) -> set[str]:
    """The names that are for validation: about `share` of them, chosen by seed and name alone.

    So the choice is the same on every machine, and a picture more moves none of the others. Of few
    names one is held out, and one kept, where chance would have it otherwise.
    """
    place = {name: _place(name, seed) for name in names}
    chosen = {name for name in names if place[name] < share}
    if not chosen:
        return set(sorted(names, key=place.get)[:1])
    return chosen if len(chosen) < len(names) else chosen - {max(names, key=place.get)}


def _place(name: str, seed: int) -> float:
    """A number in [0, 1) that looks as if drawn by lot."""
    digest = blake2b(f"{seed}\n{name}".encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
