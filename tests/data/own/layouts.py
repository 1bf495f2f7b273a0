"""Six pictures with masks in the layouts that people and programs make of them."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from dlseg.data.palette import voc_palette
from tests.data.folders import random_image, random_labels

TRAIN, VAL = ["frame.0001", "my photo", "c", "d"], ["é", "f_1"]
NAMES = TRAIN + VAL
CLASSES = ("_background_", "car", "track")
COLOURS = np.array([[0, 0, 0], [250, 50, 83], [10, 200, 83]], np.uint8)


def picture(name: str) -> np.ndarray:
    return random_image(NAMES.index(name))


def labels(name: str) -> np.ndarray:
    """0 to 2, and in a row 255."""
    found = random_labels(NAMES.index(name), 2)
    found[0] = 255
    return found


def save(path: Path, array: np.ndarray, palette: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if palette is not None:
        image.putpalette(palette.tobytes())
    image.save(path)


def write(root: Path, image: Callable, mask: Callable, names: list[str] = NAMES) -> None:
    """Pictures and masks at the paths that `image` and `mask` give for a name."""
    for name in names:
        save(root / image(name), picture(name))
        save(root / mask(name), labels(name))


def split_of(name: str) -> str:
    return "train" if name in TRAIN else "val"


def two_folders(root: Path) -> None:
    write(root, lambda n: f"images/{n}.jpg", lambda n: f"masks/{n}.png")


def other_names(root: Path) -> None:
    """With capitals, the endings of masks, and names taken apart, as macOS does."""
    apart = {name: unicodedata.normalize("NFD", name) for name in NAMES}
    write(root, lambda n: f"Photos/{n}.JPG", lambda n: f"Labels/{apart[n]}_L.PNG")
    (root / "Photos/.DS_Store").write_bytes(b"x")
    (root / "Photos/._c.JPG").write_bytes(b"x")


def endings_of_both(root: Path) -> None:
    write(root, lambda n: f"img/{n}_sat.bmp", lambda n: f"gt/{n}-mask.tif")


def nested(root: Path) -> None:
    """In the only folder of an archive, with folders that are no splits."""
    write(root / "download", lambda n: f"images/{split_of(n)}s/{n}.jpg",
          lambda n: f"masks/{split_of(n)}s/{n}.png")  # fmt: skip


def named_in_settings(root: Path) -> None:
    write(root, lambda n: f"2024/upper/{n}.jpg", lambda n: f"drawn/{n}.png")
    (root / "dataset.toml").write_text('images = "2024/upper"\nmasks = "drawn"\n')


def splits_below(root: Path) -> None:
    write(root, lambda n: f"images/{split_of(n)}/{n}.jpg", lambda n: f"masks/{split_of(n)}/{n}.png")


def splits_below_by_other_names(root: Path) -> None:
    longer = {"train": "training", "val": "validation"}
    write(root, lambda n: f"images/{longer[split_of(n)]}/{n}.jpg",
          lambda n: f"annotations/{split_of(n)}/{n}.png")  # fmt: skip


def splits_of_pictures_alone(root: Path) -> None:
    write(root, lambda n: f"images/{split_of(n)}/{n}.jpg", lambda n: f"masks/{n}.png")


def splits_above(root: Path) -> None:
    write(root, lambda n: f"{split_of(n)}/images/{n}.jpg", lambda n: f"{split_of(n)}/masks/{n}.png")


def segnet_camvid(root: Path) -> None:
    write(root, lambda n: f"{split_of(n)}/{n}.png", lambda n: f"{split_of(n)}annot/{n}.png")


def side_by_side(root: Path) -> None:
    write(root, lambda n: f"{split_of(n)}/{n}.jpg", lambda n: f"{split_of(n)}/{n}_mask.png")
    rows = "".join(f"{label}, {name}\n" for label, name in enumerate(CLASSES))
    (root / "train/_classes.csv").write_text("Pixel Value, Class\n" + rows)


def voc_with_lists(root: Path) -> None:
    write(root, lambda n: f"JPEGImages/{n}.jpg", lambda n: f"SegmentationClass/{n}.png")
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    for part, names in {"train": TRAIN, "val": VAL, "trainval": NAMES}.items():
        (lists / f"{part}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def labelme(root: Path) -> None:
    """What labelme2voc.py of its examples leaves: arrays in SegmentationClass, no lists."""
    for name in NAMES:
        save(root / f"JPEGImages/{name}.jpg", picture(name))
        save(root / f"SegmentationClassPNG/{name}.png", labels(name), voc_palette())
        save(root / f"SegmentationClassVisualization/{name}.jpg", picture(name))
        (root / "SegmentationClass").mkdir(exist_ok=True)
        np.save(root / f"SegmentationClass/{name}.npy", labels(name))
    (root / "class_names.txt").write_text("\n".join(CLASSES))


def newer_labelme(root: Path) -> None:
    """Of later versions, where the arrays have the folder of their own."""
    for name in NAMES:
        save(root / f"JPEGImages/{name}.jpg", picture(name))
        save(root / f"SegmentationClass/{name}.png", labels(name), voc_palette())
        save(root / f"SegmentationClassVisualization/{name}.jpg", picture(name))
        (root / "SegmentationClassNpy").mkdir(exist_ok=True)
        np.save(root / f"SegmentationClassNpy/{name}.npy", labels(name))
    (root / "class_names.txt").write_text("\n".join(CLASSES))


def cvat(root: Path) -> None:
    """ "Segmentation mask 1.1": colours, a labelmap, and one list of all."""
    rows = [f"{n}:{r},{g},{b}::" for n, (r, g, b) in zip(CLASSES, COLOURS.tolist(), strict=True)]
    palette = np.concatenate([COLOURS, np.full((253, 3), 1, np.uint8)])
    palette[255] = 7, 7, 7
    rows.append("void:7,7,7::")
    for name in NAMES:
        save(root / f"JPEGImages/{name}.jpg", picture(name))
        save(root / f"SegmentationClass/{name}.png", palette[labels(name)])
        save(root / f"SegmentationObject/{name}.png", palette[labels(name)])
    (root / "labelmap.txt").write_text("# label:color_rgb:parts:actions\n" + "\n".join(rows))
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "default.txt").write_text("\n".join(NAMES), encoding="utf-8")


# Whether each has a split of its own, and classes of its own.
LAYOUTS = {
    two_folders: (False, False),
    other_names: (False, False),
    endings_of_both: (False, False),
    nested: (False, False),
    named_in_settings: (False, False),
    splits_below: (True, False),
    splits_below_by_other_names: (True, False),
    splits_of_pictures_alone: (True, False),
    splits_above: (True, False),
    segnet_camvid: (True, False),
    side_by_side: (True, True),
    voc_with_lists: (True, False),
    labelme: (False, True),
    newer_labelme: (False, True),
    cvat: (False, True),
}
