"""A leaf of a ranking, or several small ones: keys, the tie rule, traced counts.

JAX counts in 32 bits unless x64 is on, so one leaf has fewer than 2**32 entries. A pass is traced
and compiled once for each column, so these are single operations of `jax.lax`, on one dimension
where there is one device; over a mesh a leaf keeps its shape, by which it is sharded.
Clauses: RANK-03, TIE-01, MASK-01, MASK-02.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from multiprune.errors import ParametersError
from multiprune_jax.bits import flat_index

__all__ = [
    "Counts",
    "LeafColumn",
    "Order",
    "barrier",
    "before",
    "check_size",
    "count_where",
    "is_alone",
    "joined",
]

Counts = Sequence[jax.Array]
"""Several counts: uint32."""
Order = Callable[[jax.Array], jax.Array]
"""Computes keys of scores."""
barrier: Any = lax.optimization_barrier

_SMALL = 1 << 18
_JOINED = 6 << 20


@dataclass(frozen=True)
class LeafColumn:
    """One leaf of a ranking, or several joined in the order of their positions.

    Attributes
    ----------
    leaves : tuple of int
        Which leaves these are.
    scores : array
        What `order` makes keys of.
    order : callable
        Computes the keys of the scores.
    bits : int
        How wide a key is.
    alive : array, optional
        True where an entry is unpruned; None if all are.
    """

    leaves: tuple[int, ...]
    scores: jax.Array
    order: Order
    bits: int
    alive: jax.Array | None = None

    @classmethod
    def of(
        cls,
        leaves: tuple[int, ...],
        scores: Sequence[jax.Array],
        order: Order,
        bits: int,
        alive: Sequence[jax.Array | None],
    ) -> LeafColumn:
        """Make one of some of the leaves of a ranking, flat where it can be."""
        some = [(scores[i], alive[i]) for i in leaves]
        score, mask = some[0]
        if len(some) > 1:
            score = jnp.concatenate([s.reshape(-1) for s, _ in some])
            if any(m is not None for _, m in some):
                known = (jnp.ones(s.shape, bool) if m is None else m for s, m in some)
                mask = jnp.concatenate([each.reshape(-1) for each in known])
        elif score.ndim != 1 and (not score.ndim or is_alone()):
            score, mask = score.reshape(-1), None if mask is None else mask.reshape(-1)
        return cls(leaves, score, order, bits, mask)

    @property
    def size(self) -> int:
        """How many entries it has."""
        return math.prod(self.scores.shape)

    def live(self) -> jax.Array:
        """Count the unpruned entries: uint32."""
        if self.alive is None:
            return jnp.full((), self.size, np.uint32)
        return count_where([self.alive, ~self.alive])[0]

    def count(self, trials: Sequence[jax.Array], border: jax.Array) -> Counts:
        """Count the unpruned entries that come before (key, border), for each of several keys.

        All are of shape (1,).
        """
        # In each pass keys and indices are computed afresh, so that no memory holds them: the
        # barrier ties them to what changes from pass to pass.
        scores, border, nought = barrier((self.scores, border, np.uint32(0)))
        keys, index = self.order(scores), flat_index(scores.shape, nought)
        conditions = before(keys, index, trials, border, self.bits)
        return count_where([c if self.alive is None else c & self.alive for c in conditions])

    def keep(
        self, key: jax.Array, border: jax.Array, shapes: Sequence[tuple[int, ...]]
    ) -> list[jax.Array]:
        """Return each leaf's mask: True where an entry is unpruned and not before (key, border)."""
        keys = self.order(self.scores)
        (pruned,) = before(keys, flat_index(keys.shape), [key], border, self.bits)
        kept = lax.bitwise_not(pruned)
        mask: jax.Array = barrier(kept if self.alive is None else kept & self.alive)
        if len(shapes) == 1:
            return [mask if mask.shape == shapes[0] else lax.reshape(mask, shapes[0])]
        parts = lax.split(mask, [math.prod(shape) for shape in shapes])
        return [lax.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]


def joined(sizes: Sequence[int], kinds: Sequence[Hashable]) -> list[tuple[int, ...]]:
    """Say which leaves share a column: small ones of one kind, for each column is compiled.

    A kind is a pool and a dtype: keys are made of bits, and a conversion may flush subnormals. They
    are copied, so that all together have at most 6 Mi entries.
    """
    room, small = _JOINED, dict[Hashable, list[int]]()
    for i in sorted(range(len(sizes)), key=sizes.__getitem__):
        if sizes[i] > min(room, _SMALL):
            break
        room -= sizes[i]
        small.setdefault(kinds[i], []).append(i)
    together = {tuple(sorted(leaves)) for leaves in small.values()}
    alone = set(range(len(sizes))).difference(*together)
    return sorted(together | {(i,) for i in alone})


def before(
    keys: jax.Array, index: jax.Array, trials: Sequence[jax.Array], border: jax.Array, bits: int
) -> list[jax.Array]:
    """Return where (keys, index) come before (key, border), for each key of `trials`: the tie rule.

    Parameters
    ----------
    keys, index : array
    trials : sequence of array
    border : array
        With one entry, or broadcast dimension by dimension.
    bits : int
        How wide a key is.
    """
    border = _broadcast(border, keys.shape)
    trials = [_broadcast(key, keys.shape) for key in trials]
    if bits % 8:
        # Words hold one more than the largest key: one comparison an entry and trial.
        later = lax.convert_element_type(lax.ge(index, border), keys.dtype)
        moved = lax.add(keys, later)
        return [lax.le(moved, key) for key in trials]
    tied = lax.lt(index, border)
    return [lax.bitwise_or(lax.lt(keys, k), lax.bitwise_and(lax.le(keys, k), tied)) for k in trials]


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


def count_where(conditions: Sequence[jax.Array], axes: tuple[int, ...] | None = None) -> Counts:
    """Count where each of several conditions holds, in one pass; along `axes` or altogether.

    Several sums in one reduction are fused with what they sum. Of a single one XLA writes the
    summands out first on a CPU, which takes six times as long and four bytes an entry. Where there
    are several devices it is the other way round: single sums are added up over shards by one
    all-reduce, while partial sums of a reduction of several are gathered.
    """
    axes = tuple(range(conditions[0].ndim)) if axes is None else axes
    if not is_alone():
        return [jnp.sum(c, axis=axes, dtype=jnp.uint32) for c in conditions]
    ones = tuple(lax.convert_element_type(c, np.uint32) for c in conditions)
    counts: Counts = lax.reduce(ones, (np.uint32(0),) * len(ones), add, axes)
    return counts


def add(left: Sequence[jax.Array], right: Sequence[jax.Array]) -> Sequence[jax.Array]:
    """Add several sums."""
    return tuple(lax.add(a, b) for a, b in zip(left, right, strict=True))


def is_alone() -> bool:
    """Whether there is one device, so that nothing can be sharded."""
    return jax.device_count() == 1


def _broadcast(value: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    if value.ndim != len(shape):
        value = lax.reshape(value, (1,) * len(shape))
    return lax.broadcast_in_dim(value, shape, tuple(range(len(shape))))
