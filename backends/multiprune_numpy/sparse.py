"""Pruned arrays → SciPy's compressed rows, which store what is kept.

Clauses: MASK-03, MASK-04.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from multiprune.errors import BackendError, DimError, DtypeError
from multiprune.masks import check_mask
from multiprune_numpy.backend import backend

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["to_csr"]

_KINDS = "biufc"


def to_csr(values: npt.NDArray[Any], mask: npt.NDArray[Any] | None = None) -> csr_array:
    """Return a pruned matrix in compressed rows, its kept values to the bit.

    Parameters
    ----------
    values : array, shape (m, n)
        Weights, pruned or not yet; not changed.
    mask : array, shape (m, n), optional
        1 where an entry is kept: exactly those are stored, zeros among them too, so that the
        stored places are the mask. Without it what is not +0 is stored: -0 and NaN are.

    Returns
    -------
    scipy.sparse.csr_array, shape (m, n)
        Of the same dtype.

    Raises
    ------
    DimError
        If `values` is not a matrix (an IndexError); reshape it, for example to ``(shape[0], -1)``.
    MaskShapeError, MaskError
        If `mask` does not fit (ValueErrors).
    DtypeError
        If SciPy has no such dtype: halves, bfloat16, float8 (a TypeError).
    BackendError
        If SciPy is not installed (a LookupError).

    Notes
    -----
    Clauses MASK-03, MASK-04. ``toarray()`` adds to zeros: it gives the matrix back, a stored -0 as
    +0.
    """
    try:
        from scipy.sparse import csr_array
    except ImportError:
        raise BackendError(
            "SciPy is not installed. Rule: its matrices need it. Install it: pip install scipy."
        ) from None
    if values.ndim != 2:
        raise DimError(
            f"values has {values.ndim} dimensions. Rule: compressed rows hold a matrix. Reshape "
            "it, for example to (shape[0], -1)."
        )
    if values.dtype.kind not in _KINDS or values.dtype.name == "float16":
        raise DtypeError(
            f"values is of dtype {values.dtype}. Rule: SciPy stores integers, float32, float64 and "
            "complex numbers. Convert it, for example with astype('float32')."
        )
    if mask is not None:
        check_mask(mask, values, "values", xp=backend.xp)
        kept = mask.astype(np.bool_)
    else:
        width = values.dtype.itemsize
        raw = np.ascontiguousarray(values).view(np.uint8)
        kept = np.asarray(raw.reshape(*values.shape, width).any(axis=2))
    rows, columns = np.nonzero(kept)
    starts = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    return csr_array((values[rows, columns], columns, starts), shape=values.shape)
