"""Room: one leaf of a ranking where it lies: its keys, and traced counts of them. A leaf.

JAX counts in 32 bits unless x64 is on, so one leaf has fewer than 2**32 entries.
Clauses: RANK-03, MASK-01, MASK-02.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from multiprune.errors import ParametersError
from multiprune_jax.bits import flat_index

__all__ = ["Column", "Counts", "check_size", "count_where"]

Counts = Sequence[jax.Array]
"""Several counts: uint32 scalars."""
_barrier: Any = lax.optimization_barrier


@dataclass(frozen=True)
class Column:
    """One leaf of a ranking.

    Attributes
    ----------
    scores : array
        What `order` makes keys of.
    order : callable
        Computes the keys of the scores.
    alive : array, optional
        True where an entry is unpruned; None if all are.
    """

    scores: jax.Array
    order: Callable[[jax.Array], jax.Array]
    alive: jax.Array | None = None

    @property
    def size(self) -> int:
        """How many entries it has."""
        return math.prod(self.scores.shape)

    def live(self) -> jax.Array:
        """Count the unpruned entries: uint32."""
        if self.alive is None:
            return jnp.full((), self.size, jnp.uint32)
        return count_where([self.alive, ~self.alive])[0]

    def count_live(self, conditions: Sequence[jax.Array]) -> jax.Array:
        """Count the unpruned entries for which each of several conditions holds: uint32."""
        alive = self.alive
        counts = count_where([c if alive is None else c & alive for c in conditions])
        return jnp.stack(counts)

    def count(self, key: jax.Array, trials: Sequence[tuple[jax.Array, jax.Array]]) -> Counts:
        """Count the unpruned entries before each of several (key, index).

        Where an index is not 0, its key is `key`.
        """
        # In each pass keys and indices are computed afresh, so that no memory holds them: the
        # barrier ties them to what changes from pass to pass.
        scores, key, nought = _barrier((self.scores, key, jnp.uint32(0)))
        keys, index = self.order(scores), flat_index(scores.shape, nought)
        tied = keys == key
        goes = [(keys < trial) | (tied & (index < border)) for trial, border in trials]
        return count_where([g if self.alive is None else g & self.alive for g in goes])

    def keep(self, key: jax.Array, border: jax.Array) -> jax.Array:
        """Return the mask: True where an entry is unpruned and not before (key, border)."""
        keys = self.order(self.scores)
        kept = (keys > key) | ((keys == key) & (flat_index(keys.shape) >= border))
        mask: jax.Array = _barrier(kept if self.alive is None else kept & self.alive)
        return mask


def check_size(shape: tuple[int, ...]) -> None:
    """Check that the indices of a leaf fit into 32 bits.

    Raises
    ------
    ParametersError
        If not (a ValueError).
    """
    if math.prod(shape) >= 1 << 32:
        raise ParametersError(
            f"a leaf of shape {shape} has {math.prod(shape)} entries. Rule: one leaf has fewer "
            "than 2**32 entries where JAX traces; all together may have 2**48. Split it along its "
            "first dimension."
        )


def count_where(conditions: Sequence[jax.Array]) -> Counts:
    """Count where each of several conditions holds, in one pass.

    Several sums in one reduction are fused with what they sum. Of a single one XLA writes the
    summands out first on a CPU, which takes six times as long and four bytes an entry. Where there
    are several devices it is the other way round: single sums are added up over shards by one
    all-reduce, while partial sums of a reduction of several are gathered.
    """
    if jax.device_count() > 1:
        return [jnp.sum(c, dtype=jnp.uint32) for c in conditions]
    ones = tuple(c.astype(jnp.uint32) for c in conditions)
    zeros = (jnp.uint32(0),) * len(ones)
    counts: Counts = lax.reduce(ones, zeros, _add, tuple(range(ones[0].ndim)))
    return counts


def _add(left: Sequence[jax.Array], right: Sequence[jax.Array]) -> Sequence[jax.Array]:
    return tuple(a + b for a, b in zip(left, right, strict=True))
