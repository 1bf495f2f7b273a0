"""The relatives of DeepLab: one idea each, in a network that works.

Each is a model as those of `dlseg.models`: images (B, 3, H, W) to logits (B, num_classes, H, W),
`scores` before the last upsampling, attributes backbone, num_classes and output_stride.
"""

from dlseg import lazy_face

__getattr__, __dir__, __all__ = lazy_face(
    __name__,
    {
        "context": "RATES ContextModule DilatedNet",
        "crfrnn": "CRFasRNN",
        "fcn": "SkipFCN crop_offsets",
        "image_pyramid": "ImagePyramid",
        "lrr": "LRR laplacian_pyramid reconstruct uncertainty",
        "parsenet": "SCALE L2Norm ParseNet",
        "pspnet": "AUX_WEIGHT BINS PSPNet PyramidPooling auxiliary_loss pooling_level",
        "refinenet": "ChainedResidualPooling RefineNet ResidualConvUnit conv3x3",
        "segnet": "SegNet",
        "unet": "UNet",
    },
)
