"""Room: counting in blocks. Tensors in memory, seen as columns of keys, become counters.

One pass reads each block once and keeps only its counts, so that memory does not grow with the
model; blocks are shared out to threads, because counters add in any order.
Clauses: RANK-03, MASK-01.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from multiprune._array import Array
from multiprune.backend import Backend
from multiprune.cut import Cut

__all__ = ["BlockEntries", "Column"]

_SMALL = 1 << 16
"""Below this many entries wide digits cost more than the passes that they save."""

# glibc gives freed blocks back to the system, and faults each page in again, unless as large a one
# was freed before: a fifth of the time, and up to a half of a pass, for the blocks below. These are
# never touched.
bytes(31 << 20)

R = TypeVar("R")


@dataclass(frozen=True)
class Column:
    """One tensor of a ranking.

    Attributes
    ----------
    size : int
        How many entries it has.
    offset : int
        Position of its first entry among all.
    keys : callable
        ``keys(start, stop)`` returns the keys of these entries, 1-D.
    alive : callable, optional
        ``alive(start, stop)`` returns True where an entry is unpruned; None if all are.
    positions : callable, optional
        ``positions(indices)`` returns the positions of entries of this column, for a shard whose
        entries are not consecutive in its tensor. None if they follow `offset`.
    """

    size: int
    offset: int
    keys: Callable[[int, int], Array]
    alive: Callable[[int, int], Array] | None = None
    positions: Callable[[Array], Array] | None = None


class BlockEntries:
    """Live entries of tensors in memory; a `multiprune.ranking.LiveEntries`.

    Parameters
    ----------
    columns : sequence of Column
        In the order of their positions.
    key_bits : int
        How wide a key is.
    backend : Backend
        Who counts.
    size : int, optional
        How many positions there are, where other processes hold columns, too.
    digit_bits : int, optional
        How many bits a pass resolves, where each is an exchange of 2**digit_bits counters.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        key_bits: int,
        backend: Backend,
        *,
        size: int | None = None,
        digit_bits: int | None = None,
    ) -> None:
        self.columns, self.key_bits, self.backend = columns, key_bits, backend
        self.size = sum(column.size for column in columns) if size is None else size
        self.digit_bits = digit_bits or (8 if self.size < _SMALL else 16)

    def count_keys(self, prefix: int, shift: int, width: int) -> Sequence[int]:
        """Count live entries by a digit of their keys; see `LiveEntries`."""

        def digits(column: Column, start: int, stop: int) -> Array:
            alive = None if column.alive is None else column.alive(start, stop)
            return _digits(column.keys(start, stop), alive, prefix, shift, width, self.key_bits)

        return self._count(digits, 1 << width)

    def count_positions(self, threshold: int, prefix: int, shift: int, width: int) -> Sequence[int]:
        """Count live entries at `threshold` by a digit of their positions; see `LiveEntries`."""
        first, last = prefix << (shift + width), (prefix + 1 << (shift + width)) - 1

        def digits(column: Column, start: int, stop: int) -> Array:
            if column.positions is None and (
                column.offset + stop <= first or column.offset + start > last
            ):
                stop = start  # no position of this block starts with the prefix
            tied = column.keys(start, stop) == threshold
            if column.alive is not None:
                tied &= column.alive(start, stop)
            indices = self.backend.where(tied) + start
            spread = column.positions
            positions = indices + column.offset if spread is None else spread(indices)
            return _digits(positions, None, prefix, shift, width, self.size.bit_length())

        return self._count(digits, 1 << width)

    def keep(self, column: int, cut: Cut, like: Array) -> tuple[Array, int]:
        """Turn the cut into one column's mask.

        Parameters
        ----------
        column : int
            Which column.
        cut : Cut
        like : array
            The tensor that the mask is for.

        Returns
        -------
        mask : array
            True where the entry stays unpruned, in the shape of `like`.
        pruned : int
            How many entries of it are pruned, those of the prior mask included.
        """
        mask = self.backend.new_mask(like)
        self.write(column, cut, mask)
        pruned = self.columns[column].size - int(mask.sum())
        return self.backend.finish(mask, like), pruned

    def write(self, column: int, cut: Cut, mask: Array) -> None:
        """Write one column's mask in blocks."""
        source = self.columns[column]

        def write(start: int, stop: int) -> None:
            keys = source.keys(start, stop)
            alive = None if source.alive is None else source.alive(start, stop)
            first = source.offset + start
            if source.positions is not None:
                keep = keys > cut.threshold
                tied = self.backend.where(keys == cut.threshold)
                keep[tied] = source.positions(tied + start) > cut.position
                if alive is not None:
                    keep &= alive
                self.backend.write(mask, start, stop, keep)
                return
            for i, j, threshold in cut.spans(first, source.offset + stop):
                keep = keys[i - first : j - first] > threshold
                if alive is not None:
                    keep &= alive[i - first : j - first]
                self.backend.write(mask, i - source.offset, j - source.offset, keep)

        def share(work: Iterator[tuple[Column, int, int]]) -> None:
            for _, start, stop in work:
                write(start, stop)

        self._map(share, [source])

    def _count(self, digits: Callable[[Column, int, int], Array], bins: int) -> Sequence[int]:
        """Count the digits of all blocks; small blocks are joined, for a pass over bins costs."""

        def share(work: Iterator[tuple[Column, int, int]]) -> Array:
            counts, waiting, size = self.backend.bincount(None, bins), [], 0
            for block in work:
                waiting.append(digits(*block))
                size += waiting[-1].shape[0]
                if size >= self.backend.block_size >> 2:
                    counts += self.backend.bincount(self.backend.join(waiting), bins)[:bins]
                    waiting, size = [], 0
            if waiting:
                counts += self.backend.bincount(self.backend.join(waiting), bins)[:bins]
            return counts

        counts, *others = self._map(share, self.columns)
        for other in others:
            counts += other
        sums: list[int] = counts.tolist()
        return sums

    def _map(
        self, share: Callable[[Iterator[tuple[Column, int, int]]], R], columns: Sequence[Column]
    ) -> list[R]:
        """Deal all blocks out to the workers, and return what each made of its share."""
        step = self.backend.block_size
        work = [
            (column, start, min(start + step, column.size))
            for column in columns
            for start in range(0, column.size, step)
        ]
        workers = min(self.backend.workers, len(work), 1 + self.size // step)
        if workers < 2:
            return [share(iter(work))]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(share, [iter(work[i::workers]) for i in range(workers)]))


def _digits(
    keys: Array, alive: Array | None, prefix: int, shift: int, width: int, bits: int
) -> Array:
    """Return one digit of live keys that start with `prefix`; of others, nothing or 2**width up."""
    if shift + width < bits:
        chosen = keys >> (shift + width) == prefix
        if alive is not None:
            chosen &= alive
        return (keys[chosen] >> shift) & ((1 << width) - 1)
    digits = keys >> shift if shift else keys
    if alive is None:
        return digits
    if 8 * keys.dtype.itemsize == bits:
        return digits[alive]
    # There is room above the digit: marking pruned entries is ten times faster than selecting.
    pruned = ~alive
    marks = (pruned.astype if hasattr(pruned, "astype") else pruned.to)(keys.dtype)
    marks <<= width
    marks |= digits
    return marks
