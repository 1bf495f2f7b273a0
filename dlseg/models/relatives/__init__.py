"""The relatives of DeepLab: one idea each, in a network that works.

Each is a model as those of `dlseg.models`: images (B, 3, H, W) to logits (B, num_classes, H, W),
`scores` before the last upsampling, attributes backbone, num_classes and output_stride.
"""

from dlseg import lazy_face

__getattr__, __dir__, __all__ = lazy_face(
    __name__,
    {
        "context": "ContextModule DilatedNet",
        "crfrnn": "CRFasRNN",
        "fcn": "SkipFCN crop_offsets",
        "image_pyramid": "ImagePyramid",
        "lrr": "LRR laplacian_pyramid reconstruct uncertainty",
        "parsenet": "L2Norm ParseNet",
        "pspnet": "PSPNet PyramidPooling auxiliary_loss",
        "refinenet": "ChainedResidualPooling RefineNet ResidualConvUnit",
        "segnet": "SegNet",
        "unet": "UNet",
    },
)
