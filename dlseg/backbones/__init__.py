"""Backbones: VGG-16, ResNet, MobileNetV2 and Xception with an honest output stride.

Each takes an image (B, 3, H, W) and returns `Features`; the names in its state dict are those of
the published weights.
"""

from dlseg.backbones.features import Features, LastMap, check_image
from dlseg.backbones.mobilenetv2 import InvertedResidual, MobileNetV2
from dlseg.backbones.resnet import BasicUnit, Bottleneck, ResNet
from dlseg.backbones.vgg import VGG16
from dlseg.backbones.weights import PUBLISHED, load_into, load_published
from dlseg.backbones.xception import Xception, XceptionBlock

__all__ = [
    "PUBLISHED",
    "VGG16",
    "BasicUnit",
    "Bottleneck",
    "Features",
    "InvertedResidual",
    "LastMap",
    "MobileNetV2",
    "ResNet",
    "Xception",
    "XceptionBlock",
    "check_image",
    "load_into",
    "load_published",
]
