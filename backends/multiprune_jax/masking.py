"""Room: masks onto leaves, and what they amount to.

Clauses: REP-03, MASK-04.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from multiprune.report import Report, TensorReport
from multiprune_jax.backend import aligned, is_on_a_cpu, place
from multiprune_jax.columns import count_where
from multiprune_jax.paths import Tree, check_masks

__all__ = ["apply_masks", "count_kept", "counted", "masked", "report_of", "tensor_reports"]


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
    tree, given = Tree(params), Tree(masks).leaves
    check_masks(given, tree.leaves, "params")
    return tree.replace({n: masked(tree.leaves[n], m) for n, m in given.items()}, keep=True)


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
    return counted(Tree(masks).leaves, "")


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
    leaf = jnp.asarray(leaf)
    return jnp.where(jnp.asarray(mask, dtype=jnp.bool_), leaf, jnp.zeros((), leaf.dtype))


def tensor_reports(leaves: Mapping[str, Any], kept: Sequence[int]) -> list[TensorReport]:
    """Say how much of each leaf is pruned, given how many of its entries are kept."""
    return [
        TensorReport(name, tuple(leaf.shape), leaf.size, leaf.size - count)
        for (name, leaf), count in zip(leaves.items(), kept, strict=True)
    ]


def count_kept(mask: Any) -> int:
    """Count the unpruned entries of a mask with values, where it lies."""
    if isinstance(mask, np.ndarray) or is_on_a_cpu(mask):
        return int(np.count_nonzero(np.asarray(mask)))
    with jax.ensure_compile_time_eval():
        kept = jnp.asarray(mask, jnp.bool_)
        return int(count_where([kept, ~kept])[0])


def counted(masks: Mapping[str, Any], method: str) -> Report:
    """Make a report of masks with values, by name."""
    ordered = {name: masks[name] for name in sorted(masks)}
    kept = [count_kept(mask) for mask in ordered.values()]
    return Report(tensor_reports(ordered, kept), method=method)
