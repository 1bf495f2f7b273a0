"""What comes in at a door: images, maps, labels, and what a model returns.

One function for each concept, called by every public function that takes such a thing. Tensors are
known by what they can do, so that looking at data needs no torch.
"""

from collections.abc import Mapping
from itertools import chain

from dlseg.checks import described


def check_image(x, model=None, channels: int = 3, name: str = "the image") -> None:
    """ValueError unless x is a batch of images that `model` can take, floats (B, channels, H, W).

    There must be at least an image and a pixel. model: see `check_fit`; None asks nothing.
    """
    if not _is_tensor(x) or x.dim() != 4 or x.shape[1] != channels or min(x.shape) < 1:
        got = tuple(x.shape) if _is_tensor(x) else described(x)
        raise ValueError(
            f"expected an image (B, {channels}, H, W), got {got}; a single one needs image[None]"
        )
    check_fit(x, model, name)


def check_maps(name: str, x) -> None:
    """ValueError unless x is a tensor of floats (B, C, H, W), at least a channel and a pixel."""
    fits = _is_tensor(x) and x.dim() == 4 and 0 not in x.shape[1:]
    if not fits or not x.is_floating_point():
        raise ValueError(f"{name} must be floats (B, C, H, W), got {described(x)}")


def check_fit(x, model, name: str = "the image") -> None:
    """ValueError unless the tensor x has the number format and the device of a model's weights.

    Autocast casts where it must. Without weights, or without a model, any float will do.
    """
    if not x.is_floating_point():
        raise ValueError(
            f"{name} must be floats, normalised as for training, got {described(x)}: see "
            "dlseg.data.to_tensors"
        )
    state = () if model is None else chain(model.parameters(), model.buffers())
    like = next((tensor for tensor in state if tensor.is_floating_point()), x)
    if like.dtype != x.dtype and not _autocast(x):
        raise ValueError(f"{name} is {x.dtype} and the model {like.dtype}: give x.to({like.dtype})")
    if like.device != x.device and "meta" not in (like.device.type, x.device.type):
        raise ValueError(
            f"{name} is on {x.device} and the model on {like.device}: move one of them"
        )


def check_finite(name: str, values) -> None:
    """ValueError that counts them if a value of the tensor is NaN or infinite.

    The sum shows whether there is one, and is quicker than to look at each.
    """
    if not values.is_floating_point() or values.sum().isfinite() or values.isfinite().all():
        return
    bad, nan = int((~values.isfinite()).sum()), int(values.isnan().sum())
    raise ValueError(
        f"{name} must be finite, got {bad} values that are NaN or infinite, {nan} of them NaN, of "
        f"{values.numel()}: look for a division by 0, or for weights that are no numbers"
    )


def check_batch(x, norm) -> None:
    """ValueError where the layer `norm` would have to normalise single values, x being one image.

    norm: batch norm behind a mean over the whole map; SyncBatchNorm sees other processes' images.
    """
    if x.shape[0] == 1 and norm.training and type(norm).__name__ == "BatchNorm2d":
        raise ValueError(
            "image pooling leaves one value per channel of a batch of 1 image, and batch norm "
            "cannot normalise a single value in training. Give at least 2 images per device "
            "(drop_last=True drops a short last batch); or call model.eval() to predict; or "
            "freeze batch norm, with Recipe(freeze_batch_norm=True); or turn it into "
            "nn.SyncBatchNorm where several processes train together; or build the network "
            "with image_pooling=False"
        )


# Labels, and what a model returns


def check_integers(name: str, labels) -> None:
    """ValueError unless labels are a tensor or array of integers, or of bools, of any shape."""
    kind = str(getattr(labels, "dtype", type(labels).__name__)).removeprefix("torch.")
    if not kind.startswith(("int", "uint", "bool")):
        raise ValueError(
            f"{name} must be integers, one class per pixel, got {described(labels)}: take the "
            "argmax of scores"
        )


def check_labels(name: str, labels, num_classes: int, ignore_index: int | None) -> None:
    """ValueError that names some unless labels are 0 .. num_classes - 1, or `ignore_index`.

    labels: a tensor or array of integers, of any shape. ignore_index: None allows nothing else.
    """
    check_integers(name, labels)
    if not _is_tensor(labels) and labels.size and 0 <= labels.min() <= labels.max() < num_classes:
        return  # without the 8 bytes a pixel that follow: a picture may have 250 million
    wide = labels.long() if _is_tensor(labels) else labels.astype("int64")  # -100 is no uint8
    wrong = (wide < 0) | (wide >= num_classes)
    if ignore_index is not None:
        wrong &= wide != ignore_index
    if wrong.any():
        raise label_fault(name, sorted(set(wide[wrong].tolist())), num_classes, ignore_index)


def label_fault(name: str, wrong: list[int], num_classes: int, ignore_index: int | None):
    """The ValueError for values that are no class, which names up to five of them."""
    void = "" if ignore_index is None else f", or {ignore_index} where the label is void"
    shown = ", ".join(map(str, wrong[:5])) + (" and more" if len(wrong) > 5 else "")
    return ValueError(
        f"{name} must be 0 to {num_classes - 1}{void}, got {shown}: are they colours, or ids of "
        "another list of classes?"
    )


def check_same_classes(model: int | None, data: int) -> None:
    """ValueError unless a model and a data set have as many classes; None: not known yet."""
    if model is not None and model != data:
        raise ValueError(
            f"the model has {model} classes and the data set {data}; build the model with "
            f"num_classes={data} (void is no class), or take the data it was trained on"
        )


def main_tensor(output):
    """The tensor that a model's output is about; None where it says of none that it is.

    Itself; the entry or attribute "out", as torchvision's, or "logits"; of a tuple or list without
    these names the first.
    """
    for name in ("out", "logits"):
        if isinstance(output, Mapping) and name in output:
            return main_tensor(output[name])
        if hasattr(output, name) and not _is_tensor(output):
            return main_tensor(getattr(output, name))
    if isinstance(output, tuple | list) and output:
        return main_tensor(output[0])
    return output if _is_tensor(output) else None


def logits_of(output, num_classes: int | None = None, finite: bool = True):
    """The logits, floats (B, C, H, W), in what a segmentation model returned: see `main_tensor`.

    num_classes: C, where it is known. finite: whether to look at the values too.
    Raises ValueError for anything else, NaN and infinity among it.
    """
    logits = main_tensor(output)
    if logits is None or logits.dim() != 4 or not logits.is_floating_point():
        keys = f" of {', '.join(map(str, output))}" if isinstance(output, Mapping) else ""
        raise ValueError(
            "a model must return logits, floats (B, C, H, W): alone, as the entry or attribute "
            f'"out" or "logits", or first in a tuple; got {described(output)}{keys}'
            + (f" with {described(logits)}" if logits is not None and logits is not output else "")
        )
    if num_classes is not None:
        check_same_classes(logits.shape[1], num_classes)
    if finite:
        check_finite("the model's logits", logits)
    return logits


def _is_tensor(value) -> bool:
    return hasattr(value, "is_floating_point") and hasattr(value, "dim")


def _autocast(x) -> bool:
    """Whether the operations on x cast it, which float64 alone is left out of."""
    import torch

    return torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64
