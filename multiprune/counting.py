"""The counting engine: tensors in memory or in files, seen as columns of keys, become counters.

One pass reads each block once and keeps only its counts, so that memory does not grow with the
model; blocks are shared out to threads, because counters add in any order.
Clauses: RANK-03, MASK-01.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from multiprune._array import Array
from multiprune.backend import Backend
from multiprune.blocks import Block, Share, share_out
from multiprune.column import Column
from multiprune.cut import Cut
from multiprune.digits import digit_bits_for, digit_of
from multiprune.near import Near
from multiprune.search import Ask, Rows, Sum, find_cuts

__all__ = ["Counting"]

_SMALL = 1 << 16
"""Below this many entries wide digits cost more than the passes that they save."""

# glibc gives freed blocks back to the system, and faults each page in again, unless as large a one
# was freed before: a fifth of the time, and up to a half of a pass, for the blocks below. These are
# never touched.
bytes(31 << 20)


class Counting:
    """Live entries of tensors that are read in blocks; a `multiprune.search.Entries`.

    Parameters
    ----------
    columns : sequence of Column
        In the order of their positions.
    key_bits : int
        How wide a key is.
    backend : Backend
        What counts.
    pools : int
        How many pools the columns belong to.
    size : int, optional
        How many positions there are, where other processes hold columns, too.
    digit_bits : int, optional
        How many bits a pass resolves, where each is an exchange of counters.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        key_bits: int,
        backend: Backend,
        *,
        pools: int = 1,
        size: int | None = None,
        digit_bits: int | None = None,
    ) -> None:
        self.columns, self.key_bits, self.backend, self.pools = columns, key_bits, backend, pools
        self.size = sum(column.size for column in columns) if size is None else size
        most = 8 if self.size < _SMALL else 16
        self.digit_bits = digit_bits or digit_bits_for(pools, most, 1 << 20)
        self._near: Near | None = None

    def cuts(self, ask: Ask, *, total: Sum = lambda rows: rows) -> tuple[Cut, ...]:
        """Find the cut of each pool."""
        return find_cuts(self, ask, pools=self.pools, total=total)

    def count(self, prefixes: Sequence[int | None], shift: int, width: int) -> Rows:
        """Count live entries by a digit of their words; see `multiprune.search.Entries`."""
        backend, size = self.backend, self.size
        position_bits = max((size - 1).bit_length(), 1)
        asked = [column for column in self.columns if prefixes[column.pool] is not None]
        shift_in_key, known = shift - position_bits, position_bits - shift - width
        if shift_in_key == 0 and width < self.key_bits:
            self._near = Near()

        def of_keys(column: Column, start: int, stop: int) -> Array:
            alive = None if column.alive is None else column.alive(start, stop)
            keys, prefix = column.keys(start, stop), prefixes[column.pool]
            if shift_in_key or self._near is None or self._near.full:
                return digit_of(
                    keys, alive, prefix, shift_in_key, width, self.key_bits, backend.as_integers
                )
            chosen = keys >> width == prefix
            if alive is not None:
                chosen &= alive
            indices = backend.where(chosen)
            self._near.add(column.pool, keys[indices], _positions(column, indices + start))
            return keys[indices] & ((1 << width) - 1)

        def of_positions(column: Column, start: int, stop: int) -> Array:
            word = prefixes[column.pool] or 0
            threshold, prefix = word >> known, word & ((1 << known) - 1)
            return self._tied(column, start, stop, threshold, (prefix, shift, width))

        if shift_in_key >= 0:
            return self._count(asked, of_keys, 1 << width)
        if self._near is None or self._near.full:
            return self._count(asked, of_positions, 1 << width)
        rows = [backend.bincount(None, 1 << width) for _ in prefixes]
        for pool, prefix in enumerate(prefixes):
            if prefix is None:
                continue
            for ties in self._near.tied(pool, prefix >> known):
                place = prefix & ((1 << known) - 1)
                digits = digit_of(
                    ties, None, place, shift, width, size.bit_length(), backend.as_integers
                )
                rows[pool] += backend.bincount(digits, 1 << width)
        return [row.cumsum() for row in rows]

    def keep(self, column: int, cuts: Sequence[Cut], like: Array) -> tuple[Array, int]:
        """Make one column's mask; see `multiprune.backend.Engine`."""
        mask = self.backend.new_mask(like)
        self.write(column, cuts, mask)
        pruned = self.columns[column].size - int(mask.sum())
        return self.backend.finish(mask, like), pruned

    def write(self, column: int, cuts: Sequence[Cut], mask: Array) -> None:
        """Write one column's mask in blocks."""
        source = self.columns[column]
        cut = cuts[source.pool]

        def write(work: Iterator[Block[Column]]) -> None:
            for _, start, stop in work:
                self.backend.write(mask, start, stop, self.kept(source, cut, start, stop))

        self._share(write, [source])

    def kept(
        self, column: Column, cut: Cut, start: int, stop: int, keys: Array | None = None
    ) -> Array:
        """Return which entries of a block are kept: those above the cut.

        Parameters
        ----------
        column : Column
        cut : Cut
            Of its pool.
        start, stop : int
            Which entries of the column.
        keys : array, optional
            Their keys, where they are at hand.
        """
        keys = column.keys(start, stop) if keys is None else keys
        if column.positions is not None:
            key, place = cut.border
            keep = keys >= key
            tied: Any = self.backend.where(keys == key) if place else ()
            if len(tied):
                keep[tied] = column.positions(tied + start) >= place
        else:
            first = column.offset + start
            spans = list(cut.spans(first, column.offset + stop))
            keep = keys > spans[0][2] if spans else keys > -1
            for i, j, threshold in spans[1:]:
                keep[i - first : j - first] = keys[i - first : j - first] > threshold
        if column.alive is not None:
            keep &= column.alive(start, stop)
        return keep

    def _tied(
        self, column: Column, start: int, stop: int, threshold: int, digit: tuple[int, int, int]
    ) -> Array:
        """Return a digit of the positions of live entries that have the threshold's key."""
        prefix, shift, width = digit
        first, last = prefix << (shift + width), (prefix + 1 << (shift + width)) - 1
        if column.positions is None and (
            column.offset + stop <= first or column.offset + start > last
        ):
            stop = start  # no position of this block starts with the prefix
        tied = column.keys(start, stop) == threshold
        if column.alive is not None:
            tied &= column.alive(start, stop)
        positions = _positions(column, self.backend.where(tied) + start)
        bits = self.size.bit_length()
        return digit_of(positions, None, prefix, shift, width, bits, self.backend.as_integers)

    def _count(
        self, columns: Sequence[Column], digits: Callable[[Column, int, int], Array], bins: int
    ) -> Rows:
        """Count the digits of all blocks; small blocks are joined, for a pass over bins costs."""
        backend = self.backend

        def share(work: Iterator[Block[Column]]) -> dict[int, Any]:
            counts: dict[int, Any] = {}
            waiting: list[Array] = []
            size, pool = 0, -1

            def flush() -> None:
                if waiting:
                    histogram = backend.bincount(backend.join(waiting), bins)[:bins]
                    counts[pool] = counts[pool] + histogram if pool in counts else histogram
                    waiting.clear()

            for column, start, stop in work:
                if column.pool != pool or size >= backend.block_size >> 2:
                    flush()
                    size, pool = 0, column.pool
                waiting.append(digits(column, start, stop))
                size += waiting[-1].shape[0]
            flush()
            return counts

        rows = [backend.bincount(None, bins) for _ in range(self.pools)]
        for part in self._share(share, columns):
            for pool, counts in part.items():
                rows[pool] += counts
        return [row.cumsum() for row in rows]

    def _share(self, share: Share[Column, Any], columns: Sequence[Column]) -> list[Any]:
        return share_out(share, columns, self.backend.block_size, self.backend.workers)


def _positions(column: Column, indices: Array) -> Array:
    """Return the positions of entries of a column."""
    return indices + column.offset if column.positions is None else column.positions(indices)
