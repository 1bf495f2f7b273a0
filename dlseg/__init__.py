"""The package under the book "Seeing Through Holes: DeepLab from First Principles".

`from dlseg import DeepLabV3Plus, receptive_field, ...`: names are looked up when they are asked
for, so that `import dlseg.arithmetic` needs no torch. Each package has the rest behind its face.
"""

from collections.abc import Callable
from importlib import import_module

__version__ = "0.1.0"


def lazy_face(package: str, table: dict[str, str]) -> tuple[Callable, Callable, list[str]]:
    """A face whose names are imported when they are first asked for.

    package: whose face it is. table: modules below it, each with its names, separated by blanks.
    Returns: __getattr__, __dir__ and __all__ for the package's `__init__`.
    """
    home = {name: module for module, names in table.items() for name in names.split()}

    def get(name: str):
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home[name]}"), name)

    return get, lambda: sorted(home), sorted(home)


__getattr__, __dir__, __all__ = lazy_face(
    __name__,
    {
        "arithmetic": "Layer stack_fields",
        "backbones": "MobileNetV2 MobileNetV3 ResNet VGG16 Xception",
        "crf": "DenseCRF dense_crf",
        "data": "VOC Cityscapes Scenes to_tensors",
        "device": "get_device setup",
        "inference": "prepare probabilities tiled_probabilities",
        "inspect": "cost gradient_support receptive_field",
        "layers": "SeparableConv2d atrous_conv2d upsample",
        "metrics": "BoundaryF ConfusionMatrix ImageScores TrimapCurve",
        "models": (
            "ASPP FCN DeepLabV1 DeepLabV2 DeepLabV3 DeepLabV3Cascade DeepLabV3Plus MultiScale "
            "at_output_stride build_model"
        ),
        "training": "Recipe evaluate load_network train",
    },
)
