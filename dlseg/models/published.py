"""Whole segmentation networks that others published: where they are, and how to load them.

Nothing in the book needs them. They expect RGB images in [0, 1] from which the mean
(0.485, 0.456, 0.406) was taken, divided by (0.229, 0.224, 0.225).
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from dlseg.fetch import Checksum, fetch_file


@dataclass(frozen=True)
class PublishedNetwork:
    """One file of torchvision 0.28, its weights "COCO_WITH_VOC_LABELS_V1".

    sha256_prefix: the first hex digits of the file's SHA-256. mean_iou, pixel_accuracy: per cent on
    COCO's val2017 with the 20 classes of Pascal VOC, as torchvision states them; not on VOC's val.
    """

    name: str
    sha256_prefix: str
    mean_iou: float
    pixel_accuracy: float

    @property
    def file(self) -> str:
        return f"{self.name}_coco-{self.sha256_prefix}.pth"

    @property
    def url(self) -> str:
        return f"https://download.pytorch.org/models/{self.file}"


COCO_VOC = {
    network.name: network
    for network in (
        PublishedNetwork("deeplabv3_resnet50", "cd0a2569", 66.4, 92.4),
        PublishedNetwork("deeplabv3_resnet101", "586e9e4e", 67.4, 92.4),
    )
}


def load_coco_voc(model: nn.Module, name: str, folder: str | Path | None = None) -> None:
    """Give `model` the published weights `name`, a key of COCO_VOC.

    model: what `torchvision_deeplabv3` makes, with or without auxiliary head, at any output stride.
    folder: where files are kept; by default where torchvision keeps them too, `hub/checkpoints`
    below `TORCH_HOME`. Only tensors are unpickled.
    The code is under the BSD 3-Clause licence; the weights "may have their own licenses or terms
    and conditions derived from the dataset used for training", as torchvision says.
    A model that the file does not fit keeps the weights it had.
    Raises: ValueError for an unknown name or a model that the file does not fit; OSError, with what
    to do by hand, where the file cannot be had or is damaged.
    """
    if name not in COCO_VOC:
        raise ValueError(f"no published network {name!r}; there are {', '.join(COCO_VOC)}")
    state = torch.load(_file(COCO_VOC[name], folder), map_location="cpu", weights_only=True)
    own = {key: value.shape for key, value in model.state_dict().items()}
    if not any(key.startswith("aux_classifier.") for key in own):
        state = {key: v for key, v in state.items() if not key.startswith("aux_classifier.")}
    wrong = [key for key in own | state if key not in state or own.get(key) != state[key].shape]
    if wrong:
        raise ValueError(
            f"the weights {name} do not fit this {type(model).__name__}, its {wrong[0]} and "
            f"{len(wrong) - 1} more: build it with torchvision_deeplabv3 and 21 classes"
        )
    model.load_state_dict(state)


def _file(network: PublishedNetwork, folder: str | Path | None) -> Path:
    """The file on this machine, downloaded if it is not there, its hash checked."""
    return fetch_file(
        network.url,
        Path(folder or Path(torch.hub.get_dir(), "checkpoints")) / network.file,
        Checksum("sha256", network.sha256_prefix),
        what=f"the weights {network.name}",
        hint="TORCH_HOME names another place to keep files",
    )
