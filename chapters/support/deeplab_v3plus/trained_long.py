"""Chapter 11: the small DeepLab v3+ whose weights come with the book, on scenes and on trains."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import nn

from dlseg.book import Picture
from dlseg.data import MEAN, PALETTE, STD, Scenes, Trains, to_tensors
from dlseg.training import evaluate
from support import distances, small_networks
from support.maps import RIGHT_KEY, SCENE_KEY, panels, right_and_wrong
from support.trains_shown import TRAIN_KEY

SHOWN, RATES = (8, 19, 36, 47), ("1, 1, 1", "2, 4, 6", "4, 8, 12")
_network, _scenes = cache(small_networks.load), cache(lambda count: Scenes(count, "test"))


def summary(name: str) -> str:
    """How the network was trained, "scenes" or "trains", and what it reaches on others."""
    about = small_networks.about(name)
    count = sum(one.numel() for one in _network(name).parameters())
    each = ", ".join(f"{key} {iou:.2f}" for key, iou in about["iou"].items())
    return (
        f"{count:,} parameters, {about['recipe']['iterations']:,} steps, "
        f"{about['train']['count']:,} pictures, {about['hours']:.1f} hours of one thread\n"
        f"mean IoU on {about['test']['count']:,} others {about['rounded']:.3f}: {each}"
    )


def scene_picture(scene: int, rates: str) -> Picture:
    """A test scene, its labels, what the network answers with these rates, and where it is right.

    rates: three numbers with commas between, units of the map at output stride 8.
    """
    network = small_networks.with_rates(_network("scenes"), [int(one) for one in rates.split(",")])
    image, labels = _scenes(60)[scene]
    return _answered(network, image, labels, PALETTE, f"scene {scene}", f"rates {rates}", SCENE_KEY)


def trains_picture() -> Picture:
    """The same of a scene of long trains."""
    scene = distances.test_scenes()[distances.SHOWN[1]]
    palette = Trains.palette
    return _answered(
        _network("trains"), scene.image, scene.label, palette, "trains", "its answer", TRAIN_KEY
    )


def rates_table(count: int = 100) -> str:
    """IoU of each class on some test scenes, a line for each of RATES."""
    lines = [f"{'rates':10}" + "".join(f"{name:>11}" for name in Scenes.classes)]
    for rates in RATES:
        changed = small_networks.with_rates(_network("scenes"), map(int, rates.split(",")))
        iou = evaluate(changed, _scenes(count)).iou()
        lines.append(f"{rates:10}" + "".join(f"{one:11.2f}" for one in iou))
    return "\n".join(lines)


@torch.inference_mode()
def _answered(
    network: nn.Module,
    image: np.ndarray,
    labels: np.ndarray,
    palette: np.ndarray,
    name: str,
    how: str,
    key: Sequence,
) -> Picture:
    x = to_tensors(image, labels, MEAN, STD)[0][None]  # (1, 3, H, W)
    guess = network(x)[0].argmax(0).numpy()
    share = (guess == labels)[labels != 255].mean()
    pictures = [image, palette[labels], palette[guess], right_and_wrong(labels, guess)]
    return panels(
        pictures,
        [name, "its labels", how, f"right: {share:.1%}"],
        f"The picture ({name}), its labels, the answer ({how}): {share:.1%} of the pixels right.",
        [*key, *RIGHT_KEY],
    )
