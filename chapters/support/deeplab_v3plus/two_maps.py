"""The last row of table 2 of DeepLab v3+: a decoder that joins Conv3 first, then Conv2."""

from torch import Tensor

from dlseg.backbones import ResNet
from dlseg.models import Decoder, DeepLabV3Plus, initialise_head, tapped


class TwoMaps(DeepLabV3Plus):
    """DeepLab v3+ on a ResNet whose stages begin with their stride; one 3x3 after each map.

    Images (B, 3, H, W) to logits (B, num_classes, H, W). Source: DeepLab v3+, table 2.
    """

    def __init__(self, backbone: ResNet, num_classes: int = 21):
        super().__init__(backbone, num_classes)
        conv3 = backbone.layer3[0].conv1.in_channels  # of layer2, at stride 8
        self.decoder3 = Decoder(256, conv3, 48, ((3, 256),))
        self.decoder = Decoder(256, backbone.low_level_channels, 48, ((3, 256),))
        initialise_head(self.decoder3, self.decoder)

    def scores(self, x: Tensor) -> Tensor:
        with tapped(self.backbone.layer2) as maps:
            low_level, last = self.backbone(x)
        y = self.decoder3(self.aspp(last), maps[0])  # (B, 256, H/8, W/8)
        return self.classifier(self.decoder(y, low_level))  # (B, num_classes, H/4, W/4)
