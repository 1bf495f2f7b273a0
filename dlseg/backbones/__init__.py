"""Backbones: VGG-16, ResNet, MobileNetV2, V3 and Xception with an honest output stride.

Each is called `Name(output_stride, *, width, weights, ...)`, takes an image (B, 3, H, W) and
returns `Features`; the names in its state dict are those of the published weights.
"""

from dlseg.backbones.encoders import TIMM, TimmBackbone
from dlseg.backbones.features import Features, LastMap
from dlseg.backbones.mobilenetv2 import InvertedResidual, MobileNetV2, conv_bn_relu6
from dlseg.backbones.mobilenetv3 import MobileNetV3
from dlseg.backbones.registry import BACKBONES, Backbone, kind_of, make_backbone
from dlseg.backbones.resnet import BasicUnit, Bottleneck, ResNet, multi_grid_plans, stage
from dlseg.backbones.vgg import STAGES as VGG_STAGES
from dlseg.backbones.vgg import VGG16
from dlseg.backbones.weights import (
    PUBLISHED,
    Weights,
    fetch,
    load_into,
    load_published,
    torchvision_file,
)
from dlseg.backbones.xception import Xception, XceptionBlock
