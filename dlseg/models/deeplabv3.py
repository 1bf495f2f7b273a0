"""DeepLab v3: image-level context, batch norm, and rates side by side or one after the other.

Source: Chen et al. 2017, "Rethinking atrous convolution for semantic image segmentation". There is
no CRF any more.
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from dlseg.arithmetic import StagePlan
from dlseg.backbones import ResNet
from dlseg.backbones.resnet import multi_grid_plans, stage
from dlseg.checks import check_integer
from dlseg.layers.pyramid import ASPP, conv_bn_relu, initialise_head, scaled_rates
from dlseg.layers.upsample import upsample
from dlseg.models.tap import check_resnet, tapped

HEADS = ("paper", "torchvision")


class DeepLabV3(nn.Module):
    """DeepLab v3 with ASPP: images (B, 3, H, W) to logits (B, num_classes, H, W).

    backbone: a network of floor 3; its output stride (os) is the model's. The paper trains
    `ResNet(101, 16, multi_grid=(1, 2, 4))`, and evaluates the same weights at 8.
    channels: of each branch and of their projection.
    atrous_rates: of the 3x3 branches at output stride 16; doubled at 8, halved at 32. With none,
    on `MobileNetV2(16)`, it is the small network of MobileNetV2's section 6.3.
    image_pooling: the branch that sees the whole image; see `ImagePooling` for a batch of one.
    convolution: of the 3x3 branches: "plain", "separable" or "bare separable".
    head: "paper", 1x1 to the classes behind ASPP, or "torchvision", with one more 3x3 before it.
    dropout: behind ASPP. The paper is silent, the authors' code has 0.1, torchvision 0.5.
    aux: torchvision's auxiliary head on block3 of a ResNet, for `with_aux` alone.
    align_corners: of the last upsampling. False, as torchvision; the authors' code has True.

    The names in the state dict are those of torchvision's `deeplabv3_resnet50` and `_resnet101`.
    Attributes: backbone, num_classes, output_stride.
    Raises: ValueError where an argument is out of range.
    Source: DeepLab v3, sections 3.3 and 4.1, tables 5 and 6.
    """

    def __init__(
        self,
        backbone: nn.Module,
        num_classes: int = 21,
        channels: int = 256,
        atrous_rates: Sequence[int] = (6, 12, 18),
        image_pooling: bool = True,
        convolution: str = "plain",
        head: str = "paper",
        dropout: float = 0.1,
        aux: bool = False,
        align_corners: bool = False,
    ):
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"head must be one of {HEADS}, got {head!r}")
        self.num_classes = check_integer("num_classes", num_classes, 1)
        self.backbone, self.output_stride = backbone, backbone.output_stride
        self.align_corners = align_corners
        rates = scaled_rates(atrous_rates, self.output_stride)
        self.classifier = nn.Sequential(
            ASPP(backbone.channels, rates, channels, image_pooling, convolution, dropout),
            *(conv_bn_relu(channels, channels, 3) if head == "torchvision" else ()),
            nn.Conv2d(channels, num_classes, 1),
        )
        self.aux_classifier = _aux_head(backbone, num_classes) if aux else None
        initialise_head(self.classifier)

    def forward(self, x: Tensor) -> Tensor:
        scores = self.scores(x)  # (B, num_classes, H/os, W/os)
        return upsample(scores, x.shape[2:], self.align_corners)  # (B, num_classes, H, W)

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the upsampling, (B, num_classes, H/os, W/os), sizes rounded up."""
        return self.classifier(self.backbone(x).last)

    def with_aux(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The logits and those of the auxiliary head, both (B, num_classes, H, W).

        Torchvision trains the sum of both cross entropies, the second times 0.5.
        Raises: ValueError where the network was built without aux.
        Source: PSPNet, section 4 (Zhao et al. 2017, with 0.4); DeepLab has no such loss.
        """
        if self.aux_classifier is None:
            raise ValueError("this DeepLabV3 has no auxiliary head; build it with aux=True")
        with tapped(self.backbone.layer3) as maps:
            logits = self(x)
        aux = self.aux_classifier(maps[0])  # (B, num_classes, H/os, W/os)
        return logits, upsample(aux, x.shape[2:], self.align_corners)


class DeepLabV3Cascade(nn.Module):
    """DeepLab v3 going deeper: blocks 5 to 7, copies of block4 of a ResNet, one after the other.

    depth: 18, 34, 50 or 101. blocks: the last block, 4 to 7.
    output_stride (os): 8 to 256. Each block from block5 on has stride 2 while the map is larger
    than that; then, in the place of its stride, twice the rate. At 16, block4 to block7 have rates
    2, 4, 8 and 16; at 256 no layer has a rate.
    multi_grid: unit rates of the units within each of the blocks 4 to 7: their rates are these
    times the block's. stem, width, weights: of the `ResNet`.
    The weights do not depend on output_stride or multi_grid.
    Attributes: backbone (block1 to block4), num_classes, output_stride.
    Raises: ValueError where an argument is out of range, and for an output_stride above 32 that the
    blocks do not reach.
    Source: DeepLab v3, sections 3.2 and 4.2 and figure 3, tables 1 to 4.
    """

    def __init__(
        self,
        depth: int = 50,
        num_classes: int = 21,
        output_stride: int = 16,
        blocks: int = 7,
        multi_grid: Sequence[int] = (1, 1, 1),
        stem: str = "7x7",
        width: float = 1.0,
        weights: str | None = None,
    ):
        super().__init__()
        plans = cascade_plans(blocks, output_stride)
        self.num_classes = check_integer("num_classes", num_classes, 1)
        self.output_stride = output_stride
        self.backbone = ResNet(
            depth,
            min(output_stride, 32),
            stem=stem,
            multi_grid=multi_grid,
            width=width,
            weights=weights,
        )
        block4 = self.backbone.layer4
        unit, channels = type(block4[0]), self.backbone.channels
        self.blocks = nn.Sequential(OrderedDict())
        for number, plan in enumerate(plans, start=5):
            units = [plan, *[StagePlan(1, plan.rate, plan.rate)] * (len(block4) - 1)]
            units = multi_grid_plans(units, multi_grid)
            block = stage(unit, channels, channels // unit.expansion, units)
            self.blocks.add_module(f"block{number}", block)
        self.classifier = nn.Conv2d(channels, num_classes, 1)
        initialise_head(self.blocks, self.classifier)

    def forward(self, x: Tensor) -> Tensor:
        return upsample(self.scores(x), x.shape[2:])  # (B, num_classes, H, W)

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the upsampling, (B, num_classes, H/os, W/os), sizes rounded up."""
        x = self.backbone(x).last  # block4: (B, 2048, H/os, W/os), not below H/32
        return self.classifier(self.blocks(x))


def cascade_plans(blocks: int, output_stride: int) -> list[StagePlan]:
    """Stride and rates of block5, block6, ... up to block number `blocks`, at `output_stride`.

    Raises: ValueError unless blocks is 4 to 7, and output_stride 8, 16, 32 or what each block above
    4 doubles further: 64 for 5, 128 for 6, 256 for 7.
    Source: DeepLab v3, section 3.2 and figure 3.
    """
    if check_integer("blocks", blocks, 4) > 7:
        raise ValueError(f"blocks must be 4 to 7, got {blocks}")
    strides = [8 * 2**power for power in range(blocks - 1)]
    if output_stride not in strides:
        raise ValueError(
            f"output_stride must be one of {strides} with blocks={blocks}, got {output_stride!r}"
        )
    jump = min(output_stride, 32)  # of block4
    rate, plans = 32 // jump, []
    for _ in range(blocks - 4):
        if jump < output_stride:
            jump *= 2
            plans.append(StagePlan(2, 1, 1))
        else:
            before, rate = rate, 2 * rate
            plans.append(StagePlan(1, before, rate))
    return plans


def _aux_head(backbone: nn.Module, num_classes: int) -> nn.Sequential:
    """3x3 convolution to a quarter of block3's channels, BN, ReLU, dropout, 1x1 to the classes."""
    check_resnet(backbone, "aux=True")
    channels = backbone.layer4[0].conv1.in_channels  # of block3: 1024
    head = nn.Sequential(
        *conv_bn_relu(channels, channels // 4, 3),
        nn.Dropout(0.1),
        nn.Conv2d(channels // 4, num_classes, 1),
    )
    initialise_head(head)
    return head
