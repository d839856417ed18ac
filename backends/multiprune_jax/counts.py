"""Room: counts of more than 32 bits, as traced values. A leaf.

JAX has no integers of 64 bits unless x64 is on, and its sums wrap in silence; so what is added up
over leaves is held in two words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Count"]

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
    def of_sum(cls, counts: jax.Array) -> Count:
        """Add up at most 2**16 counts of 32 bits, along the last axis."""
        high, low = (
            jnp.sum(p, axis=-1, dtype=jnp.uint32) for p in (counts >> _BITS, counts & _LOW)
        )
        return cls(high + (low >> _BITS), low & _LOW)

    def __int__(self) -> int:
        return (int(self.high) << 16) + int(self.low)

    def under(self, other: Count) -> jax.Array:
        """Whether this is less than another."""
        return (self.high < other.high) | ((self.high == other.high) & (self.low < other.low))

    def less(self, other: Count) -> Count:
        """Return the difference; 0 where `other` is more."""
        borrow = (self.low < other.low).astype(jnp.uint32)
        high, low = self.high - other.high - borrow, (self.low - other.low) & _LOW
        under = self.under(other)
        return Count(jnp.where(under, np.uint32(0), high), jnp.where(under, np.uint32(0), low))

    def least(self, other: Count) -> Count:
        """Return the smaller of two."""
        return self.less(self.less(other))

    def plus_digit(self, digit: jax.Array, shift: jax.Array) -> Count:
        """Add ``digit << shift``, where these two bits, at an even place, are 0 so far."""
        shift, nought = shift.astype(jnp.uint32), np.uint32(0)
        low = jnp.where(shift < _BITS, digit << jnp.minimum(shift, _BITS), nought)
        high = jnp.where(shift < _BITS, nought, digit << (jnp.maximum(shift, _BITS) - _BITS))
        return Count(self.high | high, self.low | low)

    def within(self, limit: jax.Array) -> jax.Array:
        """Return the count in 32 bits, at most `limit`."""
        value = jnp.minimum(self.high << _BITS | self.low, limit)
        return jnp.where(self.high > _LOW, limit, value)
