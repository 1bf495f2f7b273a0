"""Segmentation networks, each readable in one file from input to logits.

Each is called `Name(backbone, num_classes=21, *, output_stride, width, weights, ...)`; backbone is
a name (a key of `dlseg.backbones.BACKBONES`) or a module, and the next three are of one by name. It
takes images (B, 3, H, W) and returns logits (B, num_classes, H, W); `scores` returns the coarse
logits before the last upsampling. `backbone`, `num_classes` and `output_stride` are attributes of
all: the parameters that are not the backbone's are the head's.
"""

from dlseg import lazy_face

__getattr__, __dir__, __all__ = lazy_face(
    __name__,
    {
        "cascade": "DeepLabV3Cascade cascade_plans",
        "deeplabv1": "VARIANTS DeepLabV1",
        "deeplabv2": "ASPP_L ASPP_S LARGE_FOV DeepLabV2 MultiScale SumASPP",
        "deeplabv3": (
            "ASPP DeepLabV3 ImagePooling check_batch conv_bn_relu initialise_head scaled_rates"
        ),
        "deeplabv3plus": "Decoder DeepLabV3Plus",
        "fcn": "FCN",
        "output_stride": "at_output_stride",
        "published": "torchvision_deeplabv3",
        "registry": "FAMILIES NETWORKS build_model describe",
        "scores": "ScoreMap",
        "tap": "auxiliary_head tapped with_aux",
    },
)
