"""Counting near the cut only. A sample says where it falls, and the counting proves it.

A histogram of all entries costs three times what it costs to compare them with two borders and to
count those in between. The borders come from some of the entries; should the cut lie outside, all
are counted whole: the outcome is the same, and only the time is not. What lies between the borders
is counted run by run of positions, so that the cut among ties is found in the one run that has it.
Clauses: RANK-02, RANK-03, TIE-01.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from multiprune.column import Column

__all__ = ["Window", "count_near"]

_EVERY, _PART = 4, 1 / 16
"""One run in so many is sampled, all over the model, for its layers differ; and a part of each."""
_GOLDEN = 0x9E37_79B9
"""Multiples of the golden ratio: evenly spread, and in no step with layers that repeat."""
_GROUPS = 8
"""Parts of the sample: how much they differ says how far it may be wrong."""
_ERRORS, _FLOOR = 5, 1 / 2000
"""The borders lie so many standard errors, and this part of all ranks, off the sample's rank."""
_MOST = 1 << 22
"""Counters of runs that are kept."""

_Counts = npt.NDArray[np.int64]
_Run = list[tuple[Column, int, int]]


@dataclass(frozen=True)
class Window:
    """Counters of leading digits of keys, exact at the digit of one rank.

    Attributes
    ----------
    rank : int
        How many entries come before the one that is looked for.
    counts : int64 array, shape (bins,)
        At the digit of that entry counters and running totals are exact. Other entries with lower
        digits may fall in lower bins than their own, others in higher ones.
    low : int
        The first digit of `rows`.
    rows : int32 array, shape (runs, digits), or None
        What each run of positions adds to the digits from `low` on.
    """

    rank: int
    counts: _Counts
    low: int
    rows: npt.NDArray[np.int32] | None

    def ties(self) -> tuple[_Counts, int] | None:
        """Return how many entries of each run have the digit of the one looked for, and its run.

        None where runs were not counted.
        """
        if self.rows is None:
            return None
        upto = np.cumsum(self.counts)
        digit = int(np.searchsorted(upto, self.rank, side="right"))
        ties = self.rows[:, digit - self.low].astype(np.int64)
        left = self.rank - int(upto[digit] - self.counts[digit])
        return ties, int(np.searchsorted(np.cumsum(ties), left, side="right"))


def count_near(
    columns: Sequence[Column], rank: int, *, shift: int, bins: int, step: int, workers: int
) -> Window:
    """Count the leading digits of keys, exactly around the entry of one rank.

    Parameters
    ----------
    columns : sequence of Column
        Without prior masks.
    rank : int
        How many entries come before the one that is looked for.
    shift, bins : int
        A digit is ``key >> shift``, below `bins`.
    step : int
        How many positions a run has.
    workers : int
        How many threads count.
    """
    size = sum(column.size for column in columns)
    runs = _runs(columns, size, step)
    sample = [
        [(column, start, start + ceil((stop - start) * _PART)) for column, start, stop in run]
        for i, run in enumerate(runs)
        if i * _GOLDEN % (1 << 32) < (1 << 32) // _EVERY
    ]

    def whole(runs: Sequence[tuple[int, _Run]]) -> _Counts:
        groups = np.zeros((_GROUPS, bins), np.int64)
        for number, run in runs:
            digits = (_keys(run) >> shift).astype(np.intp)
            groups[number % _GROUPS] += np.bincount(digits, minlength=bins)
        return groups

    low, high = _borders(_deal(whole, sample, workers), rank / size)
    first, width = low << shift, (high - low) << shift
    kept = len(runs) * (high - low) <= _MOST
    rows = np.zeros((len(runs), high - low), np.int32) if kept else None

    def near(runs: Sequence[tuple[int, _Run]]) -> _Counts:
        counts = np.zeros(bins, np.int64)
        for number, run in runs:
            keys = _keys(run)
            below = np.count_nonzero(keys < first)
            # Keys below the border wrap round, and are large.
            inside = keys[keys - keys.dtype.type(first) <= width - 1] >> shift
            row = np.bincount(inside.astype(np.intp) - low, minlength=high - low)
            counts[low:high] += row
            counts[0] += below
            counts[-1] += len(keys) - below - len(inside)
            if rows is not None:
                rows[number] = row
        return counts

    counts = _deal(near, runs, workers)
    if low <= np.searchsorted(np.cumsum(counts), rank, side="right") < high:
        return Window(rank, counts, low, rows)
    return Window(rank, _deal(whole, runs, workers).sum(0), 0, None)


def _runs(columns: Sequence[Column], size: int, step: int) -> list[_Run]:
    """Cut all positions into runs; one may hold parts of several columns."""
    runs: list[_Run] = [[] for _ in range(-(-size // step))]
    for column in columns:
        at, end = column.offset, column.offset + column.size
        while at < end:
            stop = min((at // step + 1) * step, end)
            runs[at // step].append((column, at - column.offset, stop - column.offset))
            at = stop
    return runs


def _keys(run: _Run) -> npt.NDArray[Any]:
    parts = [column.keys(start, stop) for column, start, stop in run]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _deal(
    share: Callable[[Sequence[tuple[int, _Run]]], _Counts], runs: Sequence[_Run], workers: int
) -> _Counts:
    """Deal numbered runs out to threads, and add up their counters."""
    numbered = list(enumerate(runs))
    with ThreadPoolExecutor(workers) as pool:
        counts: _Counts = np.add.reduce(
            list(pool.map(share, [numbered[i::workers] for i in range(workers)]))
        )
    return counts


def _borders(groups: _Counts, share: float) -> tuple[int, int]:
    """Return the digits between which the entry at a share of all ranks will lie."""
    upto = np.cumsum(groups.sum(0))
    share *= float(upto[-1])
    digit = int(np.searchsorted(upto, share))
    shares = groups[:, : digit + 1].sum(1) / np.maximum(groups.sum(1), 1)
    slack = upto[-1] * (_ERRORS * float(np.std(shares)) / _GROUPS**0.5 + _FLOOR)
    low, high = np.searchsorted(upto, [share - slack, share + slack])
    return int(low), min(int(high) + 1, len(upto))
