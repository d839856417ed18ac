"""A histogram of weights from one pass, taken before anybody knows their range.

Entries are counted by the leading bits of their ordered keys, which are fine where weights are
small, and become bins of equal width in the end.
Clauses: NUM-02 to NUM-10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from multiprune.keys import format_of
from multiprune_checkpoints.formats.dtypes import keys_of

__all__ = ["Histogram", "WeightCounts"]

_Array = npt.NDArray[Any]
_SINGLE = format_of("float32")
_DIGIT = 18
"""Leading bits that are counted: values are told apart down to a fifth of a percent."""
_BINS = 161
"""An odd number, so that zero is in the middle of a bin."""
_SHOWN = 0.999
_ROUNDED = 2.0**-9
"""Half of what a bfloat16 is away from the next one, relative to it."""


@dataclass(frozen=True)
class Histogram:
    """How many weights lie where.

    Attributes
    ----------
    edges : list of float
        One more than there are bins, all of one width, around zero.
    kept, pruned : list of int
        Entries of each bin that stay and that go, by their value before the pruning.
    outside : int
        How many lie beyond the edges.
    zeros_only : bool
        Whether what is pruned was zero already: then its former values are not known, and it
        falls in no bin.
    """

    edges: list[float]
    kept: list[int]
    pruned: list[int]
    outside: int
    zeros_only: bool = False


class WeightCounts:
    """Counters of weights, kept and pruned ones apart."""

    def __init__(self) -> None:
        self.counts = self.empty()

    def empty(self) -> _Array:
        """Return counters at zero."""
        return np.zeros((2, 1 << _DIGIT), np.int64)

    def count(self, raw: bytes, dtype: str, keep: _Array) -> _Array:
        """Count raw entries, True in `keep` where they stay."""
        keys = keys_of(raw, dtype, _SINGLE, signed=True)
        digits = (keys >> (_SINGLE.bits - _DIGIT)).astype(np.intp)
        digits += keep.astype(np.intp) << _DIGIT
        return np.bincount(digits, minlength=2 << _DIGIT).reshape(2, -1)

    def separates(self, threshold: float, *, signed: bool) -> bool:
        """Whether nothing that stays lies below `threshold`: scores may not have been weights."""
        lower = _lower_edges()
        below = (lower[1:] if signed else _magnitudes(lower)) < threshold
        return not self.counts[1][below].any()

    def histogram(self, threshold: float | None) -> Histogram:
        """Return bins of equal width that hold nearly all weights, and the threshold."""
        lower = _lower_edges()
        zeros = int(self.counts[0].sum())
        zeros_only = zeros == int(self.counts[0][1 << (_DIGIT - 1)])
        shown = self.counts[1:] if zeros_only else self.counts
        reach = _reach(shown.sum(axis=0), lower)
        edges = np.linspace(-1, 1, _BINS + 1) * (max(reach, 1.5 * abs(threshold or 0.0)) or 1.0)
        pruned, kept = (_rebin(counts, lower, edges) for counts in self.counts)
        if zeros_only:
            pruned = [0] * _BINS
        outside = int(shown.sum()) - sum(kept) - sum(pruned)
        return Histogram(edges.tolist(), kept, pruned, outside, zeros_only)


def _lower_edges() -> _Array:
    """Return the value at which each counter begins, and the end of the last one."""
    keys = np.arange((1 << _DIGIT) + 1, dtype=np.int64) << (_SINGLE.bits - _DIGIT)
    magnitudes = np.minimum(np.abs(keys - _SINGLE.sign), _SINGLE.nan - 1)
    values: _Array = magnitudes.astype("u4").view("f4").astype("f8")
    return np.where(keys < _SINGLE.sign, -values, values)


def _magnitudes(lower: _Array) -> _Array:
    """Return the largest magnitude that each counter counts."""
    magnitudes: _Array = np.maximum(np.abs(lower[:-1]), np.abs(lower[1:]))
    return magnitudes


def _reach(counts: _Array, lower: _Array) -> float:
    """Return the magnitude below which nearly all finite weights lie."""
    magnitudes = _magnitudes(lower)
    finite = np.isfinite(magnitudes) & (counts > 0)
    magnitudes, counts = magnitudes[finite], counts[finite]
    if not len(magnitudes):
        return 1.0
    order = np.argsort(magnitudes)
    upto = np.cumsum(counts[order])
    place = int(np.searchsorted(upto, _SHOWN * upto[-1]))
    return float(magnitudes[order[place]])


def _rebin(counts: _Array, lower: _Array, edges: _Array) -> list[int]:
    """Share counters out to bins; one that an edge cuts goes to both sides by its parts.

    A bfloat16 represents all numbers that are rounded to it: its counter is as wide as that, or
    bins would hold one of them or two by turns; but no wider, for a gap is a gap.
    """
    filled = np.flatnonzero((counts > 0) & np.isfinite(lower[:-1]) & np.isfinite(lower[1:]))
    if not len(filled):
        return [0] * (len(edges) - 1)
    begin, end = lower[filled], lower[filled + 1]
    middle = (end[:-1] + begin[1:]) / 2
    begin = np.maximum(begin - np.abs(begin) * _ROUNDED, np.concatenate([[-np.inf], middle]))
    end = np.minimum(end + np.abs(end) * _ROUNDED, np.concatenate([middle, [np.inf]]))
    upto = np.concatenate([[0], np.cumsum(counts[filled])])
    places = np.stack([begin, end], axis=1).ravel()
    totals = np.stack([upto[:-1], upto[1:]], axis=1).ravel()
    shares = np.diff(np.rint(np.interp(edges, places, totals)))
    return [int(share) for share in shares]
