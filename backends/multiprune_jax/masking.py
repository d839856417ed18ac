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

from multiprune_jax.columns import is_alone
from multiprune_jax.memory import aligned, is_on_a_cpu, place
from multiprune_jax.named_masks import check_masks, leaves_of_masks
from multiprune_jax.paths import Tree

__all__ = ["apply_masks", "masked", "pruned_tree"]


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
    return pruned_tree(tree, tree.leaves, kept)


def pruned_tree(tree: Tree, leaves: Mapping[str, Any], masks: Mapping[str, Any]) -> Any:
    """Return a tree of new arrays, those without a mask included.

    A function that donates what it is given must not take the caller's own leaves with it.
    """
    return tree.replace(
        {n: masked(leaf, masks[n]) if n in masks else _copied(leaf) for n, leaf in leaves.items()}
    )


def _copied(leaf: Any) -> Any:
    if not isinstance(leaf, jax.Array) or isinstance(leaf, jax.core.Tracer):
        return leaf
    with jax.ensure_compile_time_eval():
        return leaf.copy()


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
    return _chosen(leaf, kept).reshape(shape)


@jax.custom_jvp
def _chosen(leaf: jax.Array, kept: jax.Array) -> jax.Array:
    """Choose by bits where XLA would go by way of float32, in which a NaN loses its payload."""
    if not leaf.dtype.name.startswith(("float16", "bfloat16", "float8_")):
        return lax.select(kept, leaf, lax.full_like(leaf, 0))
    bits = lax.bitcast_convert_type(leaf, f"uint{8 * leaf.dtype.itemsize}")
    chosen: jax.Array = lax.select(kept, bits, lax.full_like(bits, 0))
    return lax.bitcast_convert_type(chosen, leaf.dtype)


@_chosen.defjvp
def _(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    (leaf, kept), (change, _) = primals, tangents
    return _chosen(leaf, kept), lax.select(kept, change, lax.full_like(change, 0))
