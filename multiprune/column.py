"""One tensor of a ranking, as the counting engine and the rule of rows and groups read it.

Clause: RANK-03.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from multiprune._array import Array

__all__ = ["Column"]


@dataclass(frozen=True)
class Column:
    """One tensor of a ranking.

    Attributes
    ----------
    size : int
        How many entries it has.
    offset : int
        Position of its first entry among all.
    keys : callable
        ``keys(start, stop)`` returns the keys of these entries, 1-D.
    alive : callable, optional
        ``alive(start, stop)`` returns True where an entry is unpruned; None if all are.
    positions : callable, optional
        ``positions(indices)`` returns the positions of entries of this column, for a shard whose
        entries are not consecutive in its tensor. None if they follow `offset`.
    pool : int
        Among which entries it is ranked.
    """

    size: int
    offset: int
    keys: Callable[[int, int], Array]
    alive: Callable[[int, int], Array] | None = None
    positions: Callable[[Array], Array] | None = None
    pool: int = 0
