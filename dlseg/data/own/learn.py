"""Which classes there are, and how the values of masks stand for them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dlseg.data.faults import DataError, Fault
from dlseg.data.own.classes import MOST, VOID, Classes
from dlseg.data.own.coding import Coding, Look, look_at, only_white
from dlseg.data.palette import voc_palette

_AT_ONCE = 8  # masks, of which one will mostly tell
_SHOWN = 12


def learn(
    masks: list[Path], classes: Classes | None, ignore_index: int | None, home: Path
) -> tuple[Classes, Coding]:
    """The classes of some masks and their coding.

    classes: of a list, or None: they follow from the masks, all of which are looked at then, as
    they are where there are two classes, which 0 and 255 may stand for. ignore_index: the label
    that counts nowhere; None: 255, or what the list has. home: where a list should be, for errors.
    Raises DataError where no classes follow.
    """
    if classes is not None and len(classes.names) > 2:
        return _coded(classes, ignore_index)
    white = None if ignore_index == VOID else _white(masks)
    if classes is None and white:
        source = f"the masks, which hold 0 and {white} alone"
        classes = Classes(("background", "foreground"), source=source)
    elif classes is None:
        classes = _from_masks(masks, VOID if ignore_index is None else ignore_index, home)
    elif len(classes.names) == 1:
        colours = classes.colours and ((0, 0, 0), *classes.colours)
        names = ("background", *classes.names)
        source = f"{classes.source}, and background, without which one class is no choice"
        classes = replace(classes, names=names, colours=colours, source=source)
        classes = replace(classes, void=VOID)
    return _coded(classes, ignore_index, white)


def _coded(
    classes: Classes, ignore_index: int | None, white: int | None = None
) -> tuple[Classes, Coding]:
    void = classes.void if ignore_index is None else ignore_index
    coding = Coding(len(classes.names), void, classes.colours, classes.void_colour, white)
    return classes, coding


def looks(masks: Iterable[Path]) -> Iterator[Look]:
    """Masks looked at by threads, without those that cannot be read: they are told elsewhere."""
    masks = list(masks)
    bar = tqdm(total=len(masks), desc="looking at masks", disable=None, leave=False)
    with ThreadPoolExecutor() as pool, bar:
        for look in pool.map(_look, masks):
            bar.update()
            if look is not None:
                yield look


def _look(mask: Path) -> Look | None:
    try:
        return look_at(mask)
    except DataError:
        return None


def _white(masks: list[Path]) -> int | None:
    """The one white of masks that hold nothing else but 0; None where one of them does."""
    first = [only_white(look) for mask in masks[:_AT_ONCE] if (look := _look(mask))]
    if None in first:
        return None
    found = {*first, *(only_white(look) for look in looks(masks[_AT_ONCE:]))} - {0}
    return found.pop() if len(found) == 1 and None not in found else None


def _from_masks(masks: list[Path], void: int, home: Path) -> Classes:
    """Classes "class 0" and so on, up to the largest label of the masks."""
    coding, largest = Coding(MOST, void), -1
    unknown: Counter = Counter()
    for look in looks(masks):
        labels, known = coding.labels(look.values, look.palette)
        found = labels[known & (labels != void)]
        largest = max([largest, *found.tolist()])
        if look.values.ndim == 3:
            for colour, count in zip(look.values[0], look.counts, strict=True):
                unknown[tuple(colour.tolist())] += 0 if known.all() else int(count)
    if colours := [colour for colour, count in unknown.most_common() if count]:
        raise DataError(_needs_a_list(home, colours))
    if largest < 1:
        held = "no label at all" if largest < 0 else "label 0 alone"
        problem = f"the masks hold {held}, of which no classes follow"
        remedy = "label things in them, or write classes.txt, a class a line"
        raise DataError(Fault(home, problem, remedy))
    names = tuple(f"class {label}" for label in range(largest + 1))
    source = f"the masks, whose largest label is {largest}; classes.txt can give them names"
    return Classes(names, source=source)


def _needs_a_list(home: Path, colours: list[tuple[int, int, int]]) -> Fault:
    problem = f"the masks have {len(colours)} colours, and nothing says of which classes"
    if len(colours) > MOST:
        remedy = "take masks neither resized with smoothing nor saved as JPEG"
        return Fault(home, problem, remedy)
    lines = ", ".join("NAME {} {} {}".format(*colour) for colour in colours[:_SHOWN])
    more = " and so on" if len(colours) > _SHOWN else ""
    return Fault(home, problem, f"write classes.txt, a line for each: {lines}{more}")


def palette_of(classes: Classes, void: int) -> np.ndarray:
    """Colours, uint8 (256, 3), in which labels are drawn: the list's own, or Pascal VOC's."""
    palette = voc_palette()
    if classes.colours is not None:
        palette[: len(classes.colours)] = classes.colours
        if classes.void_colour is not None:
            palette[void] = classes.void_colour
    return palette
