"""How good a segmentation is: over a whole data set, image by image, and near the boundaries.

`ConfusionMatrix`, `TrimapCurve`, `ImageScores` and `BoundaryF` have one way of use: `update` with
labels and predictions, `compute` a dictionary of all scores, `reset`; `merge` adds what another one
counted, `reduce` what other processes did. The page chapters/A-metrics.md defines each score.
"""

from dlseg.metrics.confusion import ConfusionMatrix
from dlseg.metrics.contours import BoundaryF
from dlseg.metrics.images import ImageScores, per_image
from dlseg.metrics.trimap import TrimapCurve, band, boundary
