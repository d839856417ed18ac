"""Pruning of JAX pytrees: pure functions, traceable, the same bits as every other backend.

The names of torch, where they mean the same; `keep_pruned` holds zeros in training.
"""

from typing import Any

from multiprune import (
    CustomFromMask,
    Identity,
    L1Unstructured,
    LnStructured,
    RandomStructured,
    RandomUnstructured,
)
from multiprune import errors as _errors
from multiprune.deprecated import moved
from multiprune.errors import *  # noqa: F403 - all of them
from multiprune.packed import MaskFileError
from multiprune_jax.backend import backend
from multiprune_jax.files import load_masks, save_masks
from multiprune_jax.later_rounds import replace_masks
from multiprune_jax.leaves import named_leaves
from multiprune_jax.masking import apply_masks
from multiprune_jax.pytree import PrunedTree, global_unstructured, local
from multiprune_jax.report import report_of
from multiprune_jax.sparse import to_bcoo
from multiprune_jax.training import KeepPrunedState, keep_pruned

__all__ = [
    "CustomFromMask",
    "Identity",
    "KeepPrunedState",
    "L1Unstructured",
    "LnStructured",
    "MaskFileError",
    "PrunedTree",
    "RandomStructured",
    "RandomUnstructured",
    "apply_masks",
    "backend",
    "global_unstructured",
    "keep_pruned",
    "load_masks",
    "local",
    "named_leaves",
    "replace_masks",
    "report_of",
    "save_masks",
    "to_bcoo",
]
__all__ += _errors.__all__


def __getattr__(name: str) -> Any:
    """Find what has another name now, with a warning."""
    return moved(__name__, name, __name__, {"Pruned": "PrunedTree"})
