"""From pictures to labels as `dlseg predict` is told: whole, in tiles, refined, fast for clips."""

import argparse
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from torch import nn

from dlseg import inference
from dlseg.checks import CommandError
from dlseg.commands.crf import preset_crf
from dlseg.commands.shared import one_line
from dlseg.data import Decoded, normalise, printable
from dlseg.device import get_device, out_of_memory

WHOLE = 4_000_000  # pixels of the largest image that is predicted at once; a square of 2000
TILE, SMALL = 1024, 513  # pixels: of larger images, and where memory is short
REFINED = 42_000_000  # pixels times classes that the CRF is given: 2 megapixels of 21 classes
# Frames from which on the network is prepared for a clip: that takes as long as it saves in 10 to
# 30 of them, on one core with MobileNetV2 and 640 x 360 to 1280 x 720 pixels.
LONG = 50


def long_clip(path: Path, frames: int) -> Path | None:
    """The path of a clip for whose many frames a network is to be prepared; None: too few."""
    return path if frames >= LONG else None


class Labeller:
    """Labels pictures with a network by the options of the command line.

    model: on its device. num_classes: those it tells apart.
    """

    def __init__(self, model: nn.Module, num_classes: int, arguments: argparse.Namespace):
        self.model, self.num_classes, self.arguments = model, num_classes, arguments
        self.crf = None
        if arguments.crf:
            self.crf = preset_crf("--crf-preset", arguments.crf_preset).to(get_device())
        self._fast: dict[Hashable, nn.Module] = {}

    def __call__(
        self, name: str, image: np.ndarray | Decoded, clip: Hashable = None
    ) -> tuple[np.ndarray, str]:
        """The labels of a picture, uint8 (H, W), and a remark on how they were made, or "".

        clip: something that stands for the long clip whose frame it is; None: for a picture alone.
        Raises CommandError where the picture or the options do not allow it.
        """
        options, tile = self.arguments, self._tile(image)
        self._check_refined(name, image)
        with one_line(ValueError, start=f"{printable(name)}: "):
            model = self.model if clip is None else self._prepared(clip, image[:tile, :tile])
            window = tile, options.overlap, options.scales, options.flip
            if self.crf is not None:
                labels = inference.refined_labels(model, image, self.crf, *window)
            elif clip is not None and window == (None, None, [1.0], False):
                labels = inference.label_frame(model, np.asarray(image))
            else:
                labels = inference.label_image(model, image, *window)
        chosen = tile is not None and options.tile is None
        return labels, f" (in tiles of {tile} pixels; --tile 0 takes it whole)" if chosen else ""

    @contextmanager
    def in_memory(self, name: str, image: np.ndarray | Decoded) -> Iterator[None]:
        """Too little memory for a picture, in the block, as one line that says what needs less."""
        try:
            yield
        except Exception as error:
            if not out_of_memory(error):
                raise
            remedy = self._remedy(image)
            raise CommandError(f"not enough memory for {printable(name)}: try {remedy}") from error

    def _remedy(self, image: np.ndarray | Decoded) -> str:
        options, longest = self.arguments, max(image.shape[:2])
        side = min(longest, self._tile(image) or longest)  # what is predicted at once
        if options.crf:
            return "a smaller picture, or to leave --crf out"
        if side > SMALL:
            return f"--tile {SMALL}, or less"
        if options.flip or len(options.scales) > 1:
            return "a single one of --scales, without --flip"
        return f"--tile {max(side // 2, 1)}, or close other programs"

    def _tile(self, image: np.ndarray | Decoded) -> int | None:
        """The side of the tiles for this image; None: it is taken whole."""
        if self.arguments.tile is not None:
            return self.arguments.tile or None
        height, width = image.shape[:2]
        return TILE if height * width * max(1, *self.arguments.scales) ** 2 > WHOLE else None

    def _check_refined(self, name: str, image: np.ndarray | Decoded) -> None:
        pixels = image.shape[0] * image.shape[1]
        if self.crf is not None and pixels * self.num_classes > REFINED:
            most = REFINED / self.num_classes / 1e6
            raise CommandError(
                f"{printable(name)} has {pixels / 1e6:.1f} megapixels, and --crf takes {most:.1f} "
                f"with {self.num_classes} classes, since its memory grows with both and tiles do "
                "not help: make it smaller, or leave --crf out"
            )

    def _prepared(self, clip: Hashable, sample: np.ndarray) -> nn.Module:
        """The network made ready for the frames of a clip; as it is where that fails."""
        if clip not in self._fast:
            x = normalise(sample)[None].to(get_device())  # (1, 3, H, W)
            try:
                self._fast = {clip: inference.prepare(self.model, x)}  # that of another clip goes
            except (RuntimeError, ValueError):  # it does more than `prepare` can follow
                self._fast = {clip: self.model}
        return self._fast[clip]
