"""Weights that others trained on ImageNet: which there are, how to get them, how to load them.

Nothing here is needed to read the book: networks are built with random weights, and a file is
fetched only where a caller asks for `weights="imagenet"`. All of them expect RGB images in [0, 1]
from which the mean (0.485, 0.456, 0.406) was taken, divided by (0.229, 0.224, 0.225).
torchvision's code is under the BSD 3-Clause licence; its pre-trained models "may have their own
licenses or terms and conditions derived from the dataset used for training".

There are none for Xception: torchvision has no such network, and timm, whose keys ours are, gets
its files (`xception65.tf_in1k` and others) from a model hub under names without a hash, so that
what arrives could not be checked. A state dict of timm loads with `model.load_state_dict`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from dlseg.fetch import Checksum, fetch_file, kept_at
from dlseg.schema import Unfit
from dlseg.state import STATE_DICT, misfit, read_saved


@dataclass(frozen=True)
class Weights:
    """One published file.

    name: of the network, as torchvision calls it, with "-v2" for a second training, as in
    "resnet50-v2". sha256: all hex digits of the file's SHA-256, or the first 8, where the publisher
    says no more. megabytes: its size, of 10^6 bytes. score: per cent, as `source` states it: of
    ImageNet's validation images classified right, one crop of 224 x 224 pixels; of a segmentation
    network the mean IoU; None where nothing is stated. head: prefixes of the keys that only a
    network with all heads has.
    """

    name: str
    url: str
    sha256: str
    megabytes: float
    score: float | None
    source: str
    head: tuple[str, ...] = ()
    licence: str = "terms of the pictures"

    @property
    def file(self) -> str:
        """Name of the file, the same as torchvision gives it."""
        return self.url.rsplit("/", 1)[-1]


def torchvision_file(
    name: str, enum: str, head: tuple[str, ...], prefix: str, mebibytes: float, score: float
) -> Weights:
    """A file of torchvision; enum: where it is stated; prefix: of its hash."""
    stem = name.removesuffix("-v2") + ("_coco" if "COCO" in enum else "")
    url = f"https://download.pytorch.org/models/{stem}-{prefix}.pth"
    megabytes = round(mebibytes * 2**20 / 1e6, 1)
    return Weights(name, url, prefix, megabytes, score, f"torchvision 0.28, {enum}", head)


_VGG, _RESNET = ("classifier.",), ("fc.",)
_MOBILE = ("features.18.", "classifier.")  # DeepLab's head sits before the 1280 channels
# The first of each network is trained much as in its paper, "-v2" by torchvision's newer recipe.
_LARGE = "MobileNet_V3_Large_Weights.IMAGENET1K"
_FILES = (
    ("vgg16", "VGG16_Weights.IMAGENET1K_V1", _VGG, "397923af", 527.796, 71.592),
    ("vgg16_bn", "VGG16_BN_Weights.IMAGENET1K_V1", _VGG, "6c64b313", 527.866, 73.360),
    ("resnet18", "ResNet18_Weights.IMAGENET1K_V1", _RESNET, "f37072fd", 44.661, 69.758),
    ("resnet34", "ResNet34_Weights.IMAGENET1K_V1", _RESNET, "b627a593", 83.275, 73.314),
    ("resnet50", "ResNet50_Weights.IMAGENET1K_V1", _RESNET, "0676ba61", 97.781, 76.130),
    ("resnet50-v2", "ResNet50_Weights.IMAGENET1K_V2", _RESNET, "11ad3fa6", 97.79, 80.858),
    ("resnet101", "ResNet101_Weights.IMAGENET1K_V1", _RESNET, "63fe2227", 170.511, 77.374),
    ("resnet101-v2", "ResNet101_Weights.IMAGENET1K_V2", _RESNET, "cd907fc2", 170.53, 81.886),
    ("mobilenet_v2", "MobileNet_V2_Weights.IMAGENET1K_V1", _MOBILE, "b0353104", 13.555, 71.878),
    ("mobilenet_v2-v2", "MobileNet_V2_Weights.IMAGENET1K_V2", _MOBILE, "7ebf99e0", 13.598, 72.154),
    ("mobilenet_v3_large", f"{_LARGE}_V1", ("classifier.",), "8738ca79", 21.114, 74.042),
    ("mobilenet_v3_large-v2", f"{_LARGE}_V2", ("classifier.",), "5c1a4163", 21.107, 75.274),
)
PUBLISHED = {row[0]: torchvision_file(*row) for row in _FILES}


def fetch(weights: Weights, folder: str | Path | None = None) -> Path:
    """The file of `weights` on this machine, downloaded if it is not there, its hash checked.

    folder: where files are kept, see `dlseg.fetch.kept_at`. Shows a progress bar on a terminal.
    A hash of 8 digits finds damage, and is no proof against somebody who forges a file.
    Raises OSError, with what to do by hand, where the file cannot be had or is damaged.
    """
    return fetch_file(
        weights.url,
        kept_at(folder) / weights.file,
        Checksum("sha256", weights.sha256),
        what=f"the weights {weights.name}",
        hint="TORCH_HOME names another place to keep files",
    )


def load_published(
    name: str, folder: str | Path | None = None, table: Mapping[str, Weights] = PUBLISHED
) -> dict[str, Tensor]:
    """The state dict, on the CPU, of the published weights `name`, with all its heads.

    name: a key of `table`; folder: as for `fetch`. Only tensors are unpickled.
    Raises ValueError for an unknown name or a file of anything but names and tensors of finite
    numbers, OSError as `fetch` does.
    """
    if name not in table:
        raise ValueError(f"no published weights {name!r}; there are {', '.join(table)}")
    path = fetch(table[name], folder)
    try:
        return STATE_DICT("weights", read_saved(path, zipped=False))  # VGG's are of before zips
    except Unfit as error:
        raise ValueError(f"{path}: {error}; delete it and try again") from error


def load_into(model: nn.Module, name: str, table: Mapping[str, Weights] = PUBLISHED) -> None:
    """Give `model` the published weights `name`, a key of `table` such as "resnet50".

    A head's weights are dropped where the model has none of it; everything else must be there.
    A model that the file does not fit keeps the weights it had.
    Raises ValueError for an unknown name or weights that do not fit, OSError as `fetch` does.
    """
    state = load_published(name, table=table)
    head = table[name].head
    if not any(key.startswith(head) for key in model.state_dict()):
        state = {key: value for key, value in state.items() if not key.startswith(head)}
    if difference := misfit(model, state):
        raise ValueError(
            f"the weights {name} do not fit this {type(model).__name__}: {difference}. "
            "Build the network that was trained, with its number of classes, or none"
        )
    model.load_state_dict(state)
