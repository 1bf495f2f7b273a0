"""Faults that fuzzing found and that wait to be mended."""

_TIFF = "UserWarning"  # of Pillow, over damaged tags of a TIFF or of EXIF
# Name of a target: what its known faults say, a regular expression.
KNOWN: dict[str, str] = {
    "upsample": "RuntimeError",
    "band": "UserWarning|negative stride|At least one stride",
    "to_ids": "IndexError",
    "to_train_ids": "IndexError",
    "learning_rate": "OverflowError",
    "poly": "ZeroDivisionError|OverflowError",
    "step": "ZeroDivisionError|OverflowError|RuntimeWarning",
    "shrink_labels": "RuntimeError|TypeError",
    "read_image": _TIFF,
    "read_label": _TIFF,
    "VOC": f"{_TIFF}|embedded null byte",
    "Cityscapes": _TIFF,
    "check_folder": f"{_TIFF}|embedded null byte",
    "dlseg predict": _TIFF,
    "dlseg crf": _TIFF,
    "dlseg doctor": _TIFF,
}
