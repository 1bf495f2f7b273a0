"""The teaching data, Pascal VOC 2012 and Cityscapes, and paired transforms.

A data set has `len`, and gives at each index an image, uint8 (H, W, 3) RGB, and its labels, uint8
(H, W), in which 255 counts nowhere. Its attributes: `classes` (index = label), `num_classes`,
`palette`, uint8 (256, 3), and `ignore_index`.
"""

from dlseg.data.cards import Card, card
from dlseg.data.check import check_folder
from dlseg.data.cityscapes import Cityscapes, to_ids, to_train_ids
from dlseg.data.files import DataError, read_image, read_label, write_label
from dlseg.data.palette import CITYSCAPES_PALETTE, labels_from_colours, voc_palette
from dlseg.data.registry import KINDS, data_names, kind_and_folder, open_data
from dlseg.data.scenes import Scene, Scenes, draw_scene
from dlseg.data.transforms import (
    ColourJitter,
    Compose,
    RandomCrop,
    RandomFlip,
    RandomScale,
    to_tensors,
)
from dlseg.data.voc import VOC

__all__ = [
    "CITYSCAPES_PALETTE",
    "KINDS",
    "VOC",
    "Card",
    "Cityscapes",
    "ColourJitter",
    "Compose",
    "DataError",
    "RandomCrop",
    "RandomFlip",
    "RandomScale",
    "Scene",
    "Scenes",
    "card",
    "check_folder",
    "data_names",
    "draw_scene",
    "kind_and_folder",
    "labels_from_colours",
    "open_data",
    "read_image",
    "read_label",
    "to_ids",
    "to_tensors",
    "to_train_ids",
    "voc_palette",
    "write_label",
]
