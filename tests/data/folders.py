"""Small folders of Pascal VOC and Cityscapes in their true form."""

from pathlib import Path

import numpy as np
from PIL import Image

from dlseg.data.cityscapes import label_of
from dlseg.data.palette import voc_palette

HEIGHT, WIDTH = 6, 9
VOC_LISTS = {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033"]}
VOC_LISTS["trainval"] = sorted(VOC_LISTS["train"] + VOC_LISTS["val"])
STREETS = {
    "train": ["aachen_000000_000019", "bochum_000000_000313"],
    "val": ["munster_000000_000019"],
}


def random_image(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def random_labels(seed: int, highest: int) -> np.ndarray:
    """All of 0 .. highest that find room, in a random order."""
    values = np.arange(HEIGHT * WIDTH) % (highest + 1)
    return np.random.default_rng(seed).permutation(values).reshape(HEIGHT, WIDTH).astype(np.uint8)


def save_palette_png(path: Path, label: np.ndarray) -> None:
    """As VOC's own masks are: indices with its palette; by Pillow alone."""
    image = Image.fromarray(label)
    image.putpalette(voc_palette().tobytes())
    assert image.mode == "P"
    image.save(path)


def write_voc(root: Path) -> Path:
    """VOCdevkit/VOC2012 below root, with three images and their masks; returns it."""
    folder = root / "VOCdevkit" / "VOC2012"
    lists = folder / "ImageSets" / "Segmentation"
    for part in (lists, folder / "JPEGImages", folder / "SegmentationClass"):
        part.mkdir(parents=True)
    for split, names in VOC_LISTS.items():
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    for seed, name in enumerate(VOC_LISTS["trainval"]):
        Image.fromarray(random_image(seed)).save(folder / "JPEGImages" / f"{name}.jpg")
        label = random_labels(seed, 20)
        label[0] = 255
        save_palette_png(folder / "SegmentationClass" / f"{name}.png", label)
    return folder


def write_aug(folder: Path) -> list[str]:
    """trainaug beside what `write_voc` made: grey indices, one image more; returns its names."""
    names = [*VOC_LISTS["train"], "2008_000002"]
    (folder / "SegmentationClassAug").mkdir()
    Image.fromarray(random_image(9)).save(folder / "JPEGImages" / "2008_000002.jpg")
    for seed, name in enumerate(names):
        mask = Image.fromarray(random_labels(10 + seed, 20))
        assert mask.mode == "L"
        mask.save(folder / "SegmentationClassAug" / f"{name}.png")
    (folder / "ImageSets" / "Segmentation" / "trainaug.txt").write_text("\n".join(names))
    return names


def write_cityscapes(root: Path) -> Path:
    """leftImg8bit and gtFine in root, with three images, and the other files beside the masks."""
    seed = 0
    for split, names in STREETS.items():
        for name in names:
            city = root / "leftImg8bit" / split / name.split("_")[0]
            image = city / f"{name}_leftImg8bit.png"
            mask = label_of(image)
            image.parent.mkdir(parents=True)
            mask.parent.mkdir(parents=True)
            Image.fromarray(random_image(seed)).save(image)
            Image.fromarray(random_labels(seed, 33)).save(mask)
            Image.fromarray(random_image(seed)).save(mask.parent / f"{name}_gtFine_color.png")
            (mask.parent / f"{name}_gtFine_polygons.json").write_text("{}")
            seed += 1
    return root


def write_own(root: Path, splits: bool = True) -> Path:
    """images and masks of five pictures with three classes in root, split by folders or not."""
    for part, seeds in {"train": range(3), "val": range(3, 5)}.items():
        for seed in seeds:
            name = f"{part}/{seed}" if splits else f"{seed}"
            for folder, array, end in (
                ("images", random_image(seed), "jpg"),
                ("masks", random_labels(seed, 2), "png"),
            ):
                path = root / folder / f"{name}.{end}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)
    (root / "classes.txt").write_text("sky\nroad\ncar\n")
    return root
