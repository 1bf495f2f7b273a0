"""Pictures of chapter 16."""

import csv
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image, ImageSequence

from dlseg.book import CYCLE, Picture, from_figure, new_figure
from dlseg.data import Folder, read_label
from dlseg.inference import label_image
from dlseg.training import load_network
from support.maps import hexadecimal
from support.results import load, spread
from support.shown import Shown, side_by_side
from support.your_own_pictures import lost, walk
from support.your_own_pictures.desk import Desk

WORDS = {label: (name, hexadecimal(lost.PALETTE[label])) for label, name in enumerate(lost.CLASSES)}
MASKS = "the masks"
WAYS = [MASKS, *(arm for arm in walk.ARMS if "count" not in walk.ARMS[arm])]


def of_arm(arm: str) -> Picture:
    """Three test pictures under what the networks of an experiment's arm say, or MASKS."""
    items, scores = [], [] if arm == MASKS else walk.runs(arm)
    for index in walk.SHOWN:
        image, labels = lost.picture(walk.TEST[index])
        if arm != MASKS:
            labels = read_label(walk.map_path(arm, index), len(lost.CLASSES))
        items.append(Shown("", image, labels))
    title = f"{arm}: mean IoU {spread(scores)}" if scores else arm
    items[0] = items[0]._replace(title=title)
    alt = f"Three test pictures under their labels; {title}."
    return side_by_side(items, alt, light=True, words=WORDS)


def of_count(count: int) -> Picture:
    """The same for a training on so many pictures, one of walk.COUNTS or 80."""
    return of_arm(f"sqrt, {count} pictures" if count in walk.COUNTS else "one list, sqrt")


def all_arms() -> Picture:
    """The mean IoU of every training of the experiment, a row for each arm."""
    arms = list(walk.ARMS)
    figure, axes = new_figure(height=3.4)
    for row, arm in enumerate(arms):
        scores = walk.runs(arm)
        axes.plot(scores, [row] * len(scores), "o", color=CYCLE[0])
        axes.plot([median(scores)], [row], marker="|", markersize=14, color=CYCLE[1], linestyle="")
    axes.set(yticks=range(len(arms)), yticklabels=arms, xlabel="mean IoU on 60 other pictures")
    axes.set(title="a point for each seed, a bar at the median")
    axes.invert_yaxis()
    told = "; ".join(f"{arm} {spread(walk.runs(arm))}" for arm in arms)
    return from_figure(figure, f"A row of points for each way to train. {told}.")


def worst(desk: Desk, run: str) -> Picture:
    """The worst picture of worst.csv under its mask, and under what the network of a run says."""
    with (desk / "worst.csv").open(encoding="utf-8", newline="") as file:
        name = next(csv.DictReader(file))["picture"].rpartition("/")[2]
    image, mask = lost.read(desk / "mended", name.removesuffix(".jpg"))
    found = label_image(load_network(desk / run / "last.pt")[0], image)
    items = [Shown(f"{name}: its mask", image, mask), Shown("the network", image, found)]
    said = [
        ", ".join(WORDS[label][0] for label in np.unique(one) if label) for one in (mask, found)
    ]
    alt = (
        f"The picture {name} twice: under its mask ({said[0]}) and under the network's ({said[1]})."
    )
    return side_by_side(items, alt, light=True, words=WORDS, tallest=220)


def clip(desk: Desk, places: tuple[int, ...] = (0, 5, 11)) -> Picture:
    """Frames of clip.gif under the labels that `dlseg predict` wrote into the folder clip."""
    with Image.open(desk / "clip.gif") as film:
        frames = [np.array(one.convert("RGB")) for one in ImageSequence.Iterator(film)]
    items = [
        Shown(f"frame {place}", frames[place], read_label(path, len(lost.CLASSES)))
        for place, path in ((place, desk / f"clip/clip-{place:05}-index.png") for place in places)
    ]
    alt = "Frames of the clip under the labels of the network."
    return side_by_side(items, alt, light=True, words=WORDS)


def streets_table(arms: tuple[str, ...] = walk.STREET_ARMS) -> str:
    """The experiment on CamVid, a line for each way to train."""
    of = load("streets")
    return "\n".join(f"{arm:22} {of.median_and_range(arm, 'mean_iou')}" for arm in arms)


def crf_table() -> str:
    """IoU of every class of CamVid with the decoder, and what a CRF behind it adds."""
    of, lines = load("streets"), [f"{'':12} {'before':24} gained by the CRF"]
    for measure in ("mean_iou", *(f"iou/{name}" for name in of.content["runs"][0]["iou"])):
        before = of.median_and_range("decoder", measure)
        gained = of.compare("decoder + CRF", "decoder", measure).spread
        lines.append(f"{measure.removeprefix('iou/'):12} {before!s:24} {gained}")
    return "\n".join(lines)


def street(desk: Desk, folder: Path) -> Picture:
    """A frame of CamVid's val: its mask, and the labels of the network in the folder streets."""
    dataset, (model, _) = Folder(folder, "val"), load_network(desk / "streets/last.pt")
    image, mask = dataset[0]
    words = {
        label: (name, hexadecimal(dataset.palette[label]))
        for label, name in [*enumerate(dataset.classes), (dataset.ignore_index, "void")]
    }
    items = [Shown("the mask", image, mask), Shown("the network", image, label_image(model, image))]
    return side_by_side(
        items, "A street under its mask and under the network's labels.", words=words
    )
