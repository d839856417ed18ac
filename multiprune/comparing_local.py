"""Rows and groups by comparing, for any namespace of the Array API standard.

Rows are pools of the comparing engine; the entries of a group are compared with each other.
Clauses: GROUP, SCOPE-03.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from math import prod
from typing import Any

from multiprune._array import Array
from multiprune.bounds import Bounds
from multiprune.comparing import Compared, Comparing, compared, drawn, positions_of, ranked_by
from multiprune.cut import Cut
from multiprune.order import Order
from multiprune.question import Question, count_in
from multiprune.search import Ask, Sum

__all__ = ["ComparedGroups", "ComparedRows"]


class ComparedRows:
    """Rows of standard arrays; a `multiprune.backend.Engine`.

    Parameters
    ----------
    scores, masks : sequence
        Arrays, and prior masks or None.
    order : Order
    question : Question
        With rows for its scope.
    names : sequence of str
    xp : namespace
    """

    def __init__(
        self,
        scores: Sequence[Array],
        masks: Sequence[Array | None],
        order: Order,
        question: Question,
        names: Sequence[str],
        xp: Any,
    ) -> None:
        self.scores, self.target, self.names, self.xp = scores, question.target, names, xp
        self.dims = [question.scope.dim % score.ndim for score in scores]
        self.size = sum(prod(score.shape) for score in scores)
        self.first, offset = [0], 0
        columns: list[Compared] = []
        for score, mask, dim in zip(scores, masks, self.dims, strict=True):
            places = positions_of(score, offset, xp=xp)
            for i in range(score.shape[dim]):
                row = (*(slice(None),) * dim, i, ...)
                prior, at = None if mask is None else mask[row], partial(_item, places, row)
                columns.append(compared(score[row], order, prior, at, len(columns), xp=xp))
            self.first.append(len(columns))
            offset += prod(score.shape)
        self.rows = Comparing(columns, order.bits, len(columns), xp, size=self.size)

    def cuts(self, ask: Ask, *, total: Sum = lambda rows: rows) -> tuple[Cut, ...]:
        """Find the cut of each row."""

        def count(live: Sequence[int]) -> Bounds:
            counts = []
            for name, first, stop in zip(self.names, self.first, self.first[1:], strict=False):
                for i in range(first, stop):
                    label, size = f"tensor {name}, row {i - first}", self.rows.columns[i].size
                    counts.append(count_in(self.target, label, size, live[i]))
            return Bounds.exactly(counts)

        self._cuts = self.rows.cuts(count, total=total)
        return ()

    def keep(self, column: int, cuts: Sequence[Cut], like: Array) -> tuple[Array, int]:
        """Make one tensor's mask; see `multiprune.backend.Engine`."""
        rows = range(self.first[column], self.first[column + 1])
        score = self.scores[column]
        if not len(rows):
            return self.xp.ones(score.shape, dtype=self.xp.bool), 0
        kept = [self.rows.keep(i, self._cuts, like) for i in rows]
        mask = self.xp.stack([mask for mask, _ in kept], axis=self.dims[column])
        return mask, sum(pruned for _, pruned in kept)


class ComparedGroups:
    """Groups of entries of standard arrays; a `multiprune.backend.Engine`.

    Parameters
    ----------
    scores, masks, order, question, xp
        As of `ComparedRows`, with groups for the scope.
    """

    def __init__(
        self,
        scores: Sequence[Array],
        masks: Sequence[Array | None],
        order: Order,
        question: Question,
        xp: Any,
    ) -> None:
        self.scores, self.masks, self.order, self.xp = scores, masks, order, xp
        self.scope = question.scope
        self.size = sum(prod(score.shape) for score in scores)

    def cuts(self, ask: Ask, *, total: Sum = lambda rows: rows) -> tuple[Cut, ...]:
        """There is a cut for each group, and none is kept."""
        return ()

    def keep(self, column: int, cuts: Sequence[Cut], like: Array) -> tuple[Array, int]:
        """Make one tensor's mask; see `multiprune.backend.Engine`."""
        xp, score, mask = self.xp, self.scores[column], self.masks[column]
        if not prod(score.shape):  # of which no part can be taken
            return xp.ones(score.shape, dtype=xp.bool), 0
        offset = sum(prod(each.shape) for each in self.scores[:column])
        if self.order.seed is None:
            ranks, less = ranked_by(score, self.order, xp=xp)
        else:
            ranks, less = drawn(positions_of(score, offset, xp=xp), self.order.seed, xp=xp)
        dim, of = self.scope.dim % score.ndim, self.scope.of
        places = [(*(slice(None),) * dim, slice(i, None, of), ...) for i in range(of)]
        parts = [ranks[place] for place in places]
        alive = [
            xp.astype(xp.ones_like(part) if mask is None else mask[place], xp.bool)
            for part, place in zip(parts, places, strict=True)
        ]
        before = [xp.zeros_like(part, dtype=xp.int64) for part in parts]
        for i, j in combinations(range(of), 2):
            second = less(parts[j], parts[i])  # of equal ones the first comes first
            before[i] = before[i] + xp.astype(second & alive[j], xp.int64)
            before[j] = before[j] + xp.astype(~second & alive[i], xp.int64)
        live: Any = sum(xp.astype(each, xp.int64) for each in alive)
        pruned = live - self.scope.keep
        kept = [a & (b >= pruned) for a, b in zip(alive, before, strict=True)]
        whole = xp.reshape(xp.stack(kept, axis=dim + 1), score.shape)
        return whole, prod(score.shape) - int(xp.sum(xp.astype(whole, xp.int64)))


def _item(array: Array, where: Any) -> Array:
    return array[where]
