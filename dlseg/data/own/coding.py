"""Masks of any usual kind as labels: indices of any bits, palettes, colours, 0 and 255.

What the values of a mask mean follows from the set of its values, so that `Coding.labels` gives
the same for a whole mask and for its values counted (`look_at`), which is all a survey needs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dlseg.data.decode import MAX_PIXELS, decoded
from dlseg.data.faults import DataError, Fault, place_of
from dlseg.data.files import Counted, Pair, indices_of, of_a_sample, refuse_lossy
from dlseg.data.own.classes import Colour
from dlseg.data.palette import colours_found, voc_palette
from dlseg.data.pictures import row_bands

MOST_VALUES = 4096  # that are counted each; no mask has more
WHITE = (255, 65535)  # of a mask of two values, of 8 and 16 bits


class Values(NamedTuple):
    """A mask as its file has it. array: (H, W) numbers, or uint8 (H, W, 3) colours.

    palette: uint8 (256, 3) of indices that have one, or None. form: its kind in words. turned:
    whether it was turned upright as its EXIF says.
    """

    array: np.ndarray
    palette: np.ndarray | None
    form: str
    turned: bool


class Look(NamedTuple):
    """The values of a mask, counted. values: (1, k) or (1, k, 3); counts: (k,), pixels of each.

    size: (H, W). rest: pixels of values that are not counted each. palette, form: as of `Values`.
    """

    values: np.ndarray
    counts: np.ndarray
    size: tuple[int, int]
    rest: int
    palette: np.ndarray | None
    form: str


@dataclass(frozen=True)
class Coding:
    """How the values of masks become labels.

    ignore_index: the label that counts nowhere. colours: of the classes in order; None: Pascal
    VOC's. void_colour: of ignore_index. white: the value, 255 or 65535, that stands for class 1.
    """

    num_classes: int
    ignore_index: int = 255
    colours: tuple[Colour, ...] | None = None
    void_colour: Colour | None = None
    white: int | None = None

    def labels(
        self, values: np.ndarray, palette: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Labels, uint8, of values (H, W) or colours (H, W, 3), and which values have one, bools.

        Colours of a palette count where classes have colours and all that are used are among them;
        grey levels where they are no labels; colours that are all grey as their level.
        """
        if values.ndim == 3:
            return self._of_colours(values)
        tables = [self._table]
        if self.colours is not None and values.dtype == np.uint8:
            by_colour = self._of_palette(_GREY if palette is None else palette)
            tables = [self._table, by_colour] if palette is None else [by_colour, self._table]
        places = self._places(values)
        used = _used(places)
        whole = (table for table in tables if table[1][used].all())
        labels, known = next(whole, self._table)
        return labels[places], known[places]

    def _of_colours(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labels, known = np.empty(image.shape[:2], np.uint8), np.empty(image.shape[:2], bool)
        for rows in row_bands(*image.shape[:2]):
            labels[rows], known[rows] = self._looked_up(image[rows])
        if not known.all() and (image == image[..., :1]).all():
            grey = self._table[0][image[..., 0]], self._table[1][image[..., 0]]
            return grey if self.colours is None or grey[1].all() else (labels, known)
        return labels, known

    def _looked_up(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        palette, meaning = self._palette
        found, known = colours_found(image, palette)
        return meaning[found], known

    def _of_palette(self, palette: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A table (257,) of labels, and of what is one, for indices with a palette (256, 3)."""
        labels, known = self._looked_up(palette[None])
        return np.append(labels[0], np.uint8(0)), np.append(known[0], False)

    def _places(self, values: np.ndarray) -> np.ndarray:
        """Values as places in a table of 257: 256 for what is no byte, nor white of 16 bits."""
        if values.dtype == np.uint8:
            return values
        places = np.empty(values.shape, np.int16)
        for rows in _bands(values):
            part = values[rows]
            with np.errstate(invalid="ignore"):  # of floats that are no numbers
                fits = (part >= 0) & (part <= 255) & (part == np.floor(part))
            places[rows] = np.where(fits, part, 256)
            if self.white == WHITE[1]:
                places[rows][part == WHITE[1]] = 255
        return places

    @cached_property
    def _palette(self) -> tuple[np.ndarray, np.ndarray]:
        """Colours (k, 3) and the label of each."""
        if self.colours is None:
            rows = [*voc_palette()[: self.num_classes], voc_palette()[255]]
        else:
            rows = [*self.colours, *([self.void_colour] if self.void_colour else [])]
        labels = np.array([*range(self.num_classes), self.ignore_index], np.uint8)
        return np.array(rows, np.uint8), labels[: len(rows)]

    @cached_property
    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels (257,) of the values 0 to 255, and which are one; the last is no value."""
        labels, known = np.arange(257).astype(np.uint8), np.arange(257) < self.num_classes
        if self.white is None:
            known[self.ignore_index] = True
        else:
            labels[255], known[255] = 1, True
        return labels, known


_GREY = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


def _used(places: np.ndarray) -> np.ndarray:
    """The places in a table that are taken; bincount takes 8 bytes for each, so band by band."""
    counts = sum(np.bincount(places[rows].ravel(), minlength=257) for rows in _bands(places))
    return np.flatnonzero(counts)


def _bands(values: np.ndarray) -> Iterator[slice]:
    return row_bands(*values.shape[:2])


def read_values(path: str | Path, max_pixels: float = MAX_PIXELS) -> Values:
    """A mask as its file has it, turned upright. Raises DataError as `dlseg.data.read_label`."""
    path = place_of(path)
    raw = next(decoded(path, max_pixels=max_pixels))
    refuse_lossy(path, raw)
    mode, array = raw.image.mode, indices_of(raw)
    if mode in ("RGB", "RGBA", "RGBX", "RGBa"):
        if raw.bits > 8:
            problem = f"the mask has colours of {raw.bits} bits per channel"
            raise DataError(Fault(path, problem, "save it with 8 bits, or as an index PNG"))
        return Values(array[..., :3], None, "colours", raw.orientation > 1)
    if mode in ("LA", "PA"):
        array = array[..., 0]
    elif mode not in ("1", "L", "P", "F") and not mode.startswith("I"):
        problem = f"the mask has colours of a kind that is not read (Pillow's mode {mode})"
        raise DataError(Fault(path, problem, "save it as an index PNG, or as one in RGB"))
    if array.dtype == bool:
        array = (array.view(np.uint8) != 0).view(np.uint8)  # Pillow's bytes of True are 255
    palette = None
    if mode in ("P", "PA") and (colours := raw.image.getpalette("RGB")):
        palette = np.zeros((256, 3), np.uint8)
        palette.ravel()[: len(colours)] = colours
    bits = 1 if mode == "1" else raw.bits
    form = "indices with a palette" if palette is not None else f"indices of {bits} bits"
    return Values(array, palette, form.replace(" 1 bits", " 1 bit"), raw.orientation > 1)


def read_mask(path: str | Path, coding: Coding, max_pixels: float = MAX_PIXELS) -> np.ndarray:
    """The labels of a mask, uint8 (H, W), turned upright.

    Raises DataError where there is no file, it is damaged, of a format that changes values, or
    holds a value or colour that is no label.
    """
    path = place_of(path)
    values = read_values(path, max_pixels)
    labels, known = coding.labels(values.array, values.palette)
    if not known.all():
        raise DataError(_foreign(path, values.array, known, coding))
    return labels


def _foreign(path: Path, array: np.ndarray, known: np.ndarray, coding: Coding) -> Fault:
    count, first = int((~known).sum()), array[~known][0].tolist()
    if array.ndim == 3:
        problem = f"{count} pixels have colours that no class has, the first {tuple(first)}"
        remedy = "write them into classes.txt, as NAME R G B; take a mask neither resized nor JPEG"
        return Fault(path, problem, remedy)
    problem = f"holds labels such as {first:g} in {count} of {known.size} pixels"
    remedy = (
        f"labels must be 0 to {coding.num_classes - 1} or {coding.ignore_index}: name all classes "
        "in classes.txt, or the label that counts nowhere as ignore_index in dataset.toml"
    )
    return Fault(path, problem, remedy)


def look_at(path: Path) -> Look:
    """The values of a mask, counted; a file that did not change is looked at once.

    Raises DataError as `read_values`.
    """
    try:
        state = path.stat()
    except OSError:
        return _look(path)
    return _remembered(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1 << 15)
def _remembered(path: Path, _time: int, _size: int) -> Look:
    return _look(path)


def _look(path: Path) -> Look:
    array, palette, form, _ = read_values(path)
    size = array.shape[:2]
    if array.ndim == 3:
        codes, counts = _counted(array, lambda part: part.astype(np.int32) @ _SHIFTS)
        values = (codes[:, None] // _SHIFTS % 256).astype(np.uint8)
    else:
        values, counts = _counted(array, lambda part: part)
    rest = int(np.prod(size)) - int(counts.sum())
    return Look(values[None], counts, size, rest, palette, form)


_SHIFTS = np.array([1 << 16, 1 << 8, 1], np.int32)


def _counted(array: np.ndarray, code: Callable) -> tuple[np.ndarray, np.ndarray]:
    """The values that come first, at most MOST_VALUES, and the pixels of each; band by band."""
    total: dict = {}
    for rows in _bands(array):
        for value, count in zip(*_unique(code(array[rows])), strict=True):
            if value in total or len(total) < MOST_VALUES:
                total[value] = total.get(value, 0) + count
    keys = sorted(total)
    return np.array(keys, code(array[:1]).dtype), np.array([total[key] for key in keys], np.int64)


def _unique(part: np.ndarray) -> tuple[list, list]:
    if part.dtype == np.uint8:
        counts = np.bincount(part.ravel(), minlength=256)
        return np.flatnonzero(counts).tolist(), counts[counts > 0].tolist()
    values, counts = np.unique(part, return_counts=True)
    return values.tolist(), counts.tolist()


def only_white(look: Look) -> int | None:
    """The white of a mask of the values 0 and white alone, 255 or 65535; 0 for all black.

    None for a mask of other values.
    """
    values = look.values[0]
    if values.ndim == 2:
        values = values[:, 0] if (values == values[:, :1]).all() else values[:0, 0]
    found = set(values.tolist()) - {0}
    if look.rest or not len(values) or len(found) > 1 or not found <= set(WHITE):
        return None
    return next(iter(found), 0)


@dataclass(frozen=True)
class OwnPair(Pair):
    """A pair whose mask is read by a coding."""

    coding: Coding | None = None

    def read_label(self) -> np.ndarray:
        """The labels, uint8 (H, W), as `read_mask` has them."""
        with of_a_sample():
            return read_mask(self.label, self.coding)

    def check_sizes(self, image: tuple[int, int], label: tuple[int, int]) -> None:
        """As of a `Pair`, with the command that turns a mask."""
        try:
            super().check_sizes(image, label)
        except DataError as error:
            if image != label[::-1]:
                raise
            remedy = "if it was drawn on the picture as stored, dlseg doctor --fix OUT turns it; "
            fault = replace(error.fault, remedy=remedy + error.fault.remedy)
            raise DataError(fault) from None

    def count_labels(self) -> Counted:
        """As of a `Pair`, but what is no label is counted by its value or colour."""
        with of_a_sample():
            look = look_at(self.label)
        labels, known = self.coding.labels(look.values, look.palette)
        counts = np.bincount(labels[known], look.counts[known[0]], 256).astype(np.int64)
        foreign = {
            tuple(value) if isinstance(value, list) else value: int(count)
            for value, count in zip(
                look.values[~known].tolist(), look.counts[~known[0]], strict=True
            )
        }
        foreign |= {"others": look.rest} if look.rest else {}
        return Counted(look.size, counts, foreign, look.form)
