"""Masks: their values, and the names of their leaves.

Clauses: MASK-03, MASK-04.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from multiprune.errors import MaskError, MaskShapeError
from multiprune.masks import check_mask
from multiprune_jax.memory import is_on_a_cpu
from multiprune_jax.paths import Tree

__all__ = ["as_mask", "check_masks", "leaves_of_masks"]


def leaves_of_masks(masks: Any) -> dict[str, Any]:
    """Return masks by canonical names.

    Raises
    ------
    MaskError
        If it is what a pruning returned, holds a list in place of an array, or other values than 0
        and 1 (a ValueError).

    Notes
    -----
    Clauses MASK-03, MASK-04.
    """
    if hasattr(masks, "masks") and hasattr(masks, "report"):
        raise MaskError(
            "masks is what a pruning returned. Rule: masks are a tree as that of the parameters "
            "[MASK-04]. Pass the masks in it: masks=pruned.masks."
        )
    leaves = Tree(masks).leaves
    for name, mask in leaves.items():
        if not hasattr(mask, "shape"):
            raise MaskError(
                f"the mask {name} is a {type(mask).__name__}. Rule: a mask is an array of its "
                "leaf's shape [MASK-04]. Make it one: jax.numpy.asarray."
            )
        is_array = isinstance(mask, np.ndarray | jax.Array)
        if is_array and mask.dtype != np.bool_ and not isinstance(mask, jax.core.Tracer):
            as_mask(mask, name)
    return leaves


def check_masks(masks: Mapping[str, Any], leaves: Mapping[str, Any], what: str) -> None:
    """Check that every mask has a leaf of its name and shape.

    Raises
    ------
    MaskError, MaskShapeError
        If not (ValueErrors).

    Notes
    -----
    Clause MASK-04.
    """
    lost = sorted(set(masks) - set(leaves))
    if lost:
        raise MaskError(
            f"masks {_some(lost)} match no leaf of {what}. Rule: masks belong to the tree that "
            f"they were made for, name by name; the leaves are {_some(leaves)}, the masks "
            f"{_some(masks)}. Pass the masks of this tree."
        )
    for name, mask in masks.items():
        if np.shape(mask) != np.shape(leaves[name]):
            raise MaskShapeError(
                f"the mask of {name} has shape {np.shape(mask)}, the leaf of {what} "
                f"{np.shape(leaves[name])}. Rule: a mask has the shape of its tensor [MASK-04]."
            )


def _some(names: Iterable[str]) -> str:
    """List names, but not hundreds."""
    every = sorted(names)
    return str(every) if len(every) <= 20 else f"{every[:20]} and {len(every) - 20} more"


def as_mask(mask: Any, name: str) -> jax.Array:
    """Return a mask as booleans, checked; inside ``jit`` a mask that has values keeps them.

    Raises
    ------
    MaskError
        If it holds other values than 0 and 1, or that cannot be known (a ValueError).

    Notes
    -----
    Clause MASK-03.
    """
    if isinstance(mask, jax.Array) and mask.dtype == jnp.bool_:
        return mask
    if isinstance(mask, jax.core.Tracer):
        raise MaskError(
            f"the mask of {name} is a traced {mask.dtype}. Rule: masks are 0 and 1, which cannot "
            "be checked under jit, so there they are bool [MASK-03]. Write mask.astype(bool)."
        )
    with jax.ensure_compile_time_eval():
        if isinstance(mask, jax.Array) and not is_on_a_cpu(mask):  # it is checked where it lies
            check_mask(mask, mask, name, xp=jnp)
            return mask == 1
        values = np.asarray(mask)
        check_mask(values, mask, name, xp=_Numpy)
        return jnp.asarray(values == 1)


class _Numpy:
    """As much of a namespace as `check_mask` asks for."""

    all = staticmethod(np.all)
    isdtype = staticmethod(np.isdtype)
