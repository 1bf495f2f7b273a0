"""DeepLab v1: VGG-16 made dense by holes, a larger field of view, and scores at every 8th pixel.

Source: Chen et al. 2015, "Semantic image segmentation with deep convolutional nets and fully
connected CRFs", sections 3 and 4.3, table 2, and the networks released with it. The CRF works on
the upsampled scores, after training, and is no part of the network.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.arithmetic import round_channels
from dlseg.backbones import VGG16, make_backbone
from dlseg.checks import check_choice, check_classes
from dlseg.doors import check_image

# fc6 of table 2: kernel size, rate, channels. The first three are called DeepLab-7x7, DeepLab and
# DeepLab-4x4 there.
VARIANTS = {
    "7x7": (7, 4, 4096),
    "4x4 rate 4": (4, 4, 4096),
    "4x4 rate 8": (4, 8, 4096),
    "LargeFOV": (3, 12, 1024),
}
MARGIN = 12  # pixels that VGG's unpadded pools, made dense, take from each side of the image


class DeepLabV1(nn.Module):
    """DeepLab v1: images (B, 3, H, W) to logits (B, num_classes, H, W).

    backbone: "vgg16", or "vgg16_bn" to train from random weights: the paper has no batch norm, and
    starts from ImageNet's. Or a `VGG16` of output stride 8, with the pools of `released`.
    output_stride: 8 alone. width: factor on all channels, rounded to multiples of 8. weights:
    "imagenet" or None. All three of a backbone given by name.
    variant: the kernel and rate of fc6, a key of `VARIANTS`. fc6 is padded by rate (kernel - 1)/2,
    6 or 12 units, so that the map keeps its size; a kernel of 4 x 4 has no tap at its centre.
    released: False is the network of the paper, VGG-16 with its 2x2 pools. True is that of the
    released LargeFOV models: 3x3 pools padded by 1, the last two without holes, and a 3x3 average
    pool, pool5a, before fc6.
    msc: the image and the maps of pool1 to pool4 help the classifier (section 4.3): "concat" joins
    their 128 channels to fc7's, as the paper says; "sum" gives each branch its own scores and adds
    them, as the released models do, and is the same function. Only with released=True, whose units
    of all branches lie on the same pixels.

    Scores have a unit for every 8 x 8 pixels, ceil(H / 8) x ceil(W / 8): 306 pixels make 39, 321
    make 41, 513 make 65. Where these units lie, `forward` says.
    The loss on labels shrunk by 8 (section 3.1) wants crops of a multiple of 8 pixels, so that a
    label is taken where its unit lies.
    Attributes: backbone, num_classes, output_stride (8).
    Raises: ValueError where an argument is out of range.
    """

    def __init__(
        self,
        backbone: str | VGG16,
        num_classes: int = 21,
        *,
        output_stride: int | None = None,
        width: float = 1.0,
        weights: str | None = None,
        variant: str = "LargeFOV",
        released: bool = False,
        msc: str | None = None,
    ):
        super().__init__()
        _check(variant, released, msc)
        self.num_classes = num_classes = check_classes("num_classes", num_classes, 1)
        self.released, self.msc = released, msc
        pools = {"vgg": {"pool_size": 3 if released else 2}}
        given = (backbone, output_stride, width, weights, pools)
        self.backbone = make_backbone(*given, VGG16, stride=8, only=True)
        check_choice("pool_size of the VGG16", self.backbone.pool_size, pools["vgg"].values())
        self.output_stride = 8

        kernel_size, rate, channels = VARIANTS[variant]
        hidden, padding = round_channels(channels * width), rate * (kernel_size - 1) // 2
        self.pool5a = nn.AvgPool2d(3, 1, 1) if released else nn.Identity()
        self.fc6 = nn.Conv2d(self.backbone.channels, hidden, kernel_size, 1, padding, rate)
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        self.dropout = nn.Dropout(0.5)

        small, stages = round_channels(128 * width), self.backbone.stage_channels
        self.branches = _branches(small, stages) if msc else nn.ModuleList()
        joined = small * len(self.branches) if msc == "concat" else 0
        self.fc8 = nn.Conv2d(hidden + joined, num_classes, 1)
        summed = len(self.branches) if msc == "sum" else 0
        self.branch_scores = nn.ModuleList(nn.Conv2d(small, num_classes, 1) for _ in range(summed))
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        """The scores as large as the image, (B, num_classes, H, W).

        Unit i of the paper's network is the middle of pixels 8i to 8i + 7, at any size of image.
        Bilinear upsampling by 8 leaves it there, and what reaches beyond the image is cut off. The
        released network's is pixel 8i; as in all other models, its map is stretched to the image.
        """
        scores, (height, width) = self.scores(x), x.shape[2:]  # (B, num_classes, H/8, W/8)
        if self.released:
            return F.interpolate(scores, (height, width), mode="bilinear")
        whole = F.interpolate(scores, scale_factor=8, mode="bilinear")
        return whole[:, :, :height, :width]  # (B, num_classes, H, W)

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the upsampling: (B, num_classes, ceil(H / 8), ceil(W / 8))."""
        check_image(x, self)
        if not self.released:
            x = pad_for_pools(x)
        *early, x = self._pooled(x)  # the image, pools 1 to 4; pool5: (B, 512, H/8, W/8)
        x = self.dropout(F.relu(self.fc6(self.pool5a(x))))  # (B, 4096 or 1024, H/8, W/8)
        x = self.dropout(F.relu(self.fc7(x)))
        maps = [branch(y) for branch, y in zip(self.branches, early, strict=False)]
        if self.msc == "concat":
            return self.fc8(torch.cat([x, *maps], dim=1))  # 1024 + 5 * 128 channels
        scores = [score(y) for score, y in zip(self.branch_scores, maps, strict=True)]
        return sum(scores, start=self.fc8(x))

    def _pooled(self, x: Tensor) -> list[Tensor]:
        """The image and the maps behind the five pools, at strides 1, 2, 4, 8, 8 and 8."""
        maps = [x]
        for layer in self.backbone.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
        return maps

    def _initialise(self) -> None:
        for module in (self.fc6, self.fc7, *self.branches.modules()):
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
        for module in (self.fc8, *self.branch_scores):
            nn.init.normal_(module.weight, std=0.01)  # as the released models
            nn.init.zeros_(module.bias)


