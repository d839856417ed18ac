"""Pruned tensors → torch's compressed rows, which store what is kept.

Clauses: MASK-03, MASK-04.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from multiprune.errors import DimError
from multiprune.masks import check_mask
from multiprune_torch.backend import backend

__all__ = ["to_csr"]


def to_csr(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return a pruned matrix in compressed rows, its kept values to the bit.

    Parameters
    ----------
    values : tensor, shape (m, n)
        A pruned weight, or ``weight_orig`` with its mask; not changed, and gradients stay behind.
    mask : tensor, shape (m, n), optional
        1 where an entry is kept: exactly those are stored, zeros among them too, so that the
        stored places are the mask. Without it what is not +0 is stored: -0 and NaN are.

    Returns
    -------
    tensor of layout ``torch.sparse_csr``, shape (m, n)
        Of the same dtype, on the same device.

    Raises
    ------
    DimError
        If `values` is not a matrix (an IndexError); reshape it, for example with ``flatten(1)``.
    MaskShapeError, MaskError
        If `mask` does not fit (ValueErrors).

    Notes
    -----
    Clauses MASK-03, MASK-04. ``to_dense()`` adds to zeros: it gives the matrix back, a stored
    -0 as +0. Source: ``torch.sparse_csr_tensor``.
    """
    if values.ndim != 2:
        raise DimError(
            f"values has {values.ndim} dimensions. Rule: compressed rows hold a matrix. Reshape "
            "it, for example with flatten(1)."
        )
    values = values.detach()
    if mask is not None:
        check_mask(mask, values, "values", xp=backend.xp)
        kept = mask.bool()
    else:
        width = values.element_size()
        kept = values.contiguous().view(torch.uint8).reshape(*values.shape, width).ne(0).any(dim=2)
    starts = torch.zeros(len(values) + 1, dtype=torch.int64, device=values.device)
    starts[1:] = kept.sum(dim=1).cumsum(0)
    columns = kept.nonzero()[:, 1]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            starts, columns, values[kept], values.shape, check_invariants=True
        )
