"""The drawn parts of a backbone are those of the real network."""

from itertools import product

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from dlseg.backbones import VGG16, MobileNetV2, ResNet, Xception
from support.stages import PARTS, planned_parts
from tests.sampling import sampled

MAKERS = {
    "VGG-16": VGG16,
    "ResNet-50": ResNet,
    "MobileNetV2": MobileNetV2,
    "Xception-65": Xception,
}


@pytest.mark.parametrize(("backbone", "output_stride"), sampled(product(PARTS, (8, 16, 32)), 5))
def test_last_part_is_the_last_map(backbone, output_stride):
    with FakeTensorMode(), torch.no_grad():
        model = MAKERS[backbone](output_stride=output_stride)
        for side in (128, 129, 320, 513):
            _, drawn = planned_parts(backbone, output_stride, side)[-1]
            last = model(torch.empty(1, 3, side, side)).last
            assert last.shape[1:] == (PARTS[backbone][-1][1], drawn, drawn)


def test_unknown_backbone():
    with pytest.raises(ValueError, match=r"backbone must be one of VGG-16, .* got 'AlexNet'"):
        planned_parts("AlexNet", 16, 513)
