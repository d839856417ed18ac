"""Channels: which dimension they run along, and the norm that a channel is ranked by.

Clauses: METH-05 to METH-11. Source: ``torch.nn.utils.prune._validate_structured_pruning``,
``_validate_pruning_dim`` and ``_compute_norm``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multiprune._array import Array
from multiprune.errors import DimError, NormError, StructureError

__all__ = ["channel_norms", "check_dim", "check_norm"]


def check_dim(shape: Sequence[int], dim: int, where: str = "") -> int:
    """Return `dim` of a tensor of this shape, counted from the front.

    Raises
    ------
    StructureError
        If the tensor has fewer than two dimensions (a ValueError).
    DimError
        If it has no such dimension (an IndexError).

    Notes
    -----
    Clauses METH-08, METH-09.
    """
    shape = tuple(shape)
    if len(shape) < 2:
        raise StructureError(
            f"{where}a tensor of shape {shape} has no channels. Rule: channels, rows and groups "
            "are parts of tensors of two and more dimensions [METH-09]. Use an unstructured "
            "method, or leave the tensor out."
        )
    if not -len(shape) <= dim < len(shape):
        raise DimError(
            f"{where}dim={dim} is outside a tensor of shape {shape}. Rule: dim is from "
            f"{-len(shape)} to {len(shape) - 1} [METH-08]."
        )
    return dim % len(shape)


def check_norm(n: Any, ndim: int) -> None:
    """Check the order of a norm over channels of a tensor with `ndim` dimensions.

    Raises
    ------
    NormError
        If it is none of those that ``torch.norm`` documents, or 'nuc' where channels are no
        matrices (a ValueError and a RuntimeError).

    Notes
    -----
    Clauses METH-10, METH-11.
    """
    if n == "nuc":
        if ndim != 3:
            raise NormError(
                f"n='nuc' for a tensor of {ndim} dimensions. Rule: the nuclear norm needs channels "
                "that are matrices, so a tensor of three dimensions [METH-11]. Take n=2 or 'fro'."
            )
    elif isinstance(n, bool) or not (n == "fro" or (isinstance(n, (int, float)) and n == n)):
        raise NormError(
            f"n={n!r} is not an order of a norm. Rule: n is a number, an infinity, 'fro' or 'nuc' "
            "[METH-11]. Take n=2 for the Euclidean norm."
        )


def channel_norms(tensor: Array, n: Any, dim: int, *, xp: Any) -> Array:
    """Return the Ln norm of each channel: shape (channels,), of a floating dtype."""
    others = tuple(d for d in range(tensor.ndim) if d != dim)
    if n == "nuc":
        return xp.sum(xp.linalg.svdvals(xp.permute_dims(tensor, (dim, *others))), axis=-1)
    return xp.linalg.vector_norm(tensor, axis=others, ord=2 if n == "fro" else n)
