"""Every amount from one pass. Each tensor's histogram of leading digits is kept.

Counters are kept sparse, and coarser when there are too many, so that memory stays bounded.
Clauses: RANK-02, TIE-01.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from multiprune.keys import Format, score_of

__all__ = ["SweepCounts", "SweepRow"]

_Array = npt.NDArray[Any]
_DIGIT = 16
_MOST = 1 << 22
"""Counters that are kept, over all tensors."""


@dataclass(frozen=True)
class SweepRow:
    """What one pruning would do.

    Attributes
    ----------
    sparsity : float
        Fraction of all entries that would be zero.
    count : int
        How many entries that is.
    threshold : float
        The score at the cut.
    ties : int or None
        How many entries have that score; None where it is known but for its last bits.
    pruned : dict of int
        How many entries of each tensor would be pruned.
    exact : bool
        Whether all this is exact.
    """

    sparsity: float
    count: int
    threshold: float
    ties: int | None
    pruned: dict[str, int]
    exact: bool


class SweepCounts:
    """Histograms of tensors.

    Parameters
    ----------
    fmt : Format
        What entries are ranked as.
    bits : int
        How many bits their keys have.
    """

    def __init__(self, fmt: Format, bits: int) -> None:
        self.fmt, self.shift = fmt, max(bits - _DIGIT, 0)
        self.bins = 1 << (bits - self.shift)
        self.coarser = 0
        self.kept: dict[str, tuple[_Array, _Array]] = {}
        self.sizes: dict[str, int] = {}

    def empty(self) -> _Array:
        """Return counters at zero."""
        return np.zeros(self.bins, np.int64)

    def count(self, keys: _Array) -> _Array:
        """Count the leading digits of keys."""
        return np.bincount((keys >> self.shift).astype(np.intp), minlength=self.bins)

    def add(self, name: str, histogram: _Array) -> None:
        """Keep a tensor's counters."""
        self.sizes[name] = int(histogram.sum())
        digits = np.flatnonzero(histogram)
        self.kept[name] = _merge(digits >> self.coarser, histogram[digits])
        while sum(len(digits) for digits, _ in self.kept.values()) > _MOST and self.coarser < 8:
            self.coarser += 1
            self.kept = {n: _merge(d >> 1, counts) for n, (d, counts) in self.kept.items()}

    def row(self, sparsity: float) -> SweepRow:
        """Say what pruning to `sparsity` would do."""
        shift = self.shift + self.coarser
        total = np.zeros(self.bins >> self.coarser, np.int64)
        for digits, counts in self.kept.values():
            total[digits] += counts
        upto = np.cumsum(total)
        count = round(sparsity * int(upto[-1]))
        if count == 0:
            return SweepRow(sparsity, 0, 0.0, 0, dict.fromkeys(self.kept, 0), True)
        cut = int(np.searchsorted(upto, count))
        ties, left = int(total[cut]), count - int(upto[cut] - total[cut])
        share, pruned = left / ties, {}
        for name, (digits, counts) in self.kept.items():
            place = int(np.searchsorted(digits, cut))
            below, tied = int(counts[:place].sum()), 0
            if place < len(digits) and digits[place] == cut:
                tied = int(counts[place])
            # Of equal entries those of the first tensors are pruned; of nearly equal ones any.
            gone = min(tied, left) if shift == 0 else round(tied * share)
            left -= gone if shift == 0 else 0
            pruned[name] = below + gone
        threshold = score_of(cut << shift | (1 << shift >> 1), self.fmt)
        return SweepRow(
            sparsity, count, threshold, ties if shift == 0 else None, pruned, shift == 0
        )


def _merge(digits: _Array, counts: _Array) -> tuple[_Array, _Array]:
    """Add up the counters of equal digits, which stand side by side."""
    if not len(digits):
        return digits.astype(np.uint16), counts
    starts = np.flatnonzero(np.diff(digits, prepend=-1))
    return digits[starts].astype(np.uint16), np.add.reduceat(counts, starts)
