"""pydensecrf's classes, functions and constants under their own names, without its compiler.

A script that uses pydensecrf runs, and finds the same labels, once its import lines say where:

    import pydensecrf.densecrf as dcrf              import dlseg.crf.pydensecrf.densecrf as dcrf
    from pydensecrf.utils import ...                from dlseg.crf.pydensecrf.utils import ...

All names are here too, so that `import dlseg.crf.pydensecrf as dcrf` is enough for a new one.
Whoever writes anew takes `dlseg.crf.DenseCRF`: a torch module for batches, with gradients.
"""

from dlseg.crf.pydensecrf.densecrf import (
    CONST_KERNEL,
    DIAG_KERNEL,
    FULL_KERNEL,
    NO_NORMALIZATION,
    NORMALIZE_AFTER,
    NORMALIZE_BEFORE,
    NORMALIZE_SYMMETRIC,
    ConstUnary,
    DenseCRF,
    DenseCRF2D,
    KernelType,
    LogisticUnary,
    NormalizationType,
)
from dlseg.crf.pydensecrf.utils import (
    compute_unary,
    create_pairwise_bilateral,
    create_pairwise_gaussian,
    softmax_to_unary,
    unary_from_labels,
    unary_from_softmax,
)
