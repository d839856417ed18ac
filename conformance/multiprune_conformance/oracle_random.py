"""The oracle's draws: Philox4x32-10 by position (SPEC.md 9)."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiprune_conformance.oracle_dtypes import Refused

LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
Words = NDArray[np.uint64]


def philox_block(counter: tuple[Any, ...], key: tuple[int, int]) -> tuple[Words, ...]:
    """Return the four output words of each counter (RAND-01); words are held in uint64."""
    c0, c1, c2, c3 = (np.asarray(word, dtype=np.uint64) for word in counter)
    k0, k1 = key
    for _ in range(10):
        first, third = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (
            (third >> HALF) ^ c1 ^ np.uint64(k0), third & LOW,
            (first >> HALF) ^ c3 ^ np.uint64(k1), first & LOW,
        )  # fmt: skip
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


def philox(seed: Any, positions: Any) -> NDArray[np.uint32]:
    """Return the draw of each position (RAND-02, RAND-03).

    Parameters
    ----------
    seed
        An integer in [0, 2^64).
    positions
        Unsigned integers below 2^64, of any shape.
    """
    seed = seed.item() if isinstance(seed, np.generic) else seed
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral):
        raise Refused("seed", f"{seed!r} is not an integer")
    number = int(seed)
    if not 0 <= number < 2**64:
        raise Refused("seed", f"{number} is not in [0, 2^64)")
    where = np.asarray(positions).astype(np.uint64)
    block = where >> np.uint64(2)
    zero = np.zeros_like(block)
    words = philox_block((block & LOW, block >> HALF, zero, zero), (number % 2**32, number >> 32))
    return np.choose(where.astype(np.int64) & 3, words).astype(np.uint32)
