"""Segmentation networks, each readable in one file from input to logits.

Each takes images (B, 3, H, W) and returns logits (B, num_classes, H, W); `scores` returns the
coarse logits before the last upsampling. `backbone`, `num_classes` and `output_stride` are
attributes of all: the parameters that are not the backbone's are the head's.
"""

from dlseg.models.deeplabv1 import DeepLabV1
from dlseg.models.deeplabv2 import DeepLabV2, MultiScale
from dlseg.models.deeplabv3 import DeepLabV3, DeepLabV3Cascade
from dlseg.models.deeplabv3plus import DeepLabV3Plus
from dlseg.models.fcn import FCN
from dlseg.models.implementations import torchvision_deeplabv3
from dlseg.models.output_stride import at_output_stride
from dlseg.models.scores import ScoreMap

__all__ = [
    "FCN",
    "DeepLabV1",
    "DeepLabV2",
    "DeepLabV3",
    "DeepLabV3Cascade",
    "DeepLabV3Plus",
    "MultiScale",
    "ScoreMap",
    "at_output_stride",
    "torchvision_deeplabv3",
]
