"""The ideas on real streets: python assets/experiments/streets.py [DIR] [--processes 2]

DIR: any folder of CamVid, that of `dlseg fetch camvid` if none is given; larger pictures are made
240 pixels wide. Goes on where it was. Writes assets/results/experiments/streets.json: scores and
seconds, never a picture or a weight, for CamVid's photographs are for non-commercial use.

All but one arm start from Google's released network. Where nothing else is said its backbone is
frozen, the head has random weights, and learns for 300 steps of 8 pictures.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "chapters"))  # for what `measuring` shares

import numpy as np
import torch
from measuring import WIDTHS, Moved, bins, rounded
from PIL import Image
from scipy import ndimage
from seeds import digest, fill
from storage import FOLDER, read_json
from torch import nn

from dlseg.crf import DenseCRF, Kernel, Ranges, iou_score, search_kernels, smoothness
from dlseg.data import MEAN, STD, Folder, to_tensors
from dlseg.fetch import data_folder
from dlseg.inference import label_image, probabilities, refined_labels
from dlseg.metrics import ConfusionMatrix, TrimapCurve
from dlseg.models import (
    DeepLabV3,
    DeepLabV3Plus,
    at_output_stride,
    build_model,
    describe,
    released_weights,
)
from dlseg.training import Recipe, take_fitting, train

OUT = FOLDER / "streets.json"
SEEDS = range(5)
WIDTH = 240  # pixels
DRIVE, OTHERS = "0016E5", 163  # all that is scored is of it; frames to train on that are not
THIN = ("pole", "sign", "pedestrian")
THINGS, SIDES = ("car", "pedestrian", "cyclist"), (0, 8, 16, 32, 240)  # root of a thing's pixels
RELEASED = "deeplabv3-mobilenetv2-voc"
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
RATES, PAPERS = (2, 4, 6), (6, 12, 18)
# What `network` takes, what `Streets` takes, and what the recipe has other than RECIPE.
OWN, OTHER = {"own": True, "count": OTHERS}, {"own": False, "count": OTHERS}
WHOLE = {"freeze_backbone": False, "cache_features": False, "flip": True, "learning_rate": 1e-3}
DECODER = {"decoder": True, "atrous_rates": RATES, "image_pooling": True}
ARMS: dict[str, dict] = {
    "1x1": {},
    "1x1, pooling": {"image_pooling": True},
    "rates 2, 4, 6": {"atrous_rates": RATES},
    "rates 2, 4, 6, pooling": {"atrous_rates": RATES, "image_pooling": True},
    "rates 6, 12, 18": {"atrous_rates": PAPERS},
    "decoder": DECODER,
    "stride 8, 1x1": {"output_stride": 8},
    "stride 8, rates 2, 4, 6": {"output_stride": 8, "atrous_rates": RATES},
    "1x1, pooling, own drive": {"image_pooling": True, **OWN},
    "1x1, pooling, other drives": {"image_pooling": True, **OTHER},
    "rates 2, 4, 6, pooling, own drive": {"atrous_rates": RATES, "image_pooling": True, **OWN},
    "rates 2, 4, 6, pooling, other drives": {"atrous_rates": RATES, "image_pooling": True, **OTHER},
    "decoder, own drive": {**DECODER, **OWN},
    "decoder, other drives": {**DECODER, **OTHER},
    # Google's head as it is but for the last layer, chapter 16's walk.
    "head": {"head": True},
    "head, no weights": {"head": True, "class_weights": "none"},
    "head, balanced": {"head": True, "class_weights": "balanced"},
    "head, 32 pictures": {"head": True, "count": 32},
    "head, own drive": {"head": True, **OWN},
    "head, other drives": {"head": True, **OTHER},
    "whole": {"head": True, **WHOLE},
    "whole, random weights": {"head": True, "weights": False, **WHOLE},
}
FINE, CRF = ", evaluated at 8", " + CRF"
MOVED = {", moved": (16, -7), ", evaluated at 8, moved": (8, -3)}  # output stride, pixels
# Ways to look at a trained arm, each an arm in the file.
VIEWS: dict[str, tuple[str, ...]] = {
    "1x1": (FINE, *MOVED),
    "rates 2, 4, 6": (FINE, *MOVED),
    "rates 2, 4, 6, pooling": (CRF,),
    "decoder": (CRF,),
}
SEARCHED, FRAMES = Ranges((2, 4), (8, 16, 32), (4, 8, 16)), 12  # of the CRF, on training frames
SMOOTH = ((1, 1), (3, 3))  # sxy, weight


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


def network(
    num_classes: int,
    output_stride: int = 16,
    atrous_rates: tuple[int, ...] = (),
    image_pooling: bool = False,
    decoder: bool = False,
    head: bool = False,
) -> nn.Module:
    """A head of 96 channels, random, on MobileNetV2; head: Google's, which chapter 16 takes."""
    if head:
        return build_model(describe("deeplabv3-mobilenetv2", num_classes, output_stride))
    make = DeepLabV3Plus if decoder else DeepLabV3
    return make(
        "mobilenetv2",
        num_classes,
        output_stride=output_stride,
        channels=96,
        atrous_rates=atrous_rates,
        image_pooling=image_pooling,
        convolution="separable",
    )


