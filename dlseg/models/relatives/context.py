"""The dilated context module: layers whose rates double, behind a front end without late pools.

Source: Yu and Koltun 2016, "Multi-scale context aggregation by dilated convolutions", sections 3
and 4, table 1.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.arithmetic import round_channels
from dlseg.backbones import VGG16, make_backbone
from dlseg.checks import check_choice, check_classes
from dlseg.doors import check_image
from dlseg.models.relatives.vgg_maps import enlarged, pad_to_multiple

RATES = (1, 1, 2, 4, 8, 16, 1)  # of the 3x3 layers; a 1x1 follows
CHANNELS = {  # of each layer, as multiples of the number of classes
    "basic": (1, 1, 1, 1, 1, 1, 1, 1),
    "large": (2, 2, 4, 8, 16, 32, 32, 1),
}
PADDING = 33  # units that the seven layers take from each side


class ContextModule(nn.Module):
    """Scores (B, C, H, W) to scores (B, C, H, W) that know 33 units to each side.

    Seven 3x3 layers with the rates 1, 1, 2, 4, 8, 16 and 1, a ReLU behind each, and a 1x1. The map
    is padded once, by 33 zeros, and no layer pads.
    kind: "basic", all layers with C channels, or "large", with up to 32 C.
    noise: of the initial weights in "large", relative to the weights that copy.

    It starts as the identity: each layer hands on what it gets. But its ReLUs cut off what is below
    zero, so that the output is the positive part of the input.
    Raises: ValueError for another kind, or unless num_classes is an integer >= 1.
    Source: table 1; initial weights: equations 4 and 5.
    """

    def __init__(self, num_classes: int, kind: str = "basic", noise: float = 0.01):
        super().__init__()
        check_choice("kind", kind, CHANNELS)
        num_classes = check_classes("num_classes", num_classes, 1)
        widths = [num_classes * factor for factor in CHANNELS[kind]]
        self.layers = nn.Sequential()
        given = num_classes
        for width, rate in zip(widths, RATES, strict=False):
            self.layers.extend([nn.Conv2d(given, width, 3, dilation=rate), nn.ReLU()])
            given = width
        self.layers.append(nn.Conv2d(given, num_classes, 1))
        for conv in self.layers[::2]:
            copy_weights(conv, num_classes, 0.0 if kind == "basic" else noise)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(F.pad(x, [PADDING] * 4))  # (B, C, H, W)


@torch.no_grad()
def copy_weights(conv: nn.Conv2d, num_classes: int, noise: float) -> None:
    """Let `conv` hand on what it gets: each class has its share of the channels on both sides.

    The weights of the central tap are C / (channels out) between channels of one class, C classes,
    0 between others. noise: standard deviation of what is added, relative to them; 0 for none.
    Source: Yu and Koltun 2016, equations 4 (noise 0, C channels) and 5.
    """
    middle = conv.kernel_size[0] // 2
    share = num_classes / conv.out_channels
    owners = [
        torch.arange(channels) * num_classes // channels
        for channels in (conv.out_channels, conv.in_channels)
    ]
    nn.init.normal_(conv.weight, std=noise * share)
    conv.weight[:, :, middle, middle] += share * (owners[0][:, None] == owners[1])
    nn.init.zeros_(conv.bias)


class DilatedNet(nn.Module):
    """Front end and context module: images (B, 3, H, W) to logits (B, num_classes, H, W).

    The front end is VGG-16 without pool4 and pool5, where DeepLab v1 keeps them at stride 1: conv5
    has rate 2, fc6, a 7x7 convolution, rate 4.
    backbone: as in `SkipFCN`, of output stride 8, the only one; width, a factor on all channels but
    the context's, and weights: of one given by name.
    context: kind of the `ContextModule`, or None for the front end alone.
    Convolutions of the front end are padded by zeros; in the paper they are not, and the image is
    continued by its mirror image.

    Attributes: backbone, num_classes, output_stride (8).
    Raises: ValueError where an argument is out of range.
    """

    def __init__(
        self,
        backbone: str | VGG16,
        num_classes: int = 21,
        *,
        width: float = 1.0,
        weights: str | None = None,
        context: str | None = "basic",
    ):
        super().__init__()
        self.num_classes = num_classes = check_classes("num_classes", num_classes, 1)
        self.output_stride = 8
        given = (backbone, None, width, weights, None)
        self.backbone = make_backbone(*given, VGG16, stride=8, only=True)
        _remove_late_pools(self.backbone)
        hidden = round_channels(4096 * width)
        self.fc6 = nn.Conv2d(self.backbone.channels, hidden, 7, padding=12, dilation=4)
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Conv2d(hidden, num_classes, 1)
        self.context = nn.Identity() if context is None else ContextModule(num_classes, context)
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        return enlarged(self.scores(x), 8, x.shape[2:])  # (B, num_classes, H, W)

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the upsampling, (B, num_classes, H/8, W/8), sizes rounded up."""
        return self.context(self.front_end(x))

    def front_end(self, x: Tensor) -> Tensor:
        """The logits before the context module, of the size of `scores`."""
        check_image(x, self)
        x = self.backbone.features(pad_to_multiple(x, 8))  # (B, 512, H/8, W/8)
        x = self.dropout(F.relu(self.fc6(x)))  # (B, 4096, H/8, W/8)
        return self.classifier(self.dropout(F.relu(self.fc7(x))))

    def _initialise(self) -> None:
        for conv in (self.fc6, self.fc7):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)


def _remove_late_pools(backbone: VGG16) -> None:
    """Let pool4 and pool5 do nothing; the names of the weights stay."""
    pools = [i for i, layer in enumerate(backbone.features) if isinstance(layer, nn.MaxPool2d)]
    for place in pools[3:]:
        backbone.features[place] = nn.Identity()
