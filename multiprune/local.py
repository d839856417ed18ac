"""The local rule: pools of a few entries, rows and groups, each decided where it lies.

An entry is pruned if and only if fewer than k entries of its pool come before it in the order of
(key, position). Nothing is counted over blocks: a block holds whole pools.
Clauses: GROUP-01 to GROUP-05, SCOPE-03.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any

from multiprune._array import Array
from multiprune.amount import Target
from multiprune.backend import Backend
from multiprune.blocks import Block, share_out
from multiprune.column import Column
from multiprune.cut import Cut
from multiprune.question import count_in
from multiprune.scope import Scope
from multiprune.search import Ask, Sum

__all__ = ["Local", "Parts"]

_COMPARED = 8
"""Up to so many entries a pool, comparing them all is faster than selecting."""


@dataclass(frozen=True)
class Parts:
    """How the entries of a tensor fall into rows or groups.

    Attributes
    ----------
    rows : bool
        Whether they are rows: everything with one index of `pools`, where `length` is 1. Groups
        are `length` entries that lie `inner` apart.
    outer, pools, length, inner : int
        A row-major tensor has the shape (outer, pools, length, inner).
    """

    rows: bool
    outer: int
    pools: int
    length: int
    inner: int

    @classmethod
    def of(cls, shape: Sequence[int], scope: Scope) -> Parts:
        """Return the parts of a tensor of this shape."""
        dim = scope.dim % len(shape)
        before, size, after = prod(shape[:dim]), shape[dim], prod(shape[dim + 1 :])
        if scope.kind == "row":
            return cls(True, before, size, 1, after)
        return cls(False, 1, before * size // scope.of, scope.of, after)

    @property
    def entries(self) -> int:
        """How many entries a pool has."""
        return self.outer * self.inner if self.rows else self.length

    @property
    def unit(self) -> int:
        """A run of so many entries holds whole pools."""
        return self.outer * (self.pools if self.outer > 1 else 1) * self.length * self.inner

    def split(self, flat: Array) -> Array:
        """Return a run of whole units as an array of one pool a row."""
        if not self.rows:
            return flat.reshape(-1, self.length, self.inner).swapaxes(1, 2).reshape(-1, self.length)
        return (
            flat.reshape(self.outer, -1, self.inner)
            .swapaxes(0, 1)
            .reshape(-1, self.outer * self.inner)
        )

    def join(self, parts: Array) -> Array:
        """Take `split` back."""
        if not self.rows:
            return parts.reshape(-1, self.inner, self.length).swapaxes(1, 2).reshape(-1)
        return parts.reshape(-1, self.outer, self.inner).swapaxes(0, 1).reshape(-1)


class Local:
    """Rows or groups of tensors that are read in blocks; a `multiprune.backend.Engine`.

    Parameters
    ----------
    columns : sequence of Column
        In the order of their positions; entries of a column follow each other.
    names, shapes : sequence
        Of the tensors.
    scope : Scope
        Of kind "row" or "group".
    target : Target
        How much is pruned of each pool.
    backend : Backend
    """

    def __init__(
        self,
        columns: Sequence[Column],
        names: Sequence[str],
        shapes: Sequence[Sequence[int]],
        scope: Scope,
        target: Target,
        backend: Backend,
    ) -> None:
        self.columns, self.names, self.target, self.backend = columns, names, target, backend
        self.parts = [Parts.of(shape, scope) for shape in shapes]
        self.size = sum(column.size for column in columns)

    def cuts(self, ask: Ask, *, total: Sum = lambda rows: rows) -> tuple[Cut, ...]:
        """Check the amount in each pool; there is a cut for each, and none is kept."""
        for number, column in enumerate(self.columns):
            if column.size == 0:
                if self.parts[number].pools and self.parts[number].rows:
                    self._count(number, 0)
                continue
            if column.alive is None:
                self._count(number, self.parts[number].entries)
                continue
            for _, start, stop in self._blocks(number):
                live = self.parts[number].split(column.alive(start, stop)).sum(1)
                for count in self._distinct(live, number):
                    self._count(number, count)
        return ()

    def keep(self, column: int, cuts: Sequence[Cut], like: Array) -> tuple[Array, int]:
        """Make one column's mask; see `multiprune.backend.Engine`."""
        mask = self.backend.new_mask(like)
        self.write(column, cuts, mask)
        pruned = self.columns[column].size - int(mask.sum())
        return self.backend.finish(mask, like), pruned

    def write(self, column: int, cuts: Sequence[Cut], mask: Array) -> None:
        """Write one column's mask in blocks of whole pools."""

        def write(work: Iterator[Block[Column]]) -> None:
            for _, start, stop in work:
                self.backend.write(mask, start, stop, self.kept(column, start, stop))

        share_out(write, [self.columns[column]], self.step(column), self.backend.workers)

    def kept(self, number: int, start: int, stop: int, keys: Array | None = None) -> Array:
        """Return which entries of a block are kept.

        Parameters
        ----------
        number : int
            Which column.
        start, stop : int
            Which of its entries: whole units of its parts.
        keys : array, optional
            Their keys, where they are at hand.
        """
        column, parts = self.columns[number], self.parts[number]
        pools = parts.split(column.keys(start, stop) if keys is None else keys)
        alive = None if column.alive is None else parts.split(column.alive(start, stop))
        if alive is None:
            count: Any = self._count(number, parts.entries)
        else:
            live = alive.sum(1)
            count = live + 0
            for each in self._distinct(live, number):
                count[live == each] = self._count(number, each)
            count = count[:, None]
        few = parts.entries <= _COMPARED
        keep = (
            _compared(pools, alive, count, self.backend)
            if few
            else self._selected(pools, alive, count)
        )
        return parts.join(keep)

    def step(self, number: int) -> int:
        """Return how many entries a block has at most: whole pools, that stay in the cache."""
        unit = max(self.parts[number].unit, 1)
        return max(1, (self.backend.block_size >> 2) // unit) * unit

    def _blocks(self, number: int) -> list[Block[Column]]:
        column, step = self.columns[number], self.step(number)
        starts = range(0, column.size, step)
        return [(column, start, min(start + step, column.size)) for start in starts]

    def _count(self, number: int, live: int) -> int:
        """Return how many entries are pruned of a pool with so many live ones."""
        label = f"tensor {self.names[number]}, in one of its rows"
        return count_in(self.target, label, self.parts[number].entries, live)

    def _distinct(self, live: Array, number: int) -> list[int]:
        """Return the different numbers of live entries; where pools are many, without a list."""
        bins = self.parts[number].entries + 1
        if live.shape[0] <= bins:
            return sorted(set(live.tolist()))
        return [i for i, n in enumerate(self.backend.bincount(live, bins).tolist()) if n]

    def _selected(self, pools: Array, alive: Array | None, count: Any) -> Array:
        """Return what is kept, by the key of the last entry that is pruned of each pool."""
        last = self.backend.smallest(pools, alive, count)
        pruned, tied = pools < last, pools == last
        if alive is not None:
            pruned &= alive
            tied &= alive
        wanted = count - pruned.sum(1)[:, None]
        split = (tied.sum(1)[:, None] != wanted)[:, 0]
        if bool(split.any()):
            chosen = tied[split]
            wanted = wanted[split] if wanted.shape[0] > 1 else wanted
            tied[split] = chosen & (chosen.cumsum(1) <= wanted)
        pruned |= tied
        return ~pruned if alive is None else alive & ~pruned


def _compared(pools: Array, alive: Array | None, count: Any, backend: Backend) -> Array:
    """Return what is kept, by comparing all pairs of entries of each pool."""
    keys = [backend.contiguous(pools[:, i]) for i in range(pools.shape[1])]
    live = [] if alive is None else [backend.contiguous(alive[:, i]) for i in range(len(keys))]
    before: list[Any] = [None] * len(keys)
    for i, j in combinations(range(len(keys)), 2):
        first = keys[i] <= keys[j]
        second = ~first
        if alive is not None:
            first, second = first & live[i], second & live[j]
        for later, condition in ((j, first), (i, second)):
            ones = backend.as_integers(condition)
            before[later] = ones if before[later] is None else before[later] + ones
    keep = pools == pools
    limit = count[:, 0] if hasattr(count, "shape") else count
    for i, places in enumerate(before):
        keep[:, i] = (0 if places is None else places) >= limit
    return keep if alive is None else keep & alive
