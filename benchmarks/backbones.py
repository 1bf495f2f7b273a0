"""How long a forward pass of a backbone takes, beside a peer with the same weights.

    python benchmarks/backbones.py --repeats 9 --size 513

Output stride 16, eval mode, one image, on the CPU. Ours and the peer run in turns, so that whatever
else the machine does meets both; the ratio is that of the two medians.

1. ResNet-50 beside torchvision's with `replace_stride_with_dilation`.
2. MobileNetV2 beside timm's with `output_stride=16` (torchvision's has stride 32 only).
3. Xception-65 beside timm's.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
import torch
from torch import Tensor, nn

from dlseg.backbones import MobileNetV2, ResNet, Xception

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.peers import load_timm, load_torchvision

Pair = tuple[nn.Module, Callable[[Tensor], Tensor]]


def resnet50() -> Pair:
    """Ours, and what makes the last map of torchvision's."""
    dense = [False, False, True]
    peer = load_torchvision().models.resnet50(replace_stride_with_dilation=dense).eval()
    model = ResNet(num_classes=1000).eval()
    model.load_state_dict(peer.state_dict())
    return model, nn.Sequential(*list(peer.children())[:-2])  # without pooling and fc


def mobilenet_v2() -> Pair:
    """Ours, and what makes the last map of timm's."""
    options = {"features_only": True, "output_stride": 16, "pretrained": False}
    peer = load_timm().create_model("mobilenetv2_100", **options).eval()
    model = MobileNetV2(16).eval()
    # timm has other names for the same tensors in the same order.
    values = peer.state_dict().values()
    model.load_state_dict(dict(zip(model.state_dict(), values, strict=True)))
    return model, lambda x: peer(x)[-1]


def xception65() -> Pair:
    """Ours, and what makes the last map of timm's."""
    peer = load_timm().create_model("xception65", output_stride=16).eval()
    model = Xception(num_classes=1000).eval()
    model.load_state_dict(peer.state_dict())
    return model, peer.forward_features


def seconds(call: Callable[[Tensor], object], image: Tensor) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    call(image)
    return time.perf_counter() - start


def compare(name: str, pair: Callable[[], Pair], size: int, repeats: int) -> None:
    """Check that both make the same map, and print the median times of both and their ratio."""
    try:
        ours, peer = pair()
    except pytest.skip.Exception as reason:
        print(f"{name:12} left out: {reason}")
        return
    image = torch.rand(1, 3, size, size)
    with torch.no_grad():
        torch.testing.assert_close(ours(image).last, peer(image), rtol=1e-4, atol=1e-5)
        times = [(seconds(ours, image), seconds(peer, image)) for _ in range(repeats)]
    mine, theirs = (median(column) for column in zip(*times, strict=True))
    print(
        f"{name:12} {1e3 * mine:8.1f} ms   peer {1e3 * theirs:8.1f} ms   "
        f"ours / peer = {mine / theirs:.3f}"
    )


def main() -> None:
    """Read the arguments and print the three comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="runs of each, in turns")
    parser.add_argument("--size", type=int, default=513, help="side of the square image, in pixels")
    arguments = parser.parse_args()
    print(f"{arguments.size}x{arguments.size} pixels, {torch.get_num_threads()} threads")
    compare("ResNet-50", resnet50, arguments.size, arguments.repeats)
    compare("MobileNetV2", mobilenet_v2, arguments.size, arguments.repeats)
    compare("Xception-65", xception65, arguments.size, arguments.repeats)


if __name__ == "__main__":
    main()
