"""How wide a network is: one factor on the channels of all its layers.

Narrow networks have the layers, the strides and the fields of the published ones, and train in a
moment. Source: Howard et al. 2017 (MobileNet), section 3.3, the width multiplier.
"""

import math


def round_channels(channels: float) -> int:
    """The multiple of 8 nearest to `channels`, at least 8 and never less than 90 % of it.

    Source: `_make_divisible` of MobileNetV2's authors, which torchvision took over.
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def check_width(width: float, weights: str | None) -> None:
    """ValueError unless width is a finite number above 0, and 1 where there are `weights`."""
    if not 0 < width < math.inf:
        raise ValueError(f"width must be a number above 0, got {width!r}")
    if weights is not None and width != 1:
        raise ValueError(
            f"the published weights need width=1.0, got {width!r}; drop weights, or load your own "
            "state dict"
        )
