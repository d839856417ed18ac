"""Masks onto leaves, and what they amount to.

Clauses: REP-03, MASK-04.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import multihost_utils

from multiprune.report import Report, TensorReport
from multiprune_jax.columns import count_where, is_alone
from multiprune_jax.memory import aligned, is_on_a_cpu, place
from multiprune_jax.paths import Tree, check_masks, leaves_of_masks

__all__ = ["apply_masks", "count_kept", "counted", "counts_of_rows", "masked", "report_of"]


def apply_masks(params: Any, masks: Any) -> Any:
    """Return the tree with 0 where masks are 0, whatever stood there.

    Parameters
    ----------
    params : pytree
    masks : pytree
        As `global_unstructured` returns them, or a dict by canonical names. Leaves without a mask
        stay as they are.

    Raises
    ------
    MaskError, MaskShapeError
        If a mask matches no leaf, or has another shape (ValueErrors).

    Notes
    -----
    Clauses REP-03, MASK-04. A pure function, also under ``jit``.
    """
    tree = Tree(params)
    kept = tree.own_names(leaves_of_masks(masks))
    check_masks(kept, tree.leaves, "params")
    return tree.replace({n: masked(tree.leaves[n], m) for n, m in kept.items()}, keep=True)


def report_of(masks: Any) -> Report:
    """Say how much is pruned, of masks alone; for those that a jitted function returned.

    Parameters
    ----------
    masks : pytree
        Masks with values.

    Returns
    -------
    Report
    """
    return counted(leaves_of_masks(masks), "")


def masked(leaf: Any, mask: Any) -> jax.Array:
    """Write a pruned copy: on a CPU by multiplying the bits, where nothing has to be compiled."""
    arrays = (leaf, mask)
    if all(isinstance(a, np.ndarray) or is_on_a_cpu(a) for a in arrays) and leaf.dtype.kind != "c":
        bits = np.asarray(leaf).reshape(-1).view(f"u{leaf.dtype.itemsize}")
        with jax.ensure_compile_time_eval():
            written = aligned(bits.size, bits.dtype)
            np.multiply(
                bits, np.asarray(mask).reshape(-1).astype(np.bool_, copy=False), out=written
            )
            shaped = written.view(leaf.dtype).reshape(leaf.shape)
            return place(shaped, leaf) if isinstance(leaf, jax.Array) else jnp.asarray(shaped)
    leaf, kept = jnp.asarray(leaf), jnp.asarray(mask, dtype=jnp.bool_)
    shape = leaf.shape
    if is_alone():  # as the mask is computed: they share a loop
        leaf, kept = leaf.reshape(-1), kept.reshape(-1)
    return lax.select(kept, leaf, lax.full_like(leaf, 0)).reshape(shape)


def count_kept(mask: Any) -> int:
    """Count the unpruned entries of a mask with values, on its device."""
    if isinstance(mask, np.ndarray) or is_on_a_cpu(mask):
        return int(np.count_nonzero(np.asarray(mask)))
    with jax.ensure_compile_time_eval():
        kept = jnp.asarray(mask, jnp.bool_)
        return int(count_where([kept, ~kept])[0])


def counts_of_rows(mask: Any, dim: int) -> np.ndarray[Any, Any]:
    """Count the unpruned entries of a mask with values, for each index of a dimension."""
    axes = tuple(d for d in range(mask.ndim) if d != dim % mask.ndim)
    if isinstance(mask, np.ndarray) or is_on_a_cpu(mask):
        return np.asarray(np.count_nonzero(np.asarray(mask), axis=axes))
    with jax.ensure_compile_time_eval():
        counts = jnp.sum(mask, axis=axes, dtype=jnp.uint32)
        if counts.is_fully_addressable:
            return np.asarray(counts)
        return np.asarray(multihost_utils.process_allgather(counts, tiled=True))


def counted(masks: Mapping[str, Any], method: str) -> Report:
    """Make a report of masks with values, by name."""
    every = [(name, masks[name]) for name in sorted(masks)]
    return Report(
        [
            TensorReport(name, tuple(mask.shape), mask.size, mask.size - count_kept(mask))
            for name, mask in every
        ],
        method=method,
    )
