"""What a convolution costs, whole or split in two: weights and multiply-adds as plain integers.

Weights only: biases and batch normalisation are left out, as in the papers. A multiply-add is one
multiplication with its addition. The rate appears nowhere, because holes cost nothing.
Maps are square and padded so that `size` pixels with stride s become ceil(size / s).
All raise ValueError where an argument is no integer >= 1.
Sources: Howard et al. 2017 (MobileNet), section 3.1; Sandler et al. 2018 (MobileNetV2), table 1.
"""

from dlseg.checks import check_integer


def conv_parameters(in_channels: int, out_channels: int, kernel_size: int = 3) -> int:
    """Weights of an ordinary convolution: `k^2 M N`.

    Source: MobileNet, section 3.1.
    """
    in_channels = check_integer("in_channels", in_channels, 1)
    out_channels = check_integer("out_channels", out_channels, 1)
    return check_integer("kernel_size", kernel_size, 1) ** 2 * in_channels * out_channels


def conv_multiply_adds(
    in_channels: int, out_channels: int, size: int, kernel_size: int = 3, stride: int = 1
) -> int:
    """Multiply-adds of an ordinary convolution: each weight once per output, `k^2 M N F^2`.

    size: side of the map that is read, pixels; the map that is made has F = ceil(size / stride).
    Source: MobileNet, equation 2.
    """
    weights = conv_parameters(in_channels, out_channels, kernel_size)
    return weights * _outputs(size, stride)


def depthwise_parameters(channels: int, kernel_size: int = 3, depth_multiplier: int = 1) -> int:
    """Weights of the depthwise half: `depth_multiplier` windows for each channel, `k^2 M m`.

    Source: MobileNet, section 3.1 (with one window per channel).
    """
    return conv_parameters(1, channels, kernel_size) * check_integer(
        "depth_multiplier", depth_multiplier, 1
    )


def separable_parameters(
    in_channels: int, out_channels: int, kernel_size: int = 3, depth_multiplier: int = 1
) -> int:
    """Weights of a depthwise convolution and the pointwise one behind it: `k^2 M + M N`.

    depth_multiplier: windows per input channel; both halves grow with it.
    Source: MobileNet, section 3.1 (with one window per channel).
    """
    depthwise = depthwise_parameters(in_channels, kernel_size, depth_multiplier)
    between = depthwise_parameters(in_channels, 1, depth_multiplier)  # channels
    return depthwise + conv_parameters(between, out_channels, 1)


def separable_multiply_adds(
    in_channels: int,
    out_channels: int,
    size: int,
    kernel_size: int = 3,
    stride: int = 1,
    depth_multiplier: int = 1,
) -> int:
    """Multiply-adds of a depthwise convolution and the pointwise one behind it.

    size: side of the map that is read, pixels. The depthwise half carries the stride, so both
    halves make maps of ceil(size / stride).
    Source: MobileNet, equation 5.
    """
    weights = separable_parameters(in_channels, out_channels, kernel_size, depth_multiplier)
    return weights * _outputs(size, stride)


def inverted_residual_parameters(
    in_channels: int, out_channels: int, expansion: int = 6, kernel_size: int = 3
) -> int:
    """Weights of MobileNetV2's block: expand to t M channels, depthwise, project.

    With expansion 1 there is nothing to expand, and the first convolution is left out.
    Source: MobileNetV2, table 1.
    """
    return sum(_inverted_residual(in_channels, out_channels, expansion, kernel_size))


def inverted_residual_multiply_adds(
    in_channels: int,
    out_channels: int,
    size: int,
    expansion: int = 6,
    kernel_size: int = 3,
    stride: int = 1,
) -> int:
    """Multiply-adds of MobileNetV2's block on a map of `size` x `size` pixels.

    The expansion works on the map that is read, the other two on that of ceil(size / stride).
    Source: MobileNetV2, section 3.3 and table 1.
    """
    expand, depthwise, project = _inverted_residual(
        in_channels, out_channels, expansion, kernel_size
    )
    return expand * _outputs(size, 1) + (depthwise + project) * _outputs(size, stride)


def _inverted_residual(in_channels, out_channels, expansion, kernel_size) -> tuple[int, int, int]:
    """Weights of the three convolutions, in order."""
    expansion = check_integer("expansion", expansion, 1)
    wide = expansion * check_integer("in_channels", in_channels, 1)
    expand = conv_parameters(in_channels, wide, 1) if expansion > 1 else 0
    return expand, depthwise_parameters(wide, kernel_size), conv_parameters(wide, out_channels, 1)


def _outputs(size: int, stride: int) -> int:
    """Pixels of the map that a padded layer of this stride makes."""
    size, stride = check_integer("size", size, 1), check_integer("stride", stride, 1)
    return (-(-size // stride)) ** 2
