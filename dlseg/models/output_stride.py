"""One set of weights at several output strides."""

from collections.abc import Callable

from torch import nn


def at_output_stride(
    trained: nn.Module, build: Callable[[int], nn.Module], output_stride: int
) -> nn.Module:
    """`build(output_stride)` with the weights of `trained`: trained at 16, evaluated at 8.

    Atrous convolution needs no new weights: a stride becomes 1, and the rates behind it double,
    those of ASPP too. What has no rates, the mean of image pooling above all, changes a little.
    Where corners are not aligned, a stretch puts units (output stride - 1) / 2 pixels beyond the
    middle of their field: from 16 to 8 the logits move up and left by 4 pixels (chapter 10).

        build = lambda output_stride: DeepLabV3("resnet50", output_stride=output_stride)
        coarse = build(16)  # train it
        dense = at_output_stride(coarse, build, 8)

    Returns a network with copies of the weights, on the device of `trained`, in its number format
    and its mode.
    Raises: ValueError where `build` does not heed its argument; RuntimeError, by `load_state_dict`,
    where it makes a network with other weights.
    Source: DeepLab v3, section 4.1 and table 10; DeepLab v3+, table 3.
    """
    model = build(output_stride)
    if model.output_stride != output_stride:
        raise ValueError(
            f"build({output_stride}) made a network with output_stride={model.output_stride}; "
            "give its argument to the backbone"
        )
    model.to(next(trained.parameters()))  # before the copy, which would round otherwise
    model.load_state_dict(trained.state_dict())
    return model.train(trained.training)
