"""Class probabilities of whole images, several scales, mirrored, in tiles."""

from dlseg.inference.fast import prepare
from dlseg.inference.predict import evaluating, probabilities
from dlseg.inference.tiles import tile_weights, tiled_probabilities

__all__ = ["evaluating", "prepare", "probabilities", "tile_weights", "tiled_probabilities"]
