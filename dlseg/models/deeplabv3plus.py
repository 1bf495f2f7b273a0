"""DeepLab v3+: DeepLab v3 as an encoder, and a decoder that finds the edges again.

Source: Chen et al. 2018, "Encoder-decoder with atrous separable convolution for semantic image
segmentation". On MobileNetV2 its authors published no decoder: that network is
`DeepLabV3(MobileNetV2(16), atrous_rates=())`.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from dlseg.checks import check_integer
from dlseg.layers.decoder import Decoder
from dlseg.layers.pyramid import ASPP, conv_bn_relu, initialise_head, scaled_rates
from dlseg.layers.upsample import upsample
from dlseg.models.tap import check_resnet, tapped


class DeepLabV3Plus(nn.Module):
    """DeepLab v3+: images (B, 3, H, W) to logits (B, num_classes, H, W).

    backbone: a network of floor 3; its output stride (os) is the model's. The paper's are
    `Xception(65, os)` and `ResNet(101, os)`, trained at 16 and evaluated at 8 too.
    channels, atrous_rates, image_pooling, dropout: as in `DeepLabV3`. The paper takes image_pooling
    away for Cityscapes (section 4.5).
    aspp_convolution, decoder_convolution: kind of the 3x3 convolutions, "plain", "separable" or
    "bare separable". Separable in the shipped networks; plain in the tables for ResNet-101.
    low_level_channels: of the 1x1 on the shallow map (table 1).
    decoder_layers: (kernel size, channels) of each convolution of the decoder (table 2); None means
    two 3x3 with `channels`.
    conv3: the map of Conv3, at stride 8, helps too (last row of table 2): a decoder joins it first,
    then another one Conv2. Both have all decoder_layers; that row has one each. On ResNets whose
    stages begin with their stride only.
    extra_convolution: a 3x3 of aspp_convolution behind ASPP, as segmentation-models-pytorch has.
    align_corners: of both upsamplings. False, as in this book; the authors' code has True.

    513 pixels make 33 units at os 16, then 129 in the decoder, then 513.
    Attributes: backbone, num_classes, output_stride (of the backbone; `scores` have stride 4).
    Raises: ValueError where an argument is out of range.
    Source: DeepLab v3+, sections 3 and 4, figure 2, tables 1 to 5.
    """

    def __init__(
        self,
        backbone: nn.Module,
        num_classes: int = 21,
        channels: int = 256,
        atrous_rates: Sequence[int] = (6, 12, 18),
        image_pooling: bool = True,
        aspp_convolution: str = "separable",
        low_level_channels: int = 48,
        decoder_layers: Sequence[tuple[int, int]] | None = None,
        decoder_convolution: str = "separable",
        conv3: bool = False,
        extra_convolution: bool = False,
        dropout: float = 0.1,
        align_corners: bool = False,
    ):
        super().__init__()
        self.num_classes = check_integer("num_classes", num_classes, 1)
        self.backbone, self.output_stride = backbone, backbone.output_stride
        self.align_corners = align_corners
        rates = scaled_rates(atrous_rates, self.output_stride)
        self.aspp = ASPP(
            backbone.channels, rates, channels, image_pooling, aspp_convolution, dropout
        )
        self.extra = nn.Sequential()
        if extra_convolution:
            self.extra = conv_bn_relu(channels, channels, 3, 1, aspp_convolution)

        layers = ((3, channels), (3, channels)) if decoder_layers is None else decoder_layers
        shared = (low_level_channels, layers, decoder_convolution, align_corners)
        self.decoder3 = None
        if conv3:
            self.decoder3 = Decoder(channels, _conv3_channels(backbone), *shared)
            channels = self.decoder3.channels
        self.decoder = Decoder(channels, backbone.low_level_channels, *shared)
        self.classifier = nn.Conv2d(self.decoder.channels, num_classes, 1)
        initialise_head(*(part for part in self.children() if part is not backbone))

    def forward(self, x: Tensor) -> Tensor:
        scores = self.scores(x)  # (B, num_classes, H/4, W/4)
        return upsample(scores, x.shape[2:], self.align_corners)  # (B, num_classes, H, W)

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the last upsampling, (B, num_classes, H/4, W/4), sizes rounded up."""
        if self.decoder3 is None:
            low_level, last = self.backbone(x)  # H/4 x W/4 and H/os x W/os
            y = self.extra(self.aspp(last))  # (B, 256, H/os, W/os)
        else:
            with tapped(self.backbone.layer2) as maps:
                low_level, last = self.backbone(x)
            y = self.decoder3(self.extra(self.aspp(last)), maps[0])  # (B, 256, H/8, W/8)
        return self.classifier(self.decoder(y, low_level))


def _conv3_channels(backbone: nn.Module) -> int:
    """Channels of Conv3, layer2 of a ResNet, at stride 8."""
    check_resnet(backbone, "conv3=True")
    if backbone.units_before_tap < len(backbone.layer1):
        raise ValueError(
            'conv3=True needs a ResNet with stride_on="3x3" or "1x1"; drop "last unit"'
        )
    return backbone.layer3[0].conv1.in_channels
