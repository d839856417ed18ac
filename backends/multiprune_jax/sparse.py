"""Pruned arrays → JAX's BCOO, which stores what is kept and where.

Clauses: MASK-03, MASK-04.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from multiprune.masks import check_mask

if TYPE_CHECKING:
    from jax.experimental.sparse import BCOO

__all__ = ["to_bcoo"]


def to_bcoo(values: jax.Array, mask: jax.Array | None = None) -> BCOO:
    """Return a pruned array as BCOO, its kept values to the bit.

    Parameters
    ----------
    values : array, any shape
        Weights, pruned or not yet.
    mask : array, same shape, optional
        1 where an entry is kept: exactly those are stored, zeros among them too, so that the
        stored places are the mask. Without it what is not +0 is stored: -0 and NaN are.

    Returns
    -------
    jax.experimental.sparse.BCOO
        Of the same shape and dtype, its indices in row-major order and each once.

    Raises
    ------
    MaskShapeError, MaskError
        If `mask` does not fit (ValueErrors).

    Notes
    -----
    Clauses MASK-03, MASK-04. ``todense()`` adds to zeros: it gives the array back, a stored -0 as
    +0, and on a CPU subnormals as 0. Not traceable: how much is stored depends on the values.
    """
    from jax.experimental.sparse import BCOO

    array = np.asarray(values)
    if mask is not None:
        check_mask(mask, array, "values", xp=jnp)
        kept = np.asarray(mask).astype(np.bool_)
    else:
        raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        kept = np.asarray(raw.reshape(*array.shape, array.itemsize).any(axis=-1))
    places = np.argwhere(kept).astype(np.int32)
    return BCOO(
        (jnp.asarray(array[kept]), jnp.asarray(places)),
        shape=array.shape,
        indices_sorted=True,
        unique_indices=True,
    )
