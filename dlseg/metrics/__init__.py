"""How good a segmentation is, over a whole data set and near the boundaries."""

from dlseg.metrics.confusion import ConfusionMatrix
from dlseg.metrics.trimap import TrimapCurve, band, boundary
