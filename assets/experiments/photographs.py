"""What Google's trained DeepLab says of photographs: python assets/experiments/photographs.py

Needs the weights, `dlseg fetch deeplabv3-mobilenetv2-voc`, and takes some minutes. Writes to
assets/results/photographs a map of labels for every photograph and setting, the scores before they
are stretched, and figures.json: the IoU of the photograph's class, the accuracy within 4 pixels
of its edge, the share of each class, and seconds on one thread. The README's picture is made of
them, assets/photographs.png.
"""

import io
import platform
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "chapters"))  # for what chapters share

import numpy as np
import torch
from storage import write_json
from tqdm import tqdm

from dlseg.aside import new_file
from dlseg.book import find_root
from dlseg.data import (
    MASKED,
    PHOTOGRAPHS,
    VOC_CLASSES,
    photograph,
    traced,
    voc_palette,
    write_label,
)
from support import released
from support.shown import Shown, side_by_side

STRIDES = (32, 16)  # of the scores that are kept
FOLDER = find_root(Path(__file__).parent) / released.RESULTS


def figures(name: str, labels: np.ndarray) -> dict:
    """What can be said of a map of labels, against the traced mask where there is one."""
    found = {VOC_CLASSES[value]: (labels == value).mean() for value in np.unique(labels)}
    result = {"shares": {kind: round(float(share), 4) for kind, share in found.items()}}
    if name in MASKED and traced(name).any():
        iou, near = released.scores_of(labels, name)
        result |= {"iou": round(float(iou), 4), "band": round(float(near), 4)}
    return result


def write_scores() -> None:
    """The coarse logits of every photograph, in half precision."""
    with torch.no_grad():
        kept = {
            f"{name}-{stride}": released.network(stride).scores(released.image(name)).half().numpy()
            for name in PHOTOGRAPHS
            for stride in STRIDES
        }
    write_arrays("scores.npz", kept)


def write_arrays(name: str, arrays: dict[str, np.ndarray]) -> None:
    """A file of arrays, whole or not at all."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    with new_file(FOLDER / name) as file:
        file.write(buffer.getvalue())


def main() -> None:
    """Compute and write all; what is there is written anew."""
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    write_scores()
    done = {}
    for name in tqdm(PHOTOGRAPHS, disable=None):
        for setting in released.settings():
            begin = time.perf_counter()
            labels = released.compute(name, setting)
            seconds = round(time.perf_counter() - begin, 2)
            write_label(released.path(name, setting), labels, voc_palette())
            done.setdefault(name, {})[setting] = figures(name, labels) | {"seconds": seconds}
    for how, labels in released.mosaic_labels().items():
        write_label(released.path("mosaic", how), labels, voc_palette())
    fields = {
        f"{name}-{what}": np.sqrt(field / field.max()).astype(np.float16)[::2, ::2]
        for name in released.LOOKING
        for what in ("unit", "score")
        for field in (released.looks(name, what),)
    }
    write_arrays("fields.npz", fields)
    front = [Shown(n, photograph(n), released.committed(n)) for n in released.FRONT]
    with new_file(FOLDER.parents[1] / "photographs.png") as file:
        file.write(side_by_side(front, "three photographs").png())
    machine = f"{platform.machine()}, one thread, torch {torch.__version__}"
    write_json(FOLDER / "figures.json", {"network": released.NAME, "machine": machine, "of": done})


if __name__ == "__main__":
    main()
