"""Train the small backbone of chapter 16: python assets/experiments/small_backbone.py

A MobileNetV2 of a quarter of the channels learns to find drawn shapes on the book's photographs,
as the front of a small DeepLab v3+. What is kept, in assets/results/small_backbone.npz, is the
backbone alone, its numbers as float16: less than 0.3 MB.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

from dlseg.aside import new_file
from dlseg.backbones import MobileNetV2
from dlseg.data import PHOTOGRAPHS, photograph
from dlseg.models import DeepLabV3Plus
from dlseg.training import Recipe, evaluate, train

OUT = Path("assets/results/small_backbone.npz")
SIDE, FINE = 129, 2  # pixels; shapes are drawn so many times as large
SHAPES = ("disc", "ring", "square", "triangle", "star", "cross", "bar", "crescent")
RECIPE = Recipe(
    iterations=4000,
    batch_size=16,
    learning_rate=3e-3,
    optimiser="adamw",
    crop_size=SIDE,
    colour=0.3,
    weight_decay=1e-2,
)


def outline(kind: str, draw: ImageDraw.ImageDraw, r: float, rng: np.random.Generator) -> None:
    """Draw the shape, of radius r around (r, r), in white."""
    turn = rng.uniform(0, 2 * np.pi)
    if kind in ("disc", "ring", "crescent"):
        draw.ellipse((0, 0, 2 * r, 2 * r), fill=255)
        inner = {"disc": 0, "ring": rng.uniform(0.4, 0.75), "crescent": 0.8}[kind] * r
        away = 0.45 * r if kind == "crescent" else 0
        x, y = r + away * np.cos(turn), r + away * np.sin(turn)
        if inner:
            draw.ellipse((x - inner, y - inner, x + inner, y + inner), fill=0)
        return
    if kind in ("cross", "bar"):
        thin = rng.uniform(0.12, 0.25) * r
        for angle in (turn, turn + np.pi / 2)[: 1 + (kind == "cross")]:
            step = np.array([np.cos(angle), np.sin(angle)])
            side = thin * np.array([-step[1], step[0]])
            corners = [r * step + side, r * step - side, -r * step - side, -r * step + side]
            draw.polygon([tuple(r + corner) for corner in corners], fill=255)
        return
    points = {"square": 4, "triangle": 3, "star": 10}[kind]
    angles = turn + 2 * np.pi * np.arange(points) / points
    radii = np.where(np.arange(points) % 2, 0.45 if kind == "star" else 1, 1) * r
    draw.polygon(
        [(r + a * np.cos(t), r + a * np.sin(t)) for a, t in zip(radii, angles, strict=True)],
        fill=255,
    )


class Shapes:
    """Drawn shapes on pieces of photographs, filled with colours or with other pieces.

    Picture i is a function of (seed, i). A data set as `dlseg.data` has them.
    """

    classes, num_classes, ignore_index = ("background", *SHAPES), 1 + len(SHAPES), 255

    def __init__(self, count: int, seed: int):
        self.count, self.seed = count, seed
        self.photographs = [Image.fromarray(photograph(name, None)) for name in PHOTOGRAPHS]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self.seed, index])
        image, labels = self.piece(rng), Image.new("L", (SIDE, SIDE))
        for _ in range(rng.integers(2, 7)):
            self.lay(image, labels, int(rng.integers(1, self.num_classes)), rng)
        soft = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1)))
        noisy = np.asarray(soft) + rng.normal(0, rng.uniform(0, 6), (SIDE, SIDE, 1))
        return np.clip(noisy, 0, 255).astype(np.uint8), np.array(labels)

    def piece(self, rng: np.random.Generator) -> Image.Image:
        """A square piece of a photograph, perhaps in a tint."""
        whole = self.photographs[rng.integers(len(self.photographs))]
        side = int(rng.integers(100, min(whole.size)))
        left, top = (int(rng.integers(0, length - side + 1)) for length in whole.size)
        piece = whole.crop((left, top, left + side, top + side)).resize((SIDE, SIDE))
        if rng.random() < 0.5:
            mixed = np.asarray(piece.convert("L"))[..., None] * rng.uniform(0.3, 1.1, 3)
            piece = Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))
        return piece

    def lay(self, image: Image.Image, labels: Image.Image, label: int, rng) -> None:
        """Lay a shape on the image, with a shadow now and then."""
        r = rng.uniform(6, 26)
        shape = Image.new("L", (round(2 * r * FINE) + 1,) * 2)
        outline(SHAPES[label - 1], ImageDraw.Draw(shape), r * FINE, rng)
        shape = shape.resize((round(2 * r) + 1,) * 2, Image.Resampling.BOX)
        place = tuple(int(rng.integers(-r, SIDE - r)) for _ in range(2))
        if rng.random() < 0.5:
            shadow = Image.new("L", image.size)
            shadow.paste(shape.point(lambda a: a * 0.5), (place[0] + 2, place[1] + 2))
            image.paste((0, 0, 0), mask=shadow.filter(ImageFilter.GaussianBlur(1.5)))
        filling = Image.new("RGB", image.size, tuple(rng.integers(0, 256, 3).tolist()))
        filling = Image.blend(filling, self.piece(rng), rng.choice([0, 0.2, 0.5, 0.9]))
        alpha = Image.new("L", image.size)
        alpha.paste(shape, place)
        image.paste(filling, mask=alpha)
        labels.paste(label, mask=alpha.point(lambda a: 255 * (a > 127)))


def network() -> DeepLabV3Plus:
    """The network that the backbone is the front of."""
    torch.manual_seed(0)
    backbone = MobileNetV2(16, width=0.25)
    return DeepLabV3Plus(
        backbone, 1 + len(SHAPES), channels=64, atrous_rates=(2, 4), convolution="separable"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="of checkpoints, to go on with")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    model = network()
    resume = arguments.folder is not None and (arguments.folder / "last.pt").exists()
    train(model, Shapes(10**6, 0), RECIPE, folder=arguments.folder, resume=resume, workers=1)
    matrix = evaluate(model, Shapes(200, 1))
    print(f"mean IoU on 200 other pictures: {matrix.mean_iou():.3f}")
    state = model.backbone.state_dict().values()
    numbers = torch.cat([value.flatten() for value in state if value.is_floating_point()])
    with new_file(arguments.out) as file:
        np.savez_compressed(file, numbers=numbers.numpy().astype(np.float16))
    print(f"{arguments.out}: {len(numbers)} numbers, {arguments.out.stat().st_size / 1e6:.3f} MB")


if __name__ == "__main__":
    main()
