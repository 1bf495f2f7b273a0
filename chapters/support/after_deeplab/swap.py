"""Do holes still matter? One backbone, seven ways to gather context, at about equal work.

Every way takes the maps of the backbone, the largest first, and makes 32 channels of them; a
classifier of two 1x1 layers follows. `hidden`, the width inside, was chosen so that all networks of
a task have within 2 % the multiply-adds of the one with ASPP (a test counts them).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from dlseg.backbones import MobileNetV2
from dlseg.layers import upsample
from dlseg.models import conv_bn_relu
from dlseg.models.relatives import PyramidPooling
from support.after_deeplab.large_kernels import depthwise
from support.after_deeplab.regions import ObjectContext
from support.after_deeplab.segformer import MLPDecoder
from support.trains import HIDDEN, trunk

CHANNELS = 32  # that each way makes


@dataclass(frozen=True)
class Task:
    """inputs: channels of the backbone's maps. classes: in their number. rates: of ASPP; rate: of
    LargeFOV; kernel_size: as wide as the largest rate. hidden: the width inside each way."""

    inputs: tuple[int, ...]
    classes: int
    rates: tuple[int, ...]
    rate: int
    kernel_size: int
    hidden: Mapping[str, int]


class OnLast(nn.Sequential):
    """Layers on the last map alone."""

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return super().forward(maps[-1])


class Parallel(nn.Module):
    """Branches on the last map side by side, joined by a 1x1 convolution: ASPP."""

    def __init__(self, branches: Sequence[nn.Module], stacked: int, channels: int):
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.project = conv_bn_relu(stacked, channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return self.project(torch.cat([branch(maps[-1]) for branch in self.branches], 1))


class RegionContext(nn.Module):
    """OCR on the last map; a 1x1 without a loss of its own scores the regions."""

    def __init__(self, inputs: int, regions: int, hidden: int, channels: int):
        super().__init__()
        self.regions = nn.Conv2d(inputs, regions, 1)
        self.context = ObjectContext(inputs, channels, hidden)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return self.context(maps[-1], self.regions(maps[-1]))


def pointwise(task: Task, hidden: int) -> nn.Module:
    """No context: what a pixel of the last map knows."""
    return OnLast(conv_bn_relu(task.inputs[-1], hidden), conv_bn_relu(hidden, CHANNELS))


def large_fov(task: Task, hidden: int) -> nn.Module:
    """One 3x3 at one rate, as in DeepLab v1."""
    conv = conv_bn_relu(task.inputs[-1], hidden, 3, task.rate)
    return OnLast(conv, conv_bn_relu(hidden, CHANNELS))


def aspp(task: Task, hidden: int) -> nn.Module:
    """A 3x3 at each rate, as in DeepLab v2 and v3, without image pooling."""
    branches = [conv_bn_relu(task.inputs[-1], hidden, 3, rate) for rate in task.rates]
    return Parallel(branches, hidden * len(branches), CHANNELS)


def pyramid(task: Task, hidden: int) -> nn.Module:
    """Means over 1, 4, 9 and 36 bins and a 3x3 behind them, as in PSPNet."""
    pooling = PyramidPooling(task.inputs[-1])
    conv = conv_bn_relu(pooling.channels, hidden, 3)
    return OnLast(pooling, conv, conv_bn_relu(hidden, CHANNELS))


def regions(task: Task, hidden: int) -> nn.Module:
    """Attention to as many regions as there are classes, like OCR."""
    return RegionContext(task.inputs[-1], task.classes, hidden, CHANNELS)


def mlp(task: Task, hidden: int) -> nn.Module:
    """SegFormer's decoder: all maps, joined at the size of the largest, by 1x1 layers."""
    return MLPDecoder(task.inputs, CHANNELS, hidden)


def large_kernel(task: Task, hidden: int) -> nn.Module:
    """One depthwise convolution as wide as the largest rate reaches, between two 1x1."""
    look = nn.Sequential(depthwise(hidden, task.kernel_size, bias=False), nn.BatchNorm2d(hidden))
    widen = conv_bn_relu(task.inputs[-1], hidden)
    return OnLast(widen, look, nn.ReLU(), conv_bn_relu(hidden, CHANNELS))


