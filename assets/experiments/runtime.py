"""Google's own runtime beside our float32, on photographs: python assets/experiments/runtime.py

Needs the weights, `dlseg fetch deeplabv3-mobilenetv2-voc`, and the package ai-edge-litert
(`make parity`); takes a minute. The runtime computes with integers of 8 bits, and its file takes
squares of 513 pixels alone. Writes to assets/results/photographs, where the maps are that
photographs.py makes, both labels of the coffee and runtime.json: of each photograph the
labels that are equal, with the runtime's fast kernels and with its plain ones, by how much the two
best of our logits differ, and how far the plain runtime's coarse logits lie from ours; of each
convolution the distance of its map from ours and its step, both of the size of the map.
"""

import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "chapters"))  # for what chapters share

import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from storage import write_json
from torch import Tensor, nn
from tqdm import tqdm

from dlseg.book import find_root
from dlseg.data import PHOTOGRAPHS, normalise, voc_palette, write_label
from dlseg.fetch import at_hand
from dlseg.models import RELEASED
from support import released

FOLDER = find_root(Path(__file__).parent) / released.RESULTS


class Runtime:
    """The released file in Google's runtime.

    fast: with the kernels that it chooses by itself; else every map can be asked for afterwards.
    """

    def __init__(self, fast: bool):
        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self.inner = Interpreter(
            str(at_hand(RELEASED[released.NAME].weights.file)),
            experimental_op_resolver_type=OpResolverType.AUTO if fast else plain,
            experimental_preserve_all_tensors=not fast,
        )
        self.inner.allocate_tensors()
        self.entries = {entry["index"]: entry for entry in self.inner.get_tensor_details()}

    def labels(self, image: np.ndarray) -> np.ndarray:
        """Of an image, uint8 (513, 513, 3): uint8 (513, 513)."""
        self.inner.set_tensor(self.inner.get_input_details()[0]["index"], image[None])
        self.inner.invoke()
        place = self.inner.get_output_details()[0]["index"]
        return self.inner.get_tensor(place)[0].astype(np.uint8)

    def maps(self) -> list[tuple[Tensor, float, float]]:
        """What each convolution gave, (1, C, H, W), and the least and largest it can."""
        operators = [op for op in self.inner._get_ops_details() if "CONV_2D" in op["op_name"]]
        return [self._meant(op["outputs"][0]) for op in operators]

    def _meant(self, index: int) -> tuple[Tensor, float, float]:
        scale, zero = self.entries[index]["quantization"]
        values = (self.inner.get_tensor(index).astype(np.float64) - zero) * scale
        return torch.from_numpy(values).permute(0, 3, 1, 2), -zero * scale, (255 - zero) * scale


def our_maps(x: Tensor) -> list[Tensor]:
    """What each convolution of our network gives, behind its bias and before ReLU6."""
    model, found = released.network(), {}
    names = [name for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)]
    layers = [dict(model.named_modules())[name] for name in names] + [model.classifier[-1]]
    hooks = [
        layer.register_forward_hook(
            lambda _m, _x, y, place=place: found.update({place: y.double()})
        )
        for place, layer in enumerate(layers)
    ]
    model(x)
    for hook in hooks:
        hook.remove()
    return [found[place] for place in range(len(layers))]


def compared(fast: Runtime, plain: Runtime, name: str) -> dict:
    """What runtime.json says of a photograph."""
    image = released.square(name)
    theirs, others, x = fast.labels(image), plain.labels(image), normalise(image)[None]
    best = released.network()(x)[0].topk(2, dim=0)
    margin, same = (best.values[0] - best.values[1]).numpy(), best.indices[0].numpy() == theirs
    pairs = list(zip(our_maps(x), plain.maps(), strict=True))
    apart = [distance(y.clamp(low, high), z) for y, (z, low, high) in pairs]
    steps = [(high - low) / 255 / z.square().mean().sqrt().item() for _, (z, low, high) in pairs]
    logits = (pairs[-1][0] - pairs[-1][1][0]).abs()
    return {
        "same": round(float(same.mean()), 4),
        "same, plain kernels": round(float((best.indices[0].numpy() == others).mean()), 4),
        "fast and plain": round(float((theirs == others).mean()), 4),
        "sure": round(float((margin > 1).mean()), 4),
        "sure and same": bool(same[margin > 1].all()),
        "largest margin of another label": round(float(margin[~same].max(initial=0)), 2),
        "logits": {
            "mean": round(logits.mean().item(), 3),
            "largest": round(logits.max().item(), 2),
        },
        "layers": [round(value, 4) for value in apart],
        "steps": [round(value, 4) for value in steps],
    }


def distance(ours: Tensor, theirs: Tensor) -> float:
    """The root mean square of the difference, of that of the map."""
    return ((ours - theirs).square().mean() / theirs.square().mean()).sqrt().item()


@torch.no_grad()
def main() -> None:
    """Compare on all photographs, and write what was found."""
    fast, plain = Runtime(fast=True), Runtime(fast=False)
    found = {name: compared(fast, plain, name) for name in tqdm(PHOTOGRAPHS, disable=None)}
    coffee = released.square("coffee")
    ours = released.network()(normalise(coffee)[None]).argmax(1)[0].numpy().astype(np.uint8)
    for how, labels in (("square", ours), ("runtime", fast.labels(coffee))):
        write_label(released.path("coffee", how), labels, voc_palette())
    machine = f"{platform.machine()}, torch {torch.__version__}"
    write_json(FOLDER / "runtime.json", {"machine": machine, "of": found})


if __name__ == "__main__":
    main()
