"""Pixels ask regions, regions ask pixels: three ways to attend to a few vectors instead of a map.

| | asks | asked | normalised over | who decides |
|---|---|---|---|---|
| OCR | each pixel | K regions, one a class | regions | a first segmentation |
| kMaX-DeepLab | each centre | all pixels | centres, the best takes all | the pixel |
| Mask2Former | each query | the pixels of its mask | those pixels | the last layer's mask |
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlseg.models import conv_bn_relu


def region_vectors(features: Tensor, scores: Tensor) -> Tensor:
    """The mean of the features over each class's pixels, by its scores: (B, K, C).

    features: (B, C, H, W). scores: (B, K, H, W), of a first segmentation; the softmax over all
    places makes weights of them. Source: Yuan et al. 2020 (OCR), object region representations.
    """
    weights = scores.flatten(2).softmax(-1)  # (B, K, N), sum 1 over the places
    return weights @ features.flatten(2).mT  # (B, K, C)


class ObjectContext(nn.Module):
    """OCR: to each pixel's features the vectors of the regions, as far as they are like it.

    features (B, C, H, W) and scores (B, K, H, W) to (B, channels, H, W).
    Source: Yuan, Chen and Wang 2020, "Object-contextual representations for semantic segmentation",
    section 3. Every transform is a 1x1 with BN and ReLU.
    """

    def __init__(self, inputs: int, channels: int, key_channels: int):
        super().__init__()
        self.query = conv_bn_relu(inputs, key_channels)
        self.key = conv_bn_relu(inputs, key_channels)
        self.value = conv_bn_relu(inputs, key_channels)
        self.up = conv_bn_relu(key_channels, inputs)
        self.project = conv_bn_relu(2 * inputs, channels)

    def forward(self, features: Tensor, scores: Tensor) -> Tensor:
        regions = region_vectors(features, scores).mT[..., None]  # (B, C, K, 1), like a map
        query = self.query(features).flatten(2)  # (B, D, N)
        key, value = self.key(regions).flatten(2), self.value(regions).flatten(2)  # (B, D, K)
        weights = (query.mT @ key / key.shape[1] ** 0.5).softmax(-1)  # (B, N, K)
        context = (weights @ value.mT).mT.unflatten(2, features.shape[2:])  # (B, D, H, W)
        return self.project(torch.cat([self.up(context), features], 1))


def kmeans_step(centres: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """A step of k-means cross-attention: new centres (K, C), and each pixel's centre (N,).

    centres: (K, C). keys, values: (N, C) of the pixels. Cross-attention normalises over the pixels,
    softmax(Q K^T) V; here each pixel gives itself to the one centre it is likest, argmax over the
    centres, and each centre adds up what it was given. Keys and values equal, and means instead of
    sums, it is a step of k-means.
    Source: Yu et al. 2022, "k-means mask transformer", section 3.
    """
    nearest = (centres @ keys.mT).argmax(0)  # (N,)
    assigned = F.one_hot(nearest, len(centres)).to(values)  # (N, K)
    return centres + assigned.mT @ values, nearest


def masked_attention(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Cross-attention in which a query sees only the pixels of its mask: (Q, C).

    queries: (Q, C). keys, values: (N, C). mask: (Q, N), logits of the masks that the layer before
    made; a pixel is seen where they are 0 or more, probability 1/2. A query whose mask is empty
    sees all. Source: Cheng et al. 2022, "Masked-attention mask transformer for universal image
    segmentation" (Mask2Former), section 3.2.1, equations 2 and 3.
    """
    seen = mask >= 0
    seen |= ~seen.any(1, keepdim=True)
    logits = (queries @ keys.mT / keys.shape[1] ** 0.5).masked_fill(~seen, -torch.inf)
    return logits.softmax(1) @ values
