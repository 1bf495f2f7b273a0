"""A sparse matrix as a table of indices and weights, applied to many columns at once."""

import warnings
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """A sparse matrix (R, S), row after row.

    indices: (E,) int32, the columns of the entries; weights: (E,), the entries; starts: (R + 1,)
    int32, where each row begins in both, and their end.
    """

    indices: Tensor
    starts: Tensor
    weights: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        """The matrix times values (S, C): (R, C).

        `embedding_bag` adds up the vectors of the words of a text. It has vector instructions for
        rows of any length, and beats sparse matrices, and gathering and adding, from two columns
        on. One column is quicker through a sparse matrix, which needs MKL.
        """
        if values.shape[1] == 1 and values.is_cpu and has_mkl():
            return (self._matrix(len(values)) @ values[:, 0])[:, None]
        return F.embedding_bag(
            self.indices,
            values,
            self.starts,
            mode="sum",
            per_sample_weights=self.weights,
            include_last_offset=True,
        )

    def _matrix(self, columns: int) -> Tensor:
        size = len(self.starts) - 1, columns
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "support is in beta state"
            return torch.sparse_csr_tensor(self.starts, self.indices, self.weights, size)


def has_mkl() -> bool:
    """Whether torch has the library that multiplies sparse matrices on the CPU."""
    return torch.backends.mkl.is_available()


def equal_rows(indices: Tensor, weights: Tensor) -> Rows:
    """Rows of k entries each, from indices and weights of shape (R, k)."""
    count, k = indices.shape
    starts = torch.arange(0, count * k + 1, k, dtype=torch.int32, device=indices.device)
    return Rows(indices.flatten().int(), starts, weights.flatten())
