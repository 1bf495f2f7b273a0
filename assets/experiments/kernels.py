"""Kernels of the dense CRF for the networks that get one: searched, and kept in a file.

Each network is trained with a seed of its own and its CRF is searched on validation scenes, so that
neither the seeds nor the scenes of the experiments have a say. The papers fix the smoothness kernel
at 3 pixels and weight 3, which wipes out lines 3 pixels thin; a narrow one is tried as well.
"""

from collections.abc import Sequence

import numpy as np
import torch
from storage import FOLDER, read_json, write_json
from training import TRAIN, VALIDATION, fingerprint, scenes, trained

from dlseg.crf import (
    Kernel,
    Ranges,
    Search,
    appearance,
    iou_score,
    search_kernels,
    smoothness,
)
from dlseg.data import MEAN, STD, to_tensors
from dlseg.inference import probabilities
from support.networks import NETWORKS

FILE = FOLDER.parent / "crf_kernels.json"
SEED, COUNT = 1000, 40  # scenes searched on
RANGES = Ranges((0.5, 1, 2, 4), (4, 8, 16, 32), (8, 16, 32))
SMOOTH = ((3, 3), (1, 1))  # sxy, weight


def kernels_for(name: str, device: torch.device | str = "cpu") -> list[Kernel]:
    """The kernels for a network by name: from the file, or searched now and written there."""
    network = NETWORKS[name]
    settings = RANGES, SMOOTH, COUNT
    made_of = fingerprint(network, network.recipe(SEED), scenes(TRAIN), settings)
    best = read_json(FILE).get(name, {})
    if best.get("made_of") != made_of:
        best = {"made_of": made_of, **search(name, device)}
        write_json(FILE, read_json(FILE) | {name: best})
    return [
        smoothness(best["smooth_sxy"], best["smooth_weight"]),
        appearance(best["sxy"], best["srgb"], best["weight"]),
    ]


def search(name: str, device: torch.device | str) -> dict:
    """Train the network and try the kernels, those of the papers' ranges shrunk to 96 pixels."""
    model, _ = trained(name, SEED, scenes(TRAIN), device)
    samples = [_sample(model, *scenes(VALIDATION)[i]) for i in range(COUNT)]
    score = iou_score(samples, device=device)
    tried = [search_kernels(score, RANGES, 1, smoothness(*one)) for one in SMOOTH]
    best = max(range(len(tried)), key=lambda number: tried[number].best.score)
    return {
        "mean_iou_before": round(_before(samples), 4),
        "mean_iou": round(tried[best].best.score, 4),
        "smooth_sxy": SMOOTH[best][0],
        "smooth_weight": SMOOTH[best][1],
        **_values(tried[best]),
        "tried": sum(len(one.tries) for one in tried),
        "scenes": COUNT,
        "seed": SEED,
    }


def _values(found: Search) -> dict:
    return {name: getattr(found.best, name) for name in ("weight", "sxy", "srgb")}


def _sample(model: torch.nn.Module, image: np.ndarray, label: np.ndarray):
    """Log probabilities, image and labels of one scene, as `iou_score` takes them."""
    like = next(model.parameters())
    x, labels = to_tensors(image, label, MEAN, STD)
    logits = probabilities(model, x[None].to(like))[0].clamp(min=1e-12).log().cpu()
    return logits, torch.from_numpy(image).permute(2, 0, 1), labels


def _before(samples: Sequence) -> float:
    """Mean IoU without CRF: no iterations."""
    return iou_score(samples, iterations=0)([smoothness()])
