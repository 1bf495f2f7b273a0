"""Chapter 16's walk on CamVid's streets: what each step brings there.

python assets/experiments/streets.py DIR    goes on where it was; DIR: of `dlseg fetch camvid`, or
                                            any folder of it; larger pictures are made 240 px wide

Writes assets/results/streets.json: scores and seconds, never a picture or a weight, for CamVid's
photographs are for non-commercial use. All start from Google's released network; where nothing else
is said its backbone is frozen, and the head trains for 300 steps of 8 pictures.
"""

import argparse
import json
import platform
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from dlseg.aside import new_file
from dlseg.crf import PRESETS, DenseCRF
from dlseg.data import Folder
from dlseg.inference import refined_labels
from dlseg.metrics import ConfusionMatrix
from dlseg.models import build_model, describe, released_weights
from dlseg.training import Recipe, evaluate, take_fitting, train

OUT = Path("assets/results/streets.json")
WIDTH = 240  # pixels
DRIVE, OTHERS = "0016E5", 163  # all that is scored is of it; frames to train on that are not
RECIPE = Recipe(
    iterations=300,
    learning_rate=3e-3,
    optimiser="adamw",
    weight_decay=1e-2,
    crop_size=177,
    flip=False,
    class_weights="sqrt",
    freeze_backbone=True,
    cache_features=True,
)
V3, V3PLUS = "deeplabv3-mobilenetv2", "deeplabv3plus-mobilenetv2"
LIGHT = {"network": V3PLUS, "channels": 96, "atrous_rates": (2, 4, 6)}
# From random weights or the released ones, all layers learn.
WHOLE = {"freeze_backbone": False, "cache_features": False, "flip": True, "learning_rate": 1e-3}
ARMS: dict[str, dict] = {
    "1x1": {"network": V3},
    "1x1, own drive": {"network": V3, "own": True, "count": OTHERS},
    "1x1, other drives": {"network": V3, "own": False, "count": OTHERS},
    "decoder": LIGHT,
    "1x1, no weights": {"network": V3, "class_weights": "none"},
    "1x1, balanced": {"network": V3, "class_weights": "balanced"},
    "1x1, 32 pictures": {"network": V3, "count": 32},
    "whole": {"network": V3, **WHOLE},
    "whole, random weights": {"network": V3, "weights": False, **WHOLE},
}
SEEDS = {"whole": 1, "whole, random weights": 1}  # else 3


class Streets:
    """Frames of CamVid, 240 pixels wide: a data set as `dlseg.data` has them.

    own: of the drive that val is a part of, or of the others; None: of all. count: so many.
    """

    def __init__(self, folder: Path, split: str, own: bool | None = None, count: int | None = None):
        part = Folder(folder, split)
        self.classes, self.ignore_index = part.classes, part.ignore_index
        self.num_classes, self.palette = part.num_classes, part.palette
        allowed = (True, False) if own is None else (own,)
        pairs = [one for one in part.pairs if one.image.stem.startswith(DRIVE) in allowed]
        places = np.linspace(0, len(pairs) - 1, count or len(pairs)).round().astype(int)
        self.pairs = [pairs[place] for place in places]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image, labels = self.pairs[index].read()
        step = round(image.shape[1] / WIDTH)
        if step > 1:
            size = (image.shape[1] // step, image.shape[0] // step)
            image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
        return image, labels[::step, ::step]


def run(
    folder: Path,
    arm: str,
    seed: int,
    network: str,
    own: bool | None = None,
    count: int | None = None,
    weights: bool = True,
    channels: int | None = None,
    atrous_rates: tuple[int, ...] | None = None,
    **changes: object,
) -> dict:
    """One training and its scores."""
    learn, test = Streets(folder, "train", own, count), Streets(folder, "val")
    torch.manual_seed(seed)
    head = (16, 1.0, channels, atrous_rates)
    model = build_model(describe(network, learn.num_classes, *head))
    if weights:
        take_fitting(model, released_weights("deeplabv3-mobilenetv2-voc"), "the released network")
    began = time.perf_counter()
    train(model, learn, replace(RECIPE, seed=seed, **changes))
    seconds = round(time.perf_counter() - began, 1)
    found = {"arm": arm, "seed": seed} | scores(evaluate(model, test)) | {"seconds": seconds}
    if arm == "decoder" and seed == 0:
        found["crf"] = scores(refined(model, test))
    return found


def scores(matrix: ConfusionMatrix) -> dict:
    return {"mean_iou": matrix.mean_iou(), "iou": np.asarray(matrix.iou()).tolist()}


def refined(model: torch.nn.Module, test: Streets) -> ConfusionMatrix:
    """The matrix after a CRF over each frame."""
    matrix = ConfusionMatrix(test.num_classes, test.ignore_index)
    crf = DenseCRF(PRESETS["pydensecrf"])
    for image, labels in (test[index] for index in range(len(test))):
        matrix.update(labels, refined_labels(model, image, crf))
    return matrix


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of CamVid")
    folder = parser.parse_args().folder
    runs = json.loads(OUT.read_text(encoding="utf-8"))["runs"] if OUT.exists() else []
    done = {(one["arm"], one["seed"]) for one in runs}
    wanted = [(arm, seed) for seed in range(3) for arm in ARMS if seed < SEEDS.get(arm, 3)]
    content = {
        "script": "assets/experiments/streets.py",
        "data": "CamVid as released with SegNet, 240 x 180 pixels",
        "classes": list(Streets(folder, "val").classes),
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "runs": runs,
    }
    write(content)
    for arm, seed in tqdm([one for one in wanted if one not in done], disable=None):
        runs.append(run(folder, arm, seed, **ARMS[arm]))
        write(content)


def write(content: dict) -> None:
    with new_file(OUT) as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
