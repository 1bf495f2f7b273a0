"""The relatives of DeepLab: one idea each, in a network that works.

Each is a model as those of `dlseg.models`: images (B, 3, H, W) to logits (B, num_classes, H, W),
`scores` before the last upsampling, attributes backbone, num_classes and output_stride.
"""

from dlseg.models.relatives.context import RATES, ContextModule, DilatedNet
from dlseg.models.relatives.crfrnn import CRFasRNN
from dlseg.models.relatives.fcn import SkipFCN, crop_offsets
from dlseg.models.relatives.image_pyramid import ImagePyramid
from dlseg.models.relatives.lrr import LRR, laplacian_pyramid, reconstruct, uncertainty
from dlseg.models.relatives.parsenet import SCALE, L2Norm, ParseNet
from dlseg.models.relatives.pspnet import (
    AUX_WEIGHT,
    BINS,
    PSPNet,
    PyramidPooling,
    auxiliary_loss,
    pooling_level,
)
from dlseg.models.relatives.refinenet import (
    ChainedResidualPooling,
    RefineNet,
    ResidualConvUnit,
    conv3x3,
)
from dlseg.models.relatives.segnet import SegNet
from dlseg.models.relatives.unet import UNet
