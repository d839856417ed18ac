"""Which leaf belongs to which pool: counts of leaves are added up in pools. A leaf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from multiprune_jax.counts import Count

__all__ = ["Membership"]


@dataclass(frozen=True)
class Membership:
    """Leaves in pools.

    Attributes
    ----------
    of : tuple of int
        The pool of each leaf.
    pools : int
        How many there are.
    """

    of: Sequence[int]
    pools: int

    @property
    def is_each(self) -> bool:
        """Whether every leaf is a pool."""
        return list(self.of) == list(range(self.pools))

    def sum(self, counts: jax.Array) -> Count:
        """Add up counts of 32 bits: the last axis is leaves, and becomes pools."""
        words = Count.of_words(counts)
        if self.is_each:
            return words
        if self.pools == 1:
            return Count(*(part[..., None] for part in words.sum()))
        members = np.arange(self.pools)[:, None] == np.array(self.of)
        return Count(*(part[..., None, :] for part in words)).only(jnp.asarray(members)).sum()

    def spread(self, values: jax.Array) -> jax.Array:
        """Give each leaf what its pool has: the last axis is pools, and becomes leaves."""
        if self.is_each:
            return values
        if self.pools == 1:
            return jnp.broadcast_to(values, (*values.shape[:-1], len(self.of)))
        return values[..., np.array(self.of)]

    def spread_count(self, count: Count) -> Count:
        """Give each leaf the count of its pool."""
        return Count(*map(self.spread, count))
