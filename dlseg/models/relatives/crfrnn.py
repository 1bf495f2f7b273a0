"""CRF-as-RNN: a network and its dense CRF, trained together.

Source: Zheng et al. 2015, "Conditional random fields as recurrent neural networks", sections 4
and 5.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from dlseg.checks import check_integer
from dlseg.crf import PRESETS, DenseCRF, Kernel, compatibility
from dlseg.doors import check_image

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours in 0..1
SMALLEST = 1e-30  # stands for a probability of 0, which has no logarithm


class CRFasRNN(nn.Module):
    """A network whose logits go through mean field: images (B, 3, H, W) to log Q, the same shape.

    model: a network; its upsampled logits are the unaries. The exponentials of the
    result are probabilities already, so cross entropy takes it as any logits.
    kernels: their weights are the start. Each kernel learns a matrix (num_classes, num_classes) of
    penalties of a label beside a label, which need not be symmetric. It holds what the paper keeps
    apart: one compatibility matrix times a weight per class and kernel. Sigmas are not learned.
    iterations: of mean field, with shared weights, in training and in evaluation.
    mean, std: with which colours in 0..1 were normalised; the kernels want them in 0..255.
    method: see `DenseCRF`; "exact" is for small images.

    Attributes: backbone, num_classes, output_stride, all the model's.
    Raises: ValueError where an argument is out of range.
    """

    def __init__(
        self,
        model: nn.Module,
        kernels: Sequence[Kernel] = PRESETS["crf-rnn"],
        iterations: tuple[int, int] = (5, 10),
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
        method: str = "lattice",
    ):
        super().__init__()
        self.model = model
        self.iterations = tuple(check_integer("iterations", count, 0) for count in iterations)
        matrices = [_with_matrix(kernel, model.num_classes) for kernel in kernels]
        self.crf = DenseCRF(matrices, normalization="after", method=method)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    @property
    def backbone(self) -> nn.Module:
        return self.model.backbone

    @property
    def num_classes(self) -> int:
        return self.model.num_classes

    @property
    def output_stride(self) -> int:
        return self.model.output_stride

    def forward(self, x: Tensor) -> Tensor:
        check_image(x, self)
        field = self.crf.prepare(self.model(x), self.colours(x))  # unaries (B, num_classes, H, W)
        in_training, in_evaluation = self.iterations
        for _ in range(in_training if self.training else in_evaluation):
            field.step()  # the recurrent layer
        return field.result().clamp(min=SMALLEST).log()  # (B, num_classes, H, W)

    def scores(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The model's coarse logits, before the CRF."""
        return self.model.scores(x)

    def colours(self, x: Tensor) -> Tensor:
        """The colours, uint8 (B, 3, H, W), of normalised images."""
        return (255 * (x * self.std + self.mean)).round().clamp(0, 255).to(torch.uint8)


def _with_matrix(kernel: Kernel, num_classes: int) -> Kernel:
    """The same kernel, its weight written as the penalty of each pair of labels."""
    weight = kernel.weight_tensor(device="cpu")
    return replace(kernel, weight=compatibility(weight, num_classes))