def pad_for_pools(x: Tensor) -> Tensor:
    """Images (B, 3, H, W) with zeros around them, so that `VGG16(8)` makes ceil(H/8) x ceil(W/8).

    The pools of VGG have no padding, so the outer units of the dense map lie 12 pixels further
    inside than those of a map of H/8 x W/8; with 12 pixels more on each side (and behind, up to a
    multiple of 8) unit i is the middle of pixels 8i to 8i + 7.
    """
    height, width = x.shape[2:]
    return F.pad(x, (MARGIN, MARGIN + -width % 8, MARGIN, MARGIN + -height % 8))


def _branches(channels: int, stages: Sequence[int]) -> nn.ModuleList:
    """For the image and pools 1 to 4: a 3x3 convolution that brings it to stride 8, and a 1x1."""
    given = zip((3, *stages[:4]), (8, 4, 2, 1, 1), strict=True)
    return nn.ModuleList(
        nn.Sequential(
            *(nn.Conv2d(before, channels, 3, stride, 1), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Conv2d(channels, channels, 1), nn.ReLU(), nn.Dropout(0.5)),
        )
        for before, stride in given
    )


def _check(variant: str, released: bool, msc: str | None) -> None:
    check_choice("variant", variant, VARIANTS)
    check_choice("msc", msc, (None, "concat", "sum"))
    if msc and not released:
        raise ValueError(
            f"msc={msc!r} needs released=True: behind the unpadded 2x2 pools the units of the "
            "branches lie on different pixels"
        )
