"""Room: *who goes first*. Additive counters over ordered keys become a cut.

Counters add, so the entries may lie in one tensor or ten thousand, in a file, or on many
processes: the summing is injected, and this room does not know. Python numbers only.
Clauses: RANK, TIE. Source: design decision D-01 (a radix select whose counters are summed).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Protocol

from multiprune.cut import Cut

__all__ = ["LiveEntries", "Sum", "find_cut"]

Sum = Callable[[Sequence[int]], Sequence[int]]
"""Adds counters over all processes: the identity where there is one."""


class LiveEntries(Protocol):
    """Entries still unpruned, countable by a digit of their key or of their position."""

    @property
    def size(self) -> int:
        """How many positions there are, pruned ones included, on all processes."""

    @property
    def key_bits(self) -> int:
        """How many bits a key has."""

    @property
    def digit_bits(self) -> int:
        """How many bits one counting pass resolves."""

    def count_keys(self, prefix: int, shift: int, width: int) -> Sequence[int]:
        """Count live entries whose key starts with `prefix`, by the digit that follows.

        Parameters
        ----------
        prefix : int
            What ``key >> (shift + width)`` must be.
        shift, width : int
            The digit is ``(key >> shift) % 2**width``.

        Returns
        -------
        sequence of int, of length 2**width
            Python integers, which do not overflow.
        """

    def count_positions(self, threshold: int, prefix: int, shift: int, width: int) -> Sequence[int]:
        """Count live entries with key `threshold` in the same way, by digits of their position."""


def find_cut(
    entries: LiveEntries, count: Callable[[int], int], *, total: Sum = lambda counts: counts
) -> Cut:
    """Find the cut below which exactly the wanted number of entries lies.

    Parameters
    ----------
    entries : LiveEntries
        What is ranked.
    count : callable
        How many entries go, given how many are live. Called once, after the first counting pass,
        which tells how many there are; it may refuse.
    total : callable
        Adds counters over processes.

    Returns
    -------
    Cut

    Notes
    -----
    Clauses RANK-01, RANK-02, RANK-06, RANK-07, TIE-01. The position is searched only among ties,
    and only if some of them stay.
    """
    search = _Search(entries.key_bits, entries.digit_bits, entries.count_keys, total)
    live = search.count_first()
    k = count(live)
    if k == 0:
        return Cut(-1, -1, ties=0, tied_pruned=0, count=0, live=live)
    threshold, below = search.find(k - 1)
    ties, tied_pruned = search.equal, k - below
    position = entries.size - 1
    if tied_pruned < ties:
        position, _ = _Search(
            max(position.bit_length(), 1),
            entries.digit_bits,
            lambda *digit: entries.count_positions(threshold, *digit),
            total,
        ).find(tied_pruned - 1)
    return Cut(threshold, position, ties=ties, tied_pruned=tied_pruned, count=k, live=live)


class _Search:
    """Search for the entry of a given rank, one digit a pass."""

    def __init__(
        self,
        bits: int,
        digit_bits: int,
        count: Callable[[int, int, int], Sequence[int]],
        total: Sum,
    ) -> None:
        self.count, self.total = count, total
        passes = -(-bits // digit_bits)
        # As even as can be: of all ways with as few passes, it has the fewest counters.
        self.widths = [(bits + i) // passes for i in range(passes)]
        self.shift = bits
        self.first: Sequence[int] | None = None
        self.equal = 0

    def count_first(self) -> int:
        """Make the first pass, and return how many entries there are."""
        self.first = self._pass(0, self.widths[0])
        return self.first[-1]

    def find(self, rank: int) -> tuple[int, int]:
        """Return the value of the entry of this rank, and how many entries have a smaller one."""
        value = below = 0
        for width in self.widths:
            if self.first is not None:
                upto, self.first = self.first, None
            else:
                upto = self._pass(value, width)
            self.shift -= width
            digit = bisect_left(upto, rank + 1)
            before = upto[digit - 1] if digit else 0
            value = value << width | digit
            below, rank = below + before, rank - before
            self.equal = upto[digit] - before
        return value, below

    def _pass(self, prefix: int, width: int) -> Sequence[int]:
        """Count one digit, and return the running totals."""
        return list(accumulate(self.total(self.count(prefix, self.shift - width, width))))
