"""Room: the plain path. Any namespace of the Array API standard, by comparing and summing only.

No bits are looked at, nothing is indexed by booleans or reshaped, no shape depends on data: what
the strictest namespace allows, and what a lazy one does chunk by chunk. One primitive does it all,
`under`.
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
from multiprune.keys import Format, score_of

__all__ = ["PlainColumn", "PlainEntries", "positions_of", "random_under", "score_under"]

Under = Callable[[int], Array]
"""``under(key)`` is True where an entry's key is below `key`."""


@dataclass(frozen=True)
class PlainColumn:
    """One tensor of a ranking: its size, keys, life (None: all of it), and positions."""

    size: int
    under: Under
    alive: Array | None
    positions: Callable[[], Array]

    def live(self, condition: Array) -> Array:
        """Return where a condition holds of unpruned entries."""
        return condition if self.alive is None else condition & self.alive

    def tied(self, key: int) -> Array:
        """Return where an unpruned entry has this key."""
        return self.live(self.under(key + 1) & ~self.under(key))


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
        self._known: dict[tuple[int | None, int], int] = {}

    def count_keys(self, prefix: int, shift: int, width: int) -> Sequence[int]:
        """Count live entries by one bit of their keys; see `LiveEntries`."""
        return self._halves(None, prefix, shift, lambda c, key: c.live(c.under(key)))

    def count_positions(self, threshold: int, prefix: int, shift: int, width: int) -> Sequence[int]:
        """Count live entries at `threshold` by one bit of their positions; see `LiveEntries`."""
        return self._halves(
            threshold, prefix, shift, lambda c, place: c.tied(threshold) & (c.positions() < place)
        )

    def keep(self, column: int, cut: Cut, like: Array) -> tuple[Array, int]:
        """Turn the cut into one column's mask; see `BlockEntries.keep`."""
        c = self.columns[column]
        if cut.tied_pruned == cut.ties:  # a whole class goes, wherever its entries are
            mask = c.live(~c.under(cut.threshold + 1))
        else:
            goes = c.tied(cut.threshold) & (c.positions() <= cut.position)
            mask = c.live(~(c.under(cut.threshold) | goes))
        return mask, c.size - int(self._sum(mask))

    def _halves(
        self,
        among: int | None,
        prefix: int,
        shift: int,
        under: Callable[[PlainColumn, int], Array],
    ) -> Sequence[int]:
        """Count below and above the middle of the range that `prefix` leaves."""
        below = []
        for bound in (2 * prefix + i << shift for i in range(3)):
            # Two of the three bounds are those of the pass before.
            if (among, bound) not in self._known:
                count = sum(self._sum(under(column, bound)) for column in self.columns)
                self._known[among, bound] = int(count)
            below.append(self._known[among, bound])
        return [below[1] - below[0], below[2] - below[1]]

    def _sum(self, condition: Array) -> Array:
        """Count, where the array is: a lazy namespace computes nothing yet."""
        return self.xp.sum(self.xp.astype(condition, self.xp.int64))


def positions_of(tensor: Array, offset: int, *, xp: Any) -> Array:
    """Return every entry's position, int64, in the tensor's own shape and, if lazy, chunks."""
    place = xp.zeros_like(tensor, dtype=xp.int64)
    for dim in range(tensor.ndim):
        # A running count, for an `arange` has chunks of its own.
        index = xp.cumulative_sum(xp.ones_like(tensor, dtype=xp.int64), axis=dim) - 1
        place = place + index * prod(tensor.shape[dim + 1 :])
    return place + offset


def score_under(scores: Array, fmt: Format, *, signed: bool, xp: Any) -> Under:
    """Compare scores of one dtype with the score that a key stands for.

    Parameters
    ----------
    scores : array
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
            never = scores < scores
            return never if key <= lowest else ~never
        if floating and key == highest:  # every number is below the key of NaN
            return scores == scores
        bound = score_of(key, fmt, signed=signed)
        return below(bound) if signed or fmt.kind == "uint" else below(bound) & above(-bound)

    return under


def random_under(seed: int, positions: Callable[[], Array], *, xp: Any) -> Under:
    """Compare the draws of positions with a key."""
    return lambda key: draws_at(seed, xp.astype(positions(), xp.uint64), xp=xp) < max(key, 0)
