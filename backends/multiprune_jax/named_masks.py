"""Masks by the names of their leaves.

Clause: MASK-04.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from multiprune.errors import MaskError, MaskShapeError
from multiprune_jax.paths import Tree

__all__ = ["check_masks", "leaves_of_masks"]


def leaves_of_masks(masks: Any) -> dict[str, Any]:
    """Return masks by canonical names.

    Raises
    ------
    MaskError
        If it is what a pruning returned, or holds a list in place of an array (a ValueError).

    Notes
    -----
    Clause MASK-04.
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
