"""Counts of more than 32 bits, as traced values. A leaf.

JAX has no integers of 64 bits unless x64 is on, and its sums wrap in silence; so what is added up
over leaves is held in two words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Count", "pick"]

_BITS = np.uint32(16)
_LOW = np.uint32(0xFFFF)


class Count(NamedTuple):
    """A count below 2**48, or an array of them: ``high * 2**16 + low``, both uint32."""

    high: jax.Array
    low: jax.Array

    @classmethod
    def of(cls, count: int | Sequence[int]) -> Count:
        """Make one of Python integers."""
        counts = np.array(count, dtype=np.uint64)
        parts = counts >> np.uint64(16), counts & np.uint64(0xFFFF)
        return cls(*(jnp.asarray(part.astype(np.uint32)) for part in parts))

    @classmethod
    def of_traced(cls, count: jax.Array) -> Count:
        """Make one of a traced integer; below 0 it is 0."""
        count = jnp.maximum(count, 0)
        wide = count.astype(jnp.uint64 if count.dtype.itemsize == 8 else jnp.uint32)
        return cls((wide >> 16).astype(jnp.uint32), (wide & 0xFFFF).astype(jnp.uint32))

    @classmethod
    def of_words(cls, counts: jax.Array) -> Count:
        """Make one of counts of 32 bits."""
        return cls(counts >> _BITS, counts & _LOW)

    @classmethod
    def of_sum(cls, counts: jax.Array) -> Count:
        """Add up at most 2**16 counts of 32 bits, along the last axis."""
        return cls.of_words(counts).sum()

    def __int__(self) -> int:
        return (int(self.high) << 16) + int(self.low)

    def ints(self) -> list[int]:
        """Return counts that have values, one-dimensional, as Python integers."""
        high, low = (np.asarray(part).astype(np.uint64) for part in self)
        counts: list[int] = ((high << np.uint64(16)) + low).tolist()
        return counts

    def sum(self) -> Count:
        """Add up at most 2**16 counts along the last axis."""
        high, low = (jnp.sum(part, axis=-1, dtype=jnp.uint32) for part in self)
        return Count(high + (low >> _BITS), low & _LOW)

    def under(self, other: Count) -> jax.Array:
        """Whether this is less than another."""
        return (self.high < other.high) | ((self.high == other.high) & (self.low < other.low))

    def is_some(self) -> jax.Array:
        """Whether this is more than 0."""
        return (self.high | self.low) > 0

    def less(self, other: Count) -> Count:
        """Return the difference; 0 where `other` is more."""
        borrow = (self.low < other.low).astype(jnp.uint32)
        high, low = self.high - other.high - borrow, (self.low - other.low) & _LOW
        return Count(high, low).only(~self.under(other))

    def least(self, other: Count) -> Count:
        """Return the smaller of two."""
        return self.where(self.under(other), other)

    def clamp(self, low: Count, high: Count) -> Count:
        """Return the nearest count from `low` to `high`."""
        above = low.where(self.under(low), self)
        return above.least(high)

    def where(self, condition: jax.Array, other: Count) -> Count:
        """Return this where the condition holds, and another elsewhere."""
        return Count(*(jnp.where(condition, a, b) for a, b in zip(self, other, strict=True)))

    def only(self, condition: jax.Array) -> Count:
        """Return this where the condition holds, and 0 elsewhere."""
        return Count(*(jnp.where(condition, part, np.uint32(0)) for part in self))

    def rows(self, start: int, stop: int) -> Count:
        """Return some of the rows."""
        return Count(*(part[start:stop] for part in self))

    def pick(self, row: jax.Array) -> Count:
        """Return of each column the entry of one row; see `pick`."""
        return Count(*(pick(part, row) for part in self))

    def plus_bit(self, bit: jax.Array, place: jax.Array) -> Count:
        """Add ``bit << place``, where that bit is 0 so far."""
        place, nought = place.astype(jnp.uint32), np.uint32(0)
        low = jnp.where(place < _BITS, bit << jnp.minimum(place, _BITS), nought)
        high = jnp.where(place < _BITS, nought, bit << (jnp.maximum(place, _BITS) - _BITS))
        return Count(self.high | high, self.low | low)

    def within(self, limit: jax.Array) -> jax.Array:
        """Return the count in 32 bits, at most `limit`."""
        value = jnp.minimum(self.high << _BITS | self.low, limit)
        return jnp.where(self.high > _LOW, limit, value)


def pick(table: jax.Array, row: jax.Array) -> jax.Array:
    """Return of each column of a table of few rows the entry of one row."""
    picked = table[0]
    for i in range(1, len(table)):
        picked = jnp.where(row >= i, table[i], picked)
    return picked
