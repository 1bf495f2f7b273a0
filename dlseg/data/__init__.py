"""The teaching data, Pascal VOC 2012, Cityscapes, photographs, your own data, and transforms.

A data set has `len`, and gives at each index an image, uint8 (H, W, 3) RGB, and its labels, uint8
(H, W), in which `ignore_index` counts nowhere. Its attributes: `classes` (index = label),
`num_classes`, `palette`, uint8 (256, 3), and `ignore_index`, 255 or another byte. `CLASSES` and
`PALETTE` are those of the scenes.
"""

from dlseg.data.across import Survey, in_kinds
from dlseg.data.arrays import read_floats
from dlseg.data.check import check_folder, survey
from dlseg.data.cityscapes import CLASSES as CITYSCAPES_CLASSES
from dlseg.data.cityscapes import Cityscapes, label_of, to_ids, to_train_ids
from dlseg.data.decode import MAX_PIXELS, frame_numbers
from dlseg.data.download import VOC2012, extract, obtain
from dlseg.data.faults import DataError, Fault, printable
from dlseg.data.files import read_label, read_palette, write_bands, write_image, write_label
from dlseg.data.maps import check_no_map
from dlseg.data.own.folder import Folder
from dlseg.data.own.mend import Mended, mend
from dlseg.data.palette import CITYSCAPES_PALETTE, labels_from_colours, voc_palette
from dlseg.data.photographs import MASKED, PHOTOGRAPHS, Photographs, photograph, traced
from dlseg.data.pictures import Decoded, read_image, read_pictures, row_bands
from dlseg.data.registry import (
    KINDS,
    data_names,
    kind_and_folder,
    open_data,
    options_of,
    with_options,
)
from dlseg.data.scenes import (
    CLASSES,
    PALETTE,
    Card,
    Clip,
    Scene,
    Scenes,
    card,
    cue_distance,
    draw_scene,
    found_by_radius,
    letter_accuracy,
)
from dlseg.data.trains import Trains, TrainScene, draw_trains, train_card
from dlseg.data.transforms import (
    MEAN,
    STD,
    ColourJitter,
    Compose,
    RandomCrop,
    RandomFlip,
    RandomScale,
    RandomScaleCrop,
    normalise,
    to_tensors,
)
from dlseg.data.voc import CLASSES as VOC_CLASSES
from dlseg.data.voc import COUNTS as VOC_COUNTS
from dlseg.data.voc import VOC
