"""Curves and pictures for TensorBoard, which is optional: imported only where it is used."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn

from dlseg.inference import label_image, overlay
from dlseg.metrics import ConfusionMatrix
from dlseg.paths import check_path

PICTURES = 3  # of the validation data, from all over them


class TensorBoard:
    """A `watch` of `train` that writes loss and learning rate for `tensorboard --logdir folder`.

    What a validation found is added by `measure` and `show`.
    Of a resumed run, what was written from the first new iteration on is hidden.
    Raises ValueError for a path that cannot be; its first call ImportError where TensorBoard is not
    installed.
    """

    def __init__(self, folder: str | Path):
        self.folder, self.writer, self.done = check_path("folder", folder), None, 0

    def __call__(self, iteration: int, loss: float, rate: float) -> None:
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(self.folder), purge_step=iteration)
        self.writer.add_scalar("loss", loss, iteration)
        self.writer.add_scalar("learning rate", rate, iteration)
        self.done = iteration + 1

    def measure(self, matrix: ConfusionMatrix, classes: Sequence[str]) -> None:
        """Add mean IoU, pixel accuracy and the IoU of each class, after the last iteration."""
        if self.writer is None:  # nothing was left to do
            return
        scores = {"mean IoU": matrix.mean_iou(), "pixel accuracy": matrix.pixel_accuracy()}
        each = zip(classes, matrix.iou().tolist(), strict=True)
        for name, value in (scores | {f"IoU/{name}": iou for name, iou in each}).items():
            self.writer.add_scalar(name, value, self.done)

    def show(self, model: nn.Module, dataset) -> None:
        """Add a few pictures: each beside itself under its labels, and under the predicted ones.

        model: on any device. dataset: see `dlseg.data`.
        """
        if self.writer is None:
            return
        count = min(PICTURES, len(dataset))
        for index in np.linspace(0, len(dataset) - 1, count).astype(int).tolist():
            image, labels = dataset[index]
            both = labels, label_image(model, image)
            three = [image, *(overlay(image, one, dataset.palette) for one in both)]
            picture = np.concatenate(three, axis=1)  # (H, 3 W, 3)
            self.writer.add_image(f"pictures/{index}", picture, self.done, dataformats="HWC")

    def close(self) -> None:
        """Write what is still in memory."""
        if self.writer is not None:
            self.writer.close()
