"""A trained network at work: probabilities of whole images, faster copies, pictures, ONNX files."""

from dlseg.checks import check_scales
from dlseg.inference.export import (
    CHECKED,
    INPUT,
    OPSET,
    OUTPUT,
    ExportError,
    export_onnx,
    onnx_differences,
)
from dlseg.inference.fast import prepare
from dlseg.inference.folding import fold, watch
from dlseg.inference.labelling import label_image
from dlseg.inference.overlay import legend, overlay, shares
from dlseg.inference.predict import probabilities
from dlseg.inference.stream import Frame, frames
from dlseg.inference.tiles import check_tile, tile_weights, tiled_probabilities
from dlseg.inspect import evaluating
