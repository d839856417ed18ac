"""Digits of keys and of positions: how wide they are, and which entries have them.

Clause: RANK-03.
"""

from __future__ import annotations

from collections.abc import Callable

from multiprune._array import Array

__all__ = ["digit_bits_for", "digit_of"]


def digit_bits_for(pools: int, most: int, counters: int) -> int:
    """Return how many bits a pass resolves, so that all pools together have so many counters."""
    return max(1, min(most, (counters // max(pools, 1)).bit_length() - 1))


def digit_of(
    keys: Array,
    alive: Array | None,
    prefix: int | None,
    shift: int,
    width: int,
    bits: int,
    as_integers: Callable[[Array, Array], Array],
) -> Array:
    """Return one digit of live keys that start with `prefix`; of others, nothing or 2**width up.

    `as_integers` is that of the backend; see `multiprune.backend.Backend`.
    """
    if shift + width < bits:
        chosen = keys >> (shift + width) == prefix
        if alive is not None:
            chosen &= alive
        return (keys[chosen] >> shift) & ((1 << width) - 1)
    digits = keys >> shift if shift else keys
    if alive is None:
        return digits
    if 8 * keys.dtype.itemsize == bits:
        return digits[alive]
    # There is room above the digit: marking pruned entries is ten times faster than selecting.
    marks = as_integers(~alive, keys)
    marks <<= width
    marks |= digits
    return marks