def trained(folder: Path, arm: str, seed: int) -> tuple[nn.Module, float]:
    """The arm's network, trained, and the seconds that took."""
    options = dict(ARMS[arm])
    learn = Streets(folder, "train", options.pop("own", None), options.pop("count", None))
    weights = released_weights(RELEASED) if options.pop("weights", True) else {}
    changes = {name: options.pop(name) for name in tuple(options) if name in asdict(RECIPE)}
    torch.manual_seed(seed)
    model = network(learn.num_classes, **options)
    if not options.get("head"):
        weights = {name: one for name, one in weights.items() if name.startswith("backbone.")}
    if weights:
        take_fitting(model, weights, "the released network")
    began = time.process_time()
    train(model, learn, replace(RECIPE, seed=seed, **changes))
    return model.eval(), time.process_time() - began


def looked_at(model: nn.Module, arm: str, view: str, kernels: list) -> Callable:
    """A function from an image (H, W, 3) to its labels (H, W); view: "" or one of VIEWS."""
    if view == CRF:
        return partial(refined_labels, model, crf=DenseCRF(kernels))
    stride, pixels = MOVED.get(view, (8 if view == FINE else 16, 0))
    if stride == 8 and view:
        build = partial(network, model.num_classes, **ARMS[arm])
        model = at_output_stride(model, lambda stride: build(output_stride=stride), stride)
    return partial(label_image, Moved(model, pixels) if pixels else model)


def measure(labels_of: Callable, test: Streets) -> dict:
    """All that is said of a way to label the frames of `test`."""
    matrix = ConfusionMatrix(test.num_classes, test.ignore_index)
    trimap = TrimapCurve(WIDTHS, test.num_classes, test.ignore_index, source="labels")
    right, of = np.zeros(len(SIDES) - 1), np.zeros(len(SIDES) - 1)
    for image, labels in (test[index] for index in range(len(test))):
        found = labels_of(image)
        matrix.update(labels, found)
        trimap.update(labels, found)
        for name in THINGS:
            mask = labels == test.classes.index(name)
            parts, count = ndimage.label(mask)
            pixels = np.bincount(parts.ravel(), minlength=count + 1)[1:]
            good = np.bincount(parts[found == labels], minlength=count + 1)[1:]
            which = np.digitize(np.sqrt(pixels), SIDES) - 1
            np.add.at(of, which, pixels)
            np.add.at(right, which, good)
    iou = dict(zip(test.classes, matrix.iou().tolist(), strict=True))
    return rounded(
        {
            "mean_iou": matrix.mean_iou(),
            "pixel_accuracy": matrix.pixel_accuracy(),
            "thin_iou": float(np.mean([iou[name] for name in THIN])),
            "iou": iou,
            "trimap_iou": trimap.mean_iou(),
            "trimap_accuracy": trimap.pixel_accuracy(),
            "found_by_side": dict(zip(bins(SIDES), (right / of).tolist(), strict=True)),
        }
    )


def search(folder: Path) -> list[Kernel]:
    """The CRF's kernels: the best on frames of the training, with a network of another seed."""
    model, _ = trained(folder, "decoder", 1000)
    learn, samples = Streets(folder, "train", count=FRAMES), []
    for image, labels in (learn[index] for index in range(FRAMES)):
        x, labels = to_tensors(image, labels, MEAN, STD)
        logits = probabilities(model, x[None])[0].clamp(min=1e-12).log()
        samples.append((logits, torch.from_numpy(image.copy()).permute(2, 0, 1), labels))
    tried = [search_kernels(iou_score(samples), SEARCHED, 1, smoothness(*one)) for one in SMOOTH]
    return list(max(tried, key=lambda one: one.best.score).kernels)


def run(folder: Path, kernels: list[Kernel], job: tuple[str, int]) -> list[dict]:
    """Train one arm with one seed, and measure it and its views."""
    arm, seed = job
    model, seconds = trained(folder, arm, seed)
    test, found = Streets(folder, "val"), []
    for view in ("", *VIEWS.get(arm, ())):
        scores = measure(looked_at(model, arm, view, kernels), test)
        found.append({"arm": arm + view, "seed": seed, **scores, "seconds": round(seconds, 1)})
        seconds = 0.0  # a view is not trained
    return found


def about(folder: Path, split: str) -> dict:
    """Which frames, and the SHA-256 of their pixels and labels."""
    frames = Streets(folder, split)
    arrays = (array for index in range(len(frames)) for array in frames[index])
    return {"split": split, "count": len(frames), "sha256": digest(arrays)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="of CamVid; the fetched one if none")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    folder = (arguments.folder or data_folder("camvid")).absolute()
    if not folder.is_dir():
        print(f"There is no CamVid in {folder} (dlseg fetch camvid): nothing is done.")
        return
    kernels = kept_kernels(folder)
    content = {
        "source": "CamVid as released with SegNet, 240 x 180 pixels; Google's network of VOC",
        "recipe": asdict(RECIPE),
        "train": about(folder, "train"),
        "test": about(folder, "val"),
        "kernels": [asdict(one) for one in kernels],
    }
    views = [arm + view for arm, some in VIEWS.items() for view in some]
    work = partial(run, folder, kernels)
    fill(OUT, content, list(ARMS), work, None, views, SEEDS, arguments.processes)


def kept_kernels(folder: Path) -> list[Kernel]:
    """Those of the file, or searched now."""
    kept = read_json(OUT).get("kernels")
    return [Kernel(**one) for one in kept] if kept else search(folder)


if __name__ == "__main__":
    main()
