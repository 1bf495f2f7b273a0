"""What `dlseg doctor --data` prints of a folder: what it is, its faults, its classes' shares."""

import textwrap
from collections import Counter

from dlseg.data import Fault, Folder, Mended, Survey, in_kinds, printable

BAR = 24  # signs of the largest share
_FILES = 3  # that are named of one kind of fault
_WIDTH = 20


def report(found: Survey) -> str:
    """All that a survey found, in lines; the last is the verdict."""
    faults = found.faults + found.together
    count = sum(fault.serious for fault in faults)
    verdict = f"FAULTS  {count}" if count else "ok      no fault"
    lines = [*_found(found), *fault_lines(faults), *_shares(found)]
    return "\n".join([*lines, f"{verdict} in {printable(found.root)}"])


def _found(found: Survey) -> list[str]:
    """What was learnt of a folder of one's own."""
    lines = next((one.learnt() for one in found.datasets if isinstance(one, Folder)), [])
    forms = Counter(one.form for one in found.seen.values() if one.form)
    if lines and forms:
        lines.append("masks: " + ", ".join(f"{count} {form}" for form, count in forms.items()))
    return [f"found   {line}" for line in lines]


def fault_lines(faults: list[Fault]) -> list[str]:
    """Faults, those of one kind together, each kind with its remedy."""
    lines = []
    for group, remedy in in_kinds(faults):
        mark = "FAULT  " if group[0].serious else "-      "
        shown = group if len(group) <= _FILES + 1 else group[:_FILES]
        for fault in shown:
            lines.append(f"{mark} {printable(fault.path)}: {fault.problem}")
            lines.append(f"        fix: {fault.remedy}")
        if len(group) > len(shown):
            lines.append(f"{mark} and {len(group) - len(shown)} files more like these")
            lines.append(f"        fix: {remedy}" if len({f.remedy for f in group}) == 1 else "")
    return [line for line in lines if line]


def _shares(found: Survey) -> list[str]:
    """The share of each class in the pixels of train and val of somebody's own data."""
    own = [one for one in found.datasets if isinstance(one, Folder)]
    wanted = [one for one in own if one.split in ("train", "val")]
    return _table(found, wanted) if wanted else []


def _table(found: Survey, datasets: list) -> list[str]:
    first = datasets[0]
    counts = [found.counts(dataset) for dataset in datasets]
    if not counts[0].any() or first.pairs[0].num_classes != first.num_classes:
        return []
    void = first.ignore_index
    rows = [(label, name) for label, name in enumerate(first.classes) if label != void]
    valid = [max(1, sum(int(one[label]) for label, _ in rows)) for one in counts]
    shares = [
        [one[label] / total for one, total in zip(counts, valid, strict=True)] for label, _ in rows
    ]
    top = max(max(share[0] for share in shares), 1e-9)
    head = "".join(f"{dataset.split:>9}" for dataset in datasets)
    lines = [f"share of the labelled pixels{head}"]
    for (label, name), share in zip(rows, shares, strict=True):
        numbers = "".join(f"{one:9.2%}" for one in share)
        bar = "#" * round(BAR * share[0] / top)
        short = textwrap.shorten(name, _WIDTH, placeholder="...") if " " in name else name[:_WIDTH]
        lines.append(f"  {label:4} {short:21}{numbers}  {bar}".rstrip())
    numbers = "".join(f"{one[void] / one.sum():9.2%}" for one in counts if one.sum())
    return [*lines, f"  {void:4} {'void, of all pixels':21}{numbers}"]


def mended_report(mended: Mended) -> str:
    """What was written to another folder, and what was not, in lines."""
    counts = ", ".join(f"{split} {count}" for split, count in mended.counts.items())
    lines = [f"wrote   {printable(mended.folder)}: {counts} pictures with masks"]
    lines += [f"        masks, {change}: {count}" for change, count in mended.changes.items()]
    if mended.left:
        lines.append(f"left    pictures with masks that could not be mended: {len(mended.left)}")
        lines += fault_lines(mended.left)
    return "\n".join(lines)
