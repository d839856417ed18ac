"""Random numbers by position. Philox 4x32-10, written for any namespace with uint64.

A draw depends on the seed and the entry's position only, so that a seed gives the same mask on
every framework, dtype and number of processes.
Clauses: RAND-01 to RAND-05. Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as
easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

from typing import Any

from multiprune._array import Array
from multiprune.errors import SeedError

__all__ = ["DRAW_BITS", "as_seed", "draws", "draws_at"]

DRAW_BITS = 32
_WORD = 0xFFFF_FFFF
_ROUNDS = 10
_MULTIPLIERS = 0xD251_1F53, 0xCD9E_8D57
_WEYL = 0x9E37_79B9, 0xBB67_AE85


def as_seed(seed: Any) -> int:
    """Check a seed: an int of 64 bits, not negative.

    Raises
    ------
    SeedError
        If it is not one (a ValueError and a TypeError).
    """
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= int(seed) < 1 << 64:
        raise SeedError(
            f"seed={seed!r} was given. Rule: a seed is an int from 0 to 2**64 - 1 [RAND-02]. "
            "Pass seed=0, for example: the same seed gives the same mask everywhere."
        )
    return int(seed)


def draws(seed: int, start: int, stop: int, *, xp: Any) -> Array:
    """Return the random numbers of a run of positions.

    Parameters
    ----------
    seed : int
        64 bits.
    start, stop : int
        The run of positions.
    xp : namespace
        Where the result lives.

    Returns
    -------
    uint64 array, shape (stop - start,)
        Numbers below 2**32, uniform and independent.

    Notes
    -----
    Clauses RAND-01 to RAND-03: the counter's words are the position divided by 4, and the position
    modulo 4 says which output word is taken.
    """
    words = _words(seed, xp.arange(start >> 2, (stop + 3) >> 2, dtype=xp.uint64))
    flat = xp.reshape(xp.stack(words, axis=1), (-1,))
    return flat[start & 3 : (start & 3) + stop - start]


def draws_at(seed: int, positions: Array, *, xp: Any) -> Array:
    """Return the random numbers of single positions, in any order: those of a shard.

    Parameters
    ----------
    seed : int
        64 bits.
    positions : uint64 array, shape (n,)
    xp : namespace

    Returns
    -------
    uint64 array, shape (n,)
        What `draws` gives for each of them.
    """
    words = _words(seed, positions >> 2)
    place = positions & 3
    chosen = words[3]
    for i in (0, 1, 2):
        chosen = xp.where(place == i, words[i], chosen)
    return chosen


def _words(seed: int, counter: Array) -> list[Array]:
    """Return the four output words of each counter."""
    zero = counter & 0
    words = [counter & _WORD, counter >> 32, zero, zero]
    key = [seed & _WORD, seed >> 32]
    for _ in range(_ROUNDS):
        first, second = (words[i] * m for i, m in zip((0, 2), _MULTIPLIERS, strict=True))
        words = [
            (second >> 32) ^ words[1] ^ key[0],
            second & _WORD,
            (first >> 32) ^ words[3] ^ key[1],
            first & _WORD,
        ]
        key = [(k + w) & _WORD for k, w in zip(key, _WEYL, strict=True)]
    return words
