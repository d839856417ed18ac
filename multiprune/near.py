"""Entries near the cuts, kept from the last pass over keys: among them are all ties.

They share every digit but the last with the cut of their pool, so they are few, and the search for
a position needs no pass of its own over all entries.
Clause: RANK-03.
"""

from __future__ import annotations

from collections.abc import Iterator

from multiprune._array import Array

__all__ = ["Near"]

_MOST = 1 << 19
"""So many are kept at most: 6 MiB of float32 keys and positions."""


class Near:
    """Keys and positions of entries near the cuts, by pool; threads add to it.

    Attributes
    ----------
    full : bool
        Whether there were too many: then none is kept.
    """

    def __init__(self) -> None:
        self.full = False
        self._size = 0
        self._parts: dict[int, list[tuple[Array, Array]]] = {}

    def add(self, pool: int, keys: Array, positions: Array) -> None:
        """Keep some entries of a pool."""
        self._size += keys.shape[0]
        if self._size > _MOST:
            self.full = True
            self._parts.clear()
        elif not self.full:
            self._parts.setdefault(pool, []).append((keys, positions))

    def tied(self, pool: int, key: int) -> Iterator[Array]:
        """Return the positions of the entries of a pool that have this key, in parts."""
        for keys, positions in self._parts.get(pool, []):
            yield positions[keys == key]
