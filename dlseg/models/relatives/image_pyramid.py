"""Image pyramid: one network looks at the image at several sizes; the scores are joined.

Source: Farabet et al. 2013, "Learning hierarchical features for scene labeling"; DeepLab v3,
section 2 and figure 2 (a), on this way to multi-scale.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlseg.checks import check_choice
from dlseg.layers import upsample
from dlseg.models.deeplabv2 import MultiScale


class ImagePyramid(MultiScale):
    """A model at several scales of the image, with shared weights, joined by mean or maximum.

    model, scales: as for `MultiScale`, which is the same with fusion="max".
    fusion: "mean": all scales have a say; "max": place by place and class by class the largest.
    Attributes: backbone, num_classes, output_stride, all the model's.
    Raises: ValueError for another fusion, and as `MultiScale`.
    """

    def __init__(
        self,
        model: nn.Module,
        scales: Sequence[float] = (0.5, 0.75, 1.0),
        fusion: str = "mean",
    ):
        check_choice("fusion", fusion, ("mean", "max"))
        super().__init__(model, scales)
        self.fusion = fusion

    def scores(self, x: Tensor) -> tuple[Tensor, ...]:
        """The scores of each scale at its own size, and last their fusion at that of scale 1.

        Each is (B, num_classes, s H/os, s W/os), with s its scale and os the output stride.
        """
        *maps, largest = super().scores(x)
        if self.fusion == "max":
            return *maps, largest
        same = [upsample(scores, largest.shape[2:]) for scores in maps]
        return *maps, torch.stack(same).mean(0)
