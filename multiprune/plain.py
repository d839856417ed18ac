"""Room: the plain path. Any namespace of the Array API standard, by comparing and summing only.

No bits are looked at, nothing is indexed by booleans, no shape depends on data: what the strictest
namespace allows. One primitive does it all, `under`.
Clauses: NUM, RANK-03.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from multiprune._array import Array
from multiprune.cut import Cut
from multiprune.draws import draws
from multiprune.keys import Format, score_of

__all__ = ["PlainColumn", "PlainEntries", "random_under", "score_under"]

Under = Callable[[int], Array]
"""``under(key)`` is True where an entry's key is below `key`."""


@dataclass(frozen=True)
class PlainColumn:
    """One tensor of a ranking: its size, the position of its first entry, keys, and life."""

    size: int
    offset: int
    under: Under
    alive: Array


class PlainEntries:
    """Live entries of standard arrays; a `multiprune.ranking.LiveEntries`.

    Parameters
    ----------
    columns : sequence of PlainColumn
    key_bits : int
    xp : namespace
    """

    digit_bits = 1

    def __init__(self, columns: Sequence[PlainColumn], key_bits: int, xp: Any) -> None:
        self.columns, self.key_bits, self.xp = columns, key_bits, xp
        self.size = sum(column.size for column in columns)

    def count_keys(self, prefix: int, shift: int, width: int) -> Sequence[int]:
        """Count live entries by one bit of their keys; see `LiveEntries`."""
        return self._halves(prefix, shift, lambda c, key: c.under(key) & c.alive)

    def count_positions(self, threshold: int, prefix: int, shift: int, width: int) -> Sequence[int]:
        """Count live entries at `threshold` by one bit of their positions; see `LiveEntries`."""
        return self._halves(
            prefix, shift, lambda c, key: self._tied(c, threshold) & (self._positions(c) < key)
        )

    def keep(self, column: int, cut: Cut, like: Array) -> tuple[Array, int]:
        """Turn the cut into one column's mask; see `BlockEntries.keep`."""
        c = self.columns[column]
        goes = c.under(cut.threshold) | (
            self._tied(c, cut.threshold) & (self._positions(c) <= cut.position)
        )
        mask = self.xp.reshape(c.alive & ~goes, like.shape)
        return mask, c.size - self._sum(mask)

    def _halves(
        self, prefix: int, shift: int, under: Callable[[PlainColumn, int], Array]
    ) -> Sequence[int]:
        """Count below and above the middle of the range that `prefix` leaves."""
        low, middle, high = (2 * prefix + i << shift for i in range(3))
        below = [sum(self._sum(under(c, key)) for c in self.columns) for key in (low, middle, high)]
        return [below[1] - below[0], below[2] - below[1]]

    def _tied(self, column: PlainColumn, key: int) -> Array:
        return column.under(key + 1) & ~column.under(key) & column.alive

    def _positions(self, column: PlainColumn) -> Array:
        stop = column.offset + column.size
        return self.xp.arange(column.offset, stop, dtype=self.xp.int64)

    def _sum(self, condition: Array) -> int:
        return int(self.xp.sum(self.xp.astype(condition, self.xp.int64)))


def score_under(scores: Array, fmt: Format, *, signed: bool, xp: Any) -> Under:
    """Compare flat scores of one dtype with the score that a key stands for.

    Parameters
    ----------
    scores : array, shape (n,)
        Already promoted; the modulus where complex.
    fmt : Format
    signed : bool
    xp : namespace
    """
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
            return xp.full(scores.shape, key > highest, dtype=xp.bool)
        if floating and key == highest:  # every number is below the key of NaN
            return scores == scores
        bound = score_of(key, fmt, signed=signed)
        return below(bound) if signed or fmt.kind == "uint" else below(bound) & above(-bound)

    return under


def random_under(seed: int, offset: int, size: int, *, xp: Any) -> Under:
    """Compare the draws of `size` positions from `offset` with a key."""
    numbers = draws(seed, offset, offset + size, xp=xp)
    return lambda key: numbers < max(key, 0)
