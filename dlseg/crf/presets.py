"""Kernels that others shipped: how far (sxy, srgb) and how much (weight).

| preset                | smoothness  | appearance        | source                                 |
|                       | sxy, weight | sxy, srgb, weight |                                        |
|-----------------------|-------------|-------------------|----------------------------------------|
| pydensecrf            | 3, 3        | 80, 13, 10        | its README and example (5 iterations)  |
| deeplab-v1            | 3, 3        | 50, 10, 5         | DeepLab's SetupEnv.m, "DeepLab"        |
| deeplab-msc           | 3, 3        | 95, 3, 3          | the same, "DeepLab-MSc"                |
| deeplab-coco-largefov | 3, 3        | 67, 3, 5          | the same, "DeepLab-COCO"               |
| largefov              | 3, 3        | 49, 5, 4          | run script of DeepLab-LargeFOV         |
| deeplab-v2-resnet101  | 1, 3        | 67, 3, 4          | deeplab-pytorch (kazuto1011), voc12    |
| crf-rnn               | 3, 3        | 160, 3, 5         | CRF-RNN's code, values before training |

The DeepLab papers fix the smoothness kernel and 10 iterations and search the rest on 100 validation
images (v1, section 5; v2, section 4.1.1): see `dlseg.crf.search`. All but CRF-RNN, which takes
normalization="after", were used with the symmetric normalisation.
"""

from dlseg.crf.kernels import Kernel, appearance, smoothness

PRESETS: dict[str, tuple[Kernel, ...]] = {
    "pydensecrf": (smoothness(3, 3), appearance(80, 13, 10)),
    "deeplab-v1": (smoothness(3, 3), appearance(50, 10, 5)),
    "deeplab-msc": (smoothness(3, 3), appearance(95, 3, 3)),
    "deeplab-coco-largefov": (smoothness(3, 3), appearance(67, 3, 5)),
    "largefov": (smoothness(3, 3), appearance(49, 5, 4)),
    "deeplab-v2-resnet101": (smoothness(1, 3), appearance(67, 3, 4)),
    "crf-rnn": (smoothness(3, 3), appearance(160, 3, 5)),
}
