"""The fully connected CRF, exact and fast. It knows nothing of models.

`DenseCRF` is the module, `dense_crf` a function for those who come from pydensecrf, and
`dlseg.crf.pydensecrf` has its own names; `lattice_mean_field` is the same in one screen
(`minimal`). `exact` and `energy` say what is computed; what makes it fast is behind them, in
`fast`.
"""

from dlseg.crf.dense import DenseCRF
from dlseg.crf.drop_in import dense_crf
from dlseg.crf.energy import (
    Progress,
    free_energy,
    labelling_energy,
    mean_field_progress,
    pairwise_energy,
)
from dlseg.crf.exact import (
    ExactFilter,
    attention_filter,
    kernel_matrix,
    mean_field_steps,
    normalise,
)
from dlseg.crf.fast.filtering import build_filter
from dlseg.crf.fast.lattice import Lattice
from dlseg.crf.fast.spatial import Grid
from dlseg.crf.fast.vertices import elevate
from dlseg.crf.kernels import (
    NORMALIZATIONS,
    PRESETS,
    Kernel,
    appearance,
    compatibility,
    features,
    smoothness,
)
from dlseg.crf.minimal import lattice_mean_field, simplex
from dlseg.crf.search import V1_RANGES, V2_RANGES, Ranges, Search, Try, iou_score, search_kernels
from dlseg.crf.unary import unary_from_labels, unary_from_probabilities
