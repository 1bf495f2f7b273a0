"""A trained network at work: probabilities of images, faster copies, pictures, clips, ONNX."""

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
from dlseg.inference.overlay import draw_legend, legend, overlay, shares
from dlseg.inference.predict import probabilities
from dlseg.inference.redraw import Redrawn, redraw_video
from dlseg.inference.refining import refined_labels
from dlseg.inference.stream import Frame, frames, label_frame
from dlseg.inference.tiles import check_tile, tile_weights, tiled_probabilities
from dlseg.inference.video import count_frames, expected_frames, read_video
from dlseg.inspect import evaluating
