"""*what was gone already*. Prior masks are checked, and channels' masks spread out.

Clauses: MASK-01 to MASK-05.
"""

from __future__ import annotations

from typing import Any

from multiprune._array import Array
from multiprune.errors import MaskError, MaskShapeError

__all__ = ["check_mask", "live_channels", "spread"]


def check_mask(mask: Array, tensor: Array, where: str, *, xp: Any) -> None:
    """Check that a mask has its tensor's shape and holds only 0 and 1.

    Raises
    ------
    MaskShapeError, MaskError
        If not (ValueErrors).

    Notes
    -----
    Clauses MASK-03, MASK-04.
    """
    if tuple(mask.shape) != tuple(tensor.shape):
        raise MaskShapeError(
            f"the mask of {where} has shape {tuple(mask.shape)}, its tensor {tuple(tensor.shape)}. "
            "Rule: a mask has the shape of its tensor [MASK-04]."
        )
    if not xp.isdtype(mask.dtype, "bool") and not bool(xp.all((mask == 0) | (mask == 1))):
        raise MaskError(
            f"the mask of {where} holds values other than 0 and 1. Rule: a mask is 1 where the "
            "entry is kept and 0 where it is pruned [MASK-03]. Multiply weights yourself to scale."
        )


def live_channels(mask: Array | None, tensor: Array, dim: int, *, xp: Any) -> Array:
    """Return which channels along `dim` have an unpruned entry: booleans, shape (channels,)."""
    if mask is None:
        return xp.ones(tensor.shape[dim], dtype=xp.bool)
    others = tuple(d for d in range(tensor.ndim) if d != dim)
    return xp.any(xp.astype(mask, xp.bool), axis=others)


def spread(channels: Array, mask: Array | None, tensor: Array, dim: int, *, xp: Any) -> Array:
    """Spread a mask of channels over the tensor's shape, composed with a prior mask.

    Notes
    -----
    Clauses MASK-01, METH-05: pruned stays pruned.
    """
    shape = [1] * tensor.ndim
    shape[dim] = tensor.shape[dim]
    kept = xp.broadcast_to(xp.reshape(channels, tuple(shape)), tensor.shape)
    if mask is None:
        return xp.asarray(kept, copy=True)
    return kept & xp.astype(mask, xp.bool)
