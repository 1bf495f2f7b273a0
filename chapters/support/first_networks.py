"""The two networks of chapter 01: one sees far and coarsely, one sharply and not far."""

import numpy as np
from torch import nn

from dlseg.backbones import ResNet
from dlseg.data import MEAN, STD, Scenes, to_tensors
from dlseg.inference import probabilities
from dlseg.models import FCN
from dlseg.training import Recipe

# Learning rates: the best of a few that were tried on another seed.
RECIPES = {
    "coarse": Recipe(iterations=250, batch_size=16, learning_rate=0.05, scale=(1, 1)),
    "sharp": Recipe(iterations=250, batch_size=16, learning_rate=0.2, scale=(1, 1)),
}


def coarse_network(num_classes: int = 10) -> FCN:
    """ResNet-18 at a quarter of its width, output stride 32, and a 1x1 classifier."""
    return FCN("resnet18", num_classes, output_stride=32, width=0.25)


def sharp_network(num_classes: int = 10) -> FCN:
    """The beginning of the same network: it ends behind layer1, at output stride 4."""
    backbone = ResNet(32, depth=18, width=0.25)
    backbone.layer2 = backbone.layer3 = backbone.layer4 = nn.Identity()
    backbone.channels, backbone.output_stride = backbone.low_level_channels, 4
    return FCN(backbone, num_classes)


def predict_all(network: nn.Module, scenes: Scenes) -> np.ndarray:
    """The most probable class of every pixel of every scene, int64 (N, S, S)."""
    device, predictions = next(network.parameters()).device, []
    for image, label in (scenes[i] for i in range(len(scenes))):
        batch = to_tensors(image, label, MEAN, STD)[0][None].to(device)  # (1, 3, S, S)
        predictions.append(probabilities(network, batch).argmax(1).cpu().numpy())
    return np.concatenate(predictions)
