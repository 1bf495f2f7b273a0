"""torchvision's DeepLab v3, and its published weights for a whole segmentation network.

Nothing in the book needs them. They expect RGB images in [0, 1] from which the mean
(0.485, 0.456, 0.406) was taken, divided by (0.229, 0.224, 0.225).
"""

from torch import nn

from dlseg.arithmetic import round_channels
from dlseg.backbones import load_into, make_backbone, torchvision_file
from dlseg.checks import check_choice
from dlseg.models.deeplabv3 import DeepLabV3, conv_bn_relu, initialise_head
from dlseg.models.tap import auxiliary_head

_ENUM, _HEAD = "Weights.COCO_WITH_VOC_LABELS_V1", ("aux_classifier.",)
_FILES = (
    ("deeplabv3_resnet50", f"DeepLabV3_ResNet50_{_ENUM}", _HEAD, "cd0a2569", 160.515, 66.4),
    ("deeplabv3_resnet101", f"DeepLabV3_ResNet101_{_ENUM}", _HEAD, "586e9e4e", 233.217, 67.4),
)
# Their scores are mean IoU on COCO's val2017 with the 20 classes of Pascal VOC, not on VOC's val.
COCO_VOC = {row[0]: torchvision_file(*row) for row in _FILES}


def torchvision_deeplabv3(
    backbone: str | nn.Module = "resnet50",
    num_classes: int = 21,
    *,
    output_stride: int | None = None,
    width: float = 1.0,
    weights: str | None = None,
    aux: bool = False,
) -> DeepLabV3:
    """torchvision's `deeplabv3_resnet50` or, with backbone "resnet101", `deeplabv3_resnet101`.

    One more 3x3 convolution behind ASPP, dropout 0.5, no multi-grid; with aux an auxiliary head on
    block3 of a ResNet, for `with_aux`. Its names in the state dict are torchvision's.
    output_stride, 8 if None, width, weights: of a backbone given by name, as in `DeepLabV3`.
    weights: None, "imagenet", or "coco_voc", those of the whole network, which were trained at
    output stride 8 with 21 classes and the auxiliary head.
    Raises ValueError where an argument is out of range; OSError where the weights cannot be had.
    """
    check_choice("weights", weights, (None, "imagenet", "coco_voc"))
    if weights == "coco_voc":
        check_choice('backbone with weights="coco_voc"', backbone, ("resnet50", "resnet101"))
    imagenet = weights if weights == "imagenet" else None
    body = make_backbone(backbone, output_stride, width, imagenet, stride=8)  # no multi-grid
    model = DeepLabV3(body, num_classes, channels=round_channels(256 * width))
    aspp, last = model.classifier
    aspp.project[3].p = 0.5
    model.classifier = nn.Sequential(
        aspp, *conv_bn_relu(last.in_channels, last.in_channels, 3), last
    )
    model.aux_classifier = auxiliary_head(model.backbone, num_classes) if aux else None
    initialise_head(model.classifier)
    if weights == "coco_voc":
        load_into(model, f"deeplabv3_{backbone}", COCO_VOC)
    return model
