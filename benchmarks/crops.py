"""How many training crops a second, beside torchvision's transforms of the second version.

    python benchmarks/crops.py --json assets/results/crops.json
    python benchmarks/crops.py --pictures 20 --rounds 1                              (a glance)

Crops of 513 pixels with scale (0.5 to 2), flip, brightness, contrast and saturation of 200 drawn
pictures of about 500 x 375, one thread. Ours are those of `Recipe(crop_size=513, scale=(0.5, 2),
colour=0.2)`; the peer's are `ScaleJitter`, `RandomCrop(pad_if_needed=True)`,
`RandomHorizontalFlip`, `ColorJitter`, on uint8 tensors with `tv_tensors.Mask`: as planes, and as
`to_image` makes them, of which the faster counts. All run in turns on the same pictures, so that
whatever else the machine does meets all; seconds of work count, and the ratio is the median over
the rounds. Decoding is told apart: the same pictures as JPEG with an index PNG, by
`dlseg.data` with its checks, and by Pillow without any.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import torch
from PIL import Image

from dlseg.aside import new_file
from dlseg.data import read_image, read_label, write_label
from dlseg.training import Recipe
from dlseg.training.loader import augmentation

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.peers import load_torchvision

CROP, SCALE, COLOUR, VOID, CLASSES = 513, (0.5, 2.0), 0.2, 255, 21
Pair = tuple[np.ndarray, np.ndarray]


def drawn(number: int) -> Pair:
    """A picture of smooth colours and its labels, of VOC's size, every third one upright."""
    rng = np.random.default_rng(number)
    size = (375, 500) if number % 3 == 0 else (500, 375)  # width, height
    colours = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    labels = Image.fromarray(rng.integers(0, CLASSES, (8, 8), dtype=np.uint8))
    return (
        np.array(colours.resize(size, Image.Resampling.BICUBIC)),
        np.array(labels.resize(size, Image.Resampling.NEAREST)),
    )


def ours(pairs: list[Pair]) -> Callable[[], None]:
    """One crop of each picture, as the engine's loader makes it."""
    recipe = Recipe(crop_size=CROP, scale=SCALE, colour=COLOUR)
    transform = augmentation(recipe, VOID)

    def run() -> None:
        for place, (image, label) in enumerate(pairs):
            image, label = transform(image, label, np.random.default_rng([0, place]))
            torch.from_numpy(image), torch.from_numpy(label)

    return run


def torchvisions(pairs: list[Pair], planes: bool) -> Callable[[], None]:
    """The same by torchvision, of tensors in planes, or with channels last as `to_image` leaves."""
    from torchvision import tv_tensors
    from torchvision.transforms import v2

    samples = []
    for image, label in pairs:
        tensor = torch.from_numpy(image).permute(2, 0, 1)
        tensor = tensor.contiguous() if planes else tensor
        samples.append((tv_tensors.Image(tensor), tv_tensors.Mask(torch.from_numpy(label))))
    fill = {tv_tensors.Image: 0, tv_tensors.Mask: VOID}
    jitter = {
        shape: v2.ScaleJitter(target_size=shape, scale_range=SCALE) for shape in sizes_of(pairs)
    }
    rest = v2.Compose(
        [
            v2.RandomCrop(CROP, pad_if_needed=True, fill=fill),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(COLOUR, COLOUR, COLOUR),
        ]
    )

    def run() -> None:
        for image, mask in samples:
            rest(*jitter[tuple(mask.shape)](image, mask))

    return run


def sizes_of(pairs: list[Pair]) -> set[tuple[int, int]]:
    """Heights and widths: to scale by a factor, ScaleJitter needs a picture's own."""
    return {label.shape for _, label in pairs}


def decoding(pairs: list[Pair], folder: Path) -> dict[str, Callable[[], None]]:
    """Both ways to read the pictures, from files written here."""
    files = []
    for number, (image, label) in enumerate(pairs):
        files.append((folder / f"{number}.jpg", folder / f"{number}.png"))
        Image.fromarray(image).save(files[-1][0], quality=90)
        write_label(files[-1][1], label)

    def checked() -> None:
        for image, label in files:
            read_image(image), read_label(label, CLASSES)

    def plain() -> None:
        for image, label in files:
            np.array(Image.open(image).convert("RGB")), np.array(Image.open(label))

    return {"decoding, ours": checked, "decoding, Pillow": plain}


def in_turns(calls: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of work of every call, in each round; one round to warm up."""
    seconds = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            begin = time.process_time()
            call()
            if number:
                seconds[name].append(time.process_time() - begin)
    return seconds


def measure(count: int, rounds: int) -> dict:
    """Pictures a second of each way, and the ratio of ours to the peer's faster one."""
    pairs = [drawn(number) for number in range(count)]
    calls = {"ours": ours(pairs)}
    for name, planes in (("torchvision, planes", True), ("torchvision, channels last", False)):
        calls[name] = torchvisions(pairs, planes)
    with tempfile.TemporaryDirectory() as folder:
        seconds = in_turns(calls | decoding(pairs, Path(folder)), rounds)
    peer = min(list(calls)[1:], key=lambda name: median(seconds[name]))
    ratios = [theirs / own for own, theirs in zip(seconds["ours"], seconds[peer], strict=True)]
    rates = {name: round(count / median(times), 1) for name, times in seconds.items()}
    ratio = {"ratio": median(ratios), "least": min(ratios), "most": max(ratios)}
    return {"a second": rates, "peer": peer} | {n: round(v, 3) for n, v in ratio.items()}


def main() -> None:
    """Read the arguments, measure, print, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5, help="of each, in turns")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        load_torchvision()
    except pytest.skip.Exception as reason:
        print(f"crops left out: {reason}")
        return
    result = measure(arguments.pictures, arguments.rounds)
    for name, rate in result["a second"].items():
        print(f"{name:27} {rate:7.1f} a second")
    print(
        f"crops, ours by {result['peer']}: ratio {result['ratio']:.2f} "
        f"({result['least']:.2f} to {result['most']:.2f})  goal 1.0 or more"
    )
    if arguments.json:
        about = {"torch": torch.__version__, "machine": platform.machine(), "threads": 1}
        about |= {"pictures": arguments.pictures, "rounds": arguments.rounds}
        with new_file(arguments.json) as file:
            file.write(f"{json.dumps(about | result, indent=1)}\n".encode())


if __name__ == "__main__":
    main()
