"""The comparing engine: any namespace of the Array API standard, by comparing and summing only.

No bits are looked at, nothing is indexed by booleans, no shape depends on data: what the strictest
namespace allows, and what a lazy one does chunk by chunk.
Clauses: NUM, RANK-03.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from multiprune._array import Array
from multiprune.cut import Cut
from multiprune.draws import draws_at
from multiprune.order import Order
from multiprune.search import Ask, Rows, Sum, find_cuts

__all__ = ["Compared", "Comparing", "compared", "drawn", "positions_of", "ranked_by"]

Under = Callable[[int], Array]
"""``under(key)`` is True where an entry's key is below `key`."""
Less = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Compared:
    """One tensor of a ranking: its size, keys, life (None: all of it), positions and pool."""

    size: int
    under: Under
    alive: Array | None
    positions: Callable[[], Array]
    pool: int = 0

    def before(self, key: int, position: int) -> Array:
        """Return where an entry comes before (key, position) in the order of all: the tie rule."""
        under = self.under(key)
        if position:
            under = under | (self.under(key + 1) & (self.positions() < position))
        return under

    def live(self, condition: Array) -> Array:
        """Return where a condition holds of unpruned entries."""
        return condition if self.alive is None else condition & self.alive


class Comparing:
    """Live entries of standard arrays; a `multiprune.search.Entries`.

    Parameters
    ----------
    columns : sequence of Compared
    key_bits : int
    pools : int
    xp : namespace
    """

    digit_bits = 1

    def __init__(
        self,
        columns: Sequence[Compared],
        key_bits: int,
        pools: int,
        xp: Any,
        *,
        size: int | None = None,
    ) -> None:
        self.columns, self.key_bits, self.pools, self.xp = columns, key_bits, pools, xp
        self.size = sum(column.size for column in columns) if size is None else size
        self._known: dict[tuple[int, int], int] = {}

    def cuts(self, ask: Ask, *, total: Sum = lambda rows: rows) -> tuple[Cut, ...]:
        """Find the cut of each pool."""
        return find_cuts(self, ask, pools=self.pools, total=total)

    def count(self, prefixes: Sequence[int | None], shift: int, width: int) -> Rows:
        """Count live entries by one bit of their words; see `multiprune.search.Entries`."""
        words = {
            (pool, (2 * prefix + i) << shift)
            for pool, prefix in enumerate(prefixes)
            if prefix is not None
            for i in range(3)
        }
        self._look_up(sorted(words - self._known.keys()))
        rows = []
        for pool, prefix in enumerate(prefixes):
            start, *upto = (
                [0, 0, 0]
                if prefix is None
                else [self._known[pool, (2 * prefix + i) << shift] for i in range(3)]
            )
            rows.append([count - start for count in upto])
        return rows

    def keep(self, column: int, cuts: Sequence[Cut], like: Array) -> tuple[Array, int]:
        """Make one column's mask; see `multiprune.backend.Engine`."""
        c = self.columns[column]
        mask = c.live(~c.before(*cuts[c.pool].border))
        return mask, c.size - int(self._sum(mask))

    def _look_up(self, words: Sequence[tuple[int, int]]) -> None:
        """Count the entries of pools that come before words, all of them in one go."""
        bits = max((self.size - 1).bit_length(), 1)
        sums = [
            sum(
                self._sum(c.live(c.before(word >> bits, word & ((1 << bits) - 1))))
                for c in self.columns
                if c.pool == pool
            )
            for pool, word in words
        ]
        if sums:
            counts = self.xp.stack([self.xp.asarray(each) for each in sums])
            for key, i in zip(words, range(len(words)), strict=True):
                self._known[key] = int(counts[i])

    def _sum(self, condition: Array) -> Array:
        """Count, where the array is: a lazy namespace computes nothing yet."""
        return self.xp.sum(self.xp.astype(condition, self.xp.int64))


def compared(
    score: Array,
    order: Order,
    mask: Array | None,
    positions: Callable[[], Array],
    pool: int = 0,
    *,
    xp: Any,
) -> Compared:
    """Return a tensor of the ranking, or a part of one.

    Parameters
    ----------
    score : array
    order : Order
    mask : array, optional
        Prior mask of 0 and 1.
    positions : callable
        Returns the positions of its entries.
    pool : int
    xp : namespace
    """
    if order.seed is not None:
        under = _random_under(order.seed, positions, xp=xp)
    else:
        under = _score_under(_ranked(score, order, xp=xp), order, xp=xp)
    alive = None if mask is None else xp.astype(mask, xp.bool)
    return Compared(prod(score.shape), under, alive, positions, pool)


def ranked_by(score: Array, order: Order, *, xp: Any) -> tuple[Array, Less]:
    """Return what a tensor is ranked by, and the comparison of two such arrays by their keys."""
    ranked = _ranked(score, order, xp=xp)
    if order.ranked.kind == "float":
        ranked = ranked if order.signed else xp.abs(ranked)
        return ranked, lambda a, b: (a < b) | (~xp.isnan(a) & xp.isnan(b))
    if order.ranked.kind == "int" and not order.signed:
        # The magnitude of the lowest integer is none; its negative is.
        return xp.where(ranked < 0, ranked, -ranked), lambda a, b: a > b
    return ranked, lambda a, b: a < b


def drawn(positions: Array, seed: int, *, xp: Any) -> tuple[Array, Less]:
    """Return the draws of entries at these positions, and their comparison."""
    return draws_at(seed, xp.astype(positions, xp.uint64), xp=xp), lambda a, b: a < b


def _ranked(score: Array, order: Order, *, xp: Any) -> Array:
    """Return promoted scores; the modulus where complex."""
    if order.format.kind == "complex":
        score = xp.abs(xp.astype(score, getattr(xp, order.format.name)))
    return xp.astype(score, getattr(xp, order.ranked.name))


def positions_of(tensor: Array, offset: int, *, xp: Any) -> Array:
    """Return every entry's position, int64, in the tensor's own shape and, if lazy, chunks."""
    place = xp.zeros_like(tensor, dtype=xp.int64)
    for dim in range(tensor.ndim):
        # A running count, for an `arange` has chunks of its own.
        index = xp.cumulative_sum(xp.ones_like(tensor, dtype=xp.int64), axis=dim) - 1
        place = place + index * prod(tensor.shape[dim + 1 :])
    return place + offset


def _score_under(scores: Array, order: Order, *, xp: Any) -> Under:
    """Compare scores, already promoted, with the score that a key stands for."""
    fmt, signed = order.ranked, order.signed
    floating = fmt.kind == "float"
    lowest = 0 if not (signed and floating) else fmt.sign - fmt.nan + 1  # the key of -infinity
    highest = fmt.nan + signed * fmt.sign if floating else 2 * fmt.sign - 1
    limits = None if floating else xp.iinfo(scores.dtype)

    def below(bound: Any) -> Array:
        return scores == scores if limits and bound > limits.max else scores < bound

    def above(bound: Any) -> Array:
        return scores == scores if limits and bound < limits.min else scores > bound

    def under(key: int) -> Array:
        if key <= lowest or key > highest:
            never = scores < scores
            return never if key <= lowest else ~never
        if floating and key == highest:  # every number is below the key of NaN
            return scores == scores
        bound: Any = order.score(key)
        return below(bound) if signed or fmt.kind == "uint" else below(bound) & above(-bound)

    return under


def _random_under(seed: int, positions: Callable[[], Array], *, xp: Any) -> Under:
    """Compare the draws of positions with a key."""
    return lambda key: draws_at(seed, xp.astype(positions(), xp.uint64), xp=xp) < max(key, 0)
