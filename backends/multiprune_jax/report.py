"""What masks amount to: counts, and a report of them.

Clauses: MASK-04, ERR-02.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from multiprune.report import Report, TensorReport
from multiprune_jax.columns import count_where
from multiprune_jax.memory import is_on_a_cpu
from multiprune_jax.named_masks import leaves_of_masks

__all__ = ["count_kept", "counted", "counts_of_rows", "report_of"]


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