CONTEXTS: dict[str, Callable[[Task, int], nn.Module]] = {
    "1x1": pointwise,
    "LargeFOV": large_fov,
    "ASPP": aspp,
    "pyramid pooling": pyramid,
    "regions (OCR)": regions,
    "SegFormer's MLP": mlp,
    "large kernel": large_kernel,
}


class TrunkMaps(nn.Module):
    """The trunk of `support.trains`: maps of 32, 64 and 64 channels at stride 4, 8 and 8."""

    def __init__(self):
        super().__init__()
        self.layers = trunk()

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps[1:]


class MobileMaps(MobileNetV2):
    """MobileNetV2 at output stride 16: maps of 24, 32, 96 and 320 channels at 4, 8, 16 and 16."""

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for number, block in enumerate(self.features):
            x = block(x)
            if number in (3, 6, 13, 17):
                maps.append(x)
        return maps


class SwapNetwork(nn.Module):
    """Images (B, 3, H, W) to logits (B, num_classes, H, W).

    align_corners: of the last upsampling, see `dlseg.layers.upsample`.
    """

    def __init__(
        self, backbone: nn.Module, context: nn.Module, num_classes: int, align_corners: bool
    ):
        super().__init__()
        self.num_classes, self.align_corners = num_classes, align_corners
        self.backbone, self.context = backbone, context
        self.classifier = nn.Sequential(
            conv_bn_relu(CHANNELS, HIDDEN), nn.Conv2d(HIDDEN, num_classes, 1)
        )

    def scores(self, x: Tensor) -> Tensor:
        """The logits before the upsampling, (B, num_classes, h, w)."""
        return self.classifier(self.context(self.backbone(x)))

    def forward(self, x: Tensor) -> Tensor:
        return upsample(self.scores(x), x.shape[2:], self.align_corners)


def _widths(*hidden: int) -> dict[str, int]:
    return dict(zip(CONTEXTS, hidden, strict=True))


TRAINS = Task(
    (32, 64, 64), 7, (3, 6, 9, 12), 6, 25, _widths(811, 128, 32, 66, 502, 65, 108)
)  # 46.0 million multiply-adds at 129 x 129
STREETS = Task(
    (24, 32, 96, 320), 11, (2, 4, 6), 4, 13, _widths(596, 72, 24, 35, 260, 43, 402)
)  # 450 million at 180 x 240


def train_network(arm: str) -> SwapNetwork:
    """The network of one of CONTEXTS for the scenes of trains, corners aligned as there."""
    context = CONTEXTS[arm](TRAINS, TRAINS.hidden[arm])
    return SwapNetwork(TrunkMaps(), context, TRAINS.classes, True)


def street_network(arm: str, num_classes: int = STREETS.classes) -> SwapNetwork:
    """The network of one of CONTEXTS for CamVid's streets, on MobileNetV2."""
    context = CONTEXTS[arm](STREETS, STREETS.hidden[arm])
    return SwapNetwork(MobileMaps(16), context, num_classes, False)


def multiply_adds(network: SwapNetwork, size: tuple[int, int]) -> int:
    """Of one image of (height, width) pixels, matrix products of attention included.

    network: is moved to meta, where it keeps its shapes and loses its weights.
    `dlseg.inspect.cost` refuses attention, whose field it cannot follow.
    """
    network = network.to("meta").eval()
    with FlopCounterMode(display=False) as counter:
        network.scores(torch.empty(1, 3, *size, device="meta"))
    return counter.get_total_flops() // 2


def kept_bytes(network: SwapNetwork, size: tuple[int, int]) -> int:
    """Bytes of maps that training keeps of one image for the backward pass, weights not counted.

    Arguments as for `multiply_adds`.
    """
    network = network.to("meta").eval()
    kept = {id(one): one for one in network.parameters()}
    total = 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal total
        if id(tensor) not in kept and tensor.dim() > 1:
            kept[id(tensor)] = tensor
            total += tensor.numel() * tensor.element_size()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.empty(1, 3, *size, device="meta"))
    return total
