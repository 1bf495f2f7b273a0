"""The networks of well-known implementations, made of those of the package.

Each function says in what its network differs from the paper's. Those of torchvision,
segmentation-models-pytorch and transformers are in the package, for `dlseg convert`: see
`dlseg.models.theirs`.
"""

from torch import nn

from dlseg.models import DeepLabV3Plus, bare, smp_deeplabv3plus, with_decoder

__all__ = [
    "bare",
    "deeplab2_deeplabv3plus",
    "smp_deeplabv3plus",
    "vainf_deeplabv3plus",
    "with_decoder",
]
ONE = ((3, 256),)  # a decoder of one 3x3 instead of two


def vainf_deeplabv3plus(backbone: nn.Module, num_classes: int = 21) -> DeepLabV3Plus:
    """The DeepLab v3+ of VainF/DeepLabV3Plus-Pytorch, on a backbone of ours.

    Plain convolutions, and one 3x3 in the decoder instead of two. It joins the shallow map before
    the deep one, so that its weights fit after their 304 input channels were put in our order.
    """
    return with_decoder(DeepLabV3Plus(backbone, num_classes), layers=ONE)


def deeplab2_deeplabv3plus(backbone: nn.Module, num_classes: int = 21) -> DeepLabV3Plus:
    """The head of google-research/deeplab2's DeepLab v3+, on a backbone of ours.

    ASPP plain, the decoder's two 3x3 separable; corners aligned.
    """
    network = DeepLabV3Plus(backbone, num_classes, align_corners=True)
    return with_decoder(network, convolution="separable")
