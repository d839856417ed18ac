"""One radix search finds the cut of every pool, within bounds.

Counters add, so the entries may lie in one tensor or ten thousand, in a file, or on many processes:
the summing is injected, and nothing here knows. Python numbers only.
Clauses: RANK, TIE, BOUND. Source: design decisions D-01 and D-15.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from multiprune.bounds import Bounds
from multiprune.cut import Cut

__all__ = ["Ask", "Entries", "Rows", "Sum", "find_cuts"]

Rows = Sequence[Any]
"""For each pool a sequence of integers, of Python or NumPy."""
Sum = Callable[[Rows], Rows]
"""Adds counters over all processes: the identity where there is one."""
Ask = Callable[[Sequence[int]], Bounds]
"""How many entries are pruned, given how many are live in each pool; it may refuse."""


class Entries(Protocol):
    """Live entries in pools, countable by the digits of their words.

    The word of an entry is its key followed by its position, ``key << position_bits | position``:
    the total order of all entries in one number.
    """

    @property
    def size(self) -> int:
        """How many positions there are, pruned ones included, on all processes."""

    @property
    def key_bits(self) -> int:
        """How many bits a key has."""

    @property
    def digit_bits(self) -> int:
        """How many bits one counting pass resolves at most."""

    def count(self, prefixes: Sequence[int | None], shift: int, width: int) -> Rows:
        """Count the live entries of each pool by a digit of their words.

        Parameters
        ----------
        prefixes : sequence of (int or None)
            For each pool, what ``word >> (shift + width)`` must be; None: nothing is asked.
        shift, width : int
            The digit is ``(word >> shift) % 2**width``; it lies in the key or in the position.

        Returns
        -------
        for each pool a sequence of int, of length 2**width
            Running totals: how many entries have this digit or a lower one.
        """


@dataclass
class _Pool:
    """A pool in the search. `below` and `upto` count its entries before and up to `prefix`."""

    low: int
    high: int
    live: int
    pruned: int | None = None
    """How many entries are pruned, as soon as that is settled."""
    prefix: int = 0
    below: int = 0
    upto: int = 0
    key: int = -1
    ties: int = 0
    key_below: int = 0
    split: bool = False
    """Whether only some of the entries with the threshold's key are pruned."""
    finished: bool = False

    def settle(self, pruned: int) -> None:
        self.pruned, self.finished = pruned, pruned == 0

    def follow(self, digit: int, row: Any, width: int) -> None:
        """Take a digit into the prefix."""
        below = self.below
        self.below, self.upto = below + _before(row, digit), below + int(row[digit])
        self.prefix = self.prefix << width | digit


def find_cuts(
    entries: Entries, ask: Ask, *, pools: int = 1, total: Sum = lambda rows: rows
) -> tuple[Cut, ...]:
    """Find for each pool the cut up to which its entries are pruned.

    Parameters
    ----------
    entries : Entries
        What is ranked.
    ask : callable
        Called once, after the first counting pass, which tells how many entries are live.
    pools : int
        How many pools there are.
    total : callable
        Adds counters over processes, before anything is decided by them.

    Returns
    -------
    tuple of Cut
        One for each pool. Pools that no bound holds share a threshold and a position.

    Notes
    -----
    Clauses RANK-01, RANK-02, RANK-06, RANK-07, TIE-01, BOUND-01. Let c(t) be how many entries of a
    pool come up to t in the order of all entries. Of the sets that satisfy the bounds, the one of
    least ranks prunes clamp(c(t), low, high) entries of each pool, for the t at which these add up
    to the total. Pools that are not settled share the digits of t; one that reaches a bound is
    settled, and goes on by itself to the entry at which its own count is reached. The position is
    searched only where some of several equal keys are kept.
    """
    position_bits = max((entries.size - 1).bit_length(), 1)
    digits = [
        *_digits(entries.key_bits, entries.digit_bits, position_bits),
        *_digits(position_bits, entries.digit_bits, 0),
    ]
    shift, width = digits[0]
    rows = total(entries.count([0] * pools, shift, width))
    live = [int(row[-1]) for row in rows]
    bounds = ask(live)
    state = [
        _Pool(low, high, count)
        for low, high, count in zip(bounds.low, bounds.high, live, strict=True)
    ]
    for pool in state:
        if pool.low == pool.high or bounds.total == sum(bounds.low):
            pool.settle(pool.low)
    for shift, width in digits:
        if all(pool.finished for pool in state):
            break
        if shift + width < position_bits + entries.key_bits:
            rows = total(
                entries.count([None if p.finished else p.prefix for p in state], shift, width)
            )
        _choose(state, rows, width, bounds.total)
        if shift == position_bits:
            _end_of_keys(state, bounds.total)
    return tuple(_cut(pool, entries.size, position_bits) for pool in state)


def _digits(bits: int, most: int, shift: int) -> list[tuple[int, int]]:
    """Cut bits into digits, as even as can be: of all ways with as few passes the cheapest."""
    passes = -(-bits // most)
    widths = [(bits + i) // passes for i in range(passes)]
    return [(shift + bits - sum(widths[: i + 1]), width) for i, width in enumerate(widths)]


def _choose(state: list[_Pool], rows: Rows, width: int, total: int) -> None:
    """Choose the next digit: one for all pools that are not settled, and one for each other."""
    free = [(pool, row) for pool, row in zip(state, rows, strict=True) if pool.pruned is None]
    if free:
        goal = total - sum(pool.pruned or 0 for pool in state)

        def reached(digit: int) -> bool:
            return sum(_clamp(p, p.below + int(row[digit])) for p, row in free) >= goal

        digit = bisect_left(range(1 << width), True, key=reached)
        for pool, row in free:
            # A pool that reached its lower bound before this prefix is not held by it.
            if pool.below < pool.low and pool.below + int(row[digit]) <= pool.low:
                pool.settle(pool.low)
            elif pool.below + _before(row, digit) >= pool.high:
                pool.settle(pool.high)
            else:
                pool.follow(digit, row, width)
                continue
    shared = {id(pool) for pool, _ in free if pool.pruned is None}
    for pool, row in zip(state, rows, strict=True):
        if not pool.finished and id(pool) not in shared:
            assert pool.pruned is not None
            pool.follow(bisect_left(row, pool.pruned - pool.below), row, width)


def _end_of_keys(state: list[_Pool], total: int) -> None:
    """Note the threshold; where all entries with that key are pruned, the search is over."""
    free = [pool for pool in state if pool.pruned is None]
    if free and sum(_clamp(p, p.upto) for p in free) == total - sum(p.pruned or 0 for p in state):
        for pool in free:
            pool.pruned = _clamp(pool, pool.upto)
    for pool in state:
        if not pool.finished:
            pool.key, pool.ties, pool.key_below = pool.prefix, pool.upto - pool.below, pool.below
            pool.finished = pool.pruned == pool.upto
            pool.split = not pool.finished


def _cut(pool: _Pool, size: int, position_bits: int) -> Cut:
    pruned = _clamp(pool, pool.upto) if pool.pruned is None else pool.pruned
    if pruned == 0:
        return Cut(-1, -1, ties=0, tied_pruned=0, count=0, live=pool.live)
    position = pool.prefix & ((1 << position_bits) - 1) if pool.split else size - 1
    return Cut(pool.key, position, pool.ties, pruned - pool.key_below, pruned, pool.live)


def _clamp(pool: _Pool, count: int) -> int:
    return min(max(count, pool.low), pool.high)


def _before(row: Any, digit: int) -> int:
    return int(row[digit - 1]) if digit else 0
