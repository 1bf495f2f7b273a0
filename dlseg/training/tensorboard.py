"""Curves for TensorBoard, which is optional: imported only where it is used."""

from pathlib import Path

from dlseg.paths import check_path


class TensorBoard:
    """A `watch` of `train` that writes loss and learning rate for `tensorboard --logdir folder`.

    Of a resumed run, what was written from the first new iteration on is hidden.
    Raises ValueError for a path that cannot be; its first call ImportError where TensorBoard is not
    installed.
    """

    def __init__(self, folder: str | Path):
        self.folder, self.writer = check_path("folder", folder), None

    def __call__(self, iteration: int, loss: float, rate: float) -> None:
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(self.folder), purge_step=iteration)
        self.writer.add_scalar("loss", loss, iteration)
        self.writer.add_scalar("learning rate", rate, iteration)

    def close(self) -> None:
        """Write what is still in memory."""
        if self.writer is not None:
            self.writer.close()
