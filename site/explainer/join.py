"""The script of the page "DeepLab Explainer": its files joined, with the numbers of the network."""

import base64
import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
WORKER = ("draws", "scene", "tensor", "network", "crf", "worker")
PAGE = ("parts", "hands", "page", "why", "kernels", "missions", "start")


def script(names: list[tuple[str, list[int]]], numbers: np.ndarray, palette: list[str]) -> str:
    """All of the page in one classic script, which a browser takes from a disk too.

    names: entries of the network's state dict and their shapes, in the order of numbers, float16.
    palette: "#rrggbb" of each class.
    """
    packed = base64.b64encode(numbers.astype("<f2").tobytes()).decode("ascii")
    data = {"names": names, "numbers": packed, "palette": palette}
    worker = "\n".join(_file(name) for name in WORKER)
    parts = [
        f"self.DL_DATA = {json.dumps(data)};",
        f"self.DL_WORKER = {json.dumps(worker)};",
        worker,
        *map(_file, PAGE),
    ]
    return "\n".join(parts)


def _file(name: str) -> str:
    return (HERE / f"{name}.js").read_text(encoding="utf-8")
