"""The engine of the algebra for tensors of one accelerator: they are counted where they are.

Only counters come to the host, once a pass. Blocks are small enough to stay in the device's cache
between the few kernels that each goes through, and for no temporary to be as large as a tensor.
Clauses: RANK-03, MASK-01.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import torch

from multiprune.backend import Backend
from multiprune.cut import Cut
from multiprune.digits import digit_bits_for
from multiprune.order import Order
from multiprune.scope import Pools
from multiprune.search import Ask, Rows, Sum, find_cuts
from multiprune_torch.device_keys import SIGNED, device_keys, is_plain

__all__ = ["OnDevice"]

_BLOCK = 1 << 22
"""Entries that are worked on at a time."""
_DIGIT_BITS = 11
"""Bits that a pass resolves: so many counters fit into the memory of a multiprocessor."""


class _Source(NamedTuple):
    """A tensor, its prior mask, and where its entries are in the order of all."""

    score: torch.Tensor
    mask: torch.Tensor | None
    size: int
    offset: int
    pool: int


class _Run(NamedTuple):
    """Entries of a tensor, by their flat indices."""

    source: _Source
    start: int
    stop: int

    @property
    def first(self) -> int:
        """Position of the first one."""
        return self.source.offset + self.start


class OnDevice:
    """Tensors of one accelerator; a `multiprune.backend.Engine`.

    Parameters
    ----------
    scores, masks : sequence of torch.Tensor
        In the order of positions; prior masks or None.
    order : Order
    pools : Pools
    backend : Backend
        Makes keys of what are no plain floats.
    """

    def __init__(
        self,
        scores: Sequence[torch.Tensor],
        masks: Sequence[torch.Tensor | None],
        order: Order,
        pools: Pools,
        backend: Backend,
    ) -> None:
        sizes = [score.numel() for score in scores]
        self.sources = [
            _Source(*source)
            for source in zip(
                scores, masks, sizes, accumulate(sizes, initial=0), pools.of, strict=False
            )
        ]
        self._members: list[list[_Source]] = [[] for _ in pools.sizes]
        for source in self.sources:
            self._members[source.pool].append(source)
        self.order, self.backend, self.device = order, backend, scores[0].device
        self.size, self.key_bits, self.pools = sum(sizes), order.bits, len(pools.sizes)
        self.digit_bits = digit_bits_for(self.pools, _DIGIT_BITS, 1 << 20)
        self._plain = order.seed is None and is_plain(order.ranked, signed=order.signed)
        self._top = order.ranked.nan if self._plain else (1 << self.key_bits) - 1

    def cuts(self, ask: Ask, *, total: Sum = lambda rows: rows) -> tuple[Cut, ...]:
        """Find the cut of each pool."""
        return find_cuts(self, ask, pools=self.pools, total=total)

    def count(self, prefixes: Sequence[int | None], shift: int, width: int) -> Rows:
        """Count live entries by a digit of their words; see `multiprune.search.Entries`."""
        position_bits = max((self.size - 1).bit_length(), 1)
        counts = torch.zeros(self.pools, 1 << width, dtype=torch.int64, device=self.device)
        for pool, prefix in enumerate(prefixes):
            if prefix is None:
                continue
            row = counts[pool]
            if shift >= position_bits:
                self._count_keys(pool, prefix, shift - position_bits, width, row)
            else:
                known = position_bits - shift - width
                place = prefix & ((1 << known) - 1)
                self._count_ties(pool, prefix >> known, place << (shift + width), shift, row)
        return list(counts.cpu().numpy().cumsum(axis=1))

    def keep(self, column: int, cuts: Sequence[Cut], like: torch.Tensor) -> tuple[Any, int]:
        """Make one tensor's mask; see `multiprune.backend.Engine`."""
        mask = torch.empty(like.shape, dtype=torch.bool, device=like.device)
        self.write(column, cuts, mask)
        return mask, mask.numel() - int(mask.sum())

    def write(self, column: int, cuts: Sequence[Cut], mask: torch.Tensor) -> None:
        """Write one tensor's mask, row-major and of any dtype."""
        source, flat = self.sources[column], mask.view(-1)
        ranked = self.order.ranked
        # A float mask holds its own keys on the way.
        reuse = (
            self._plain
            and flat.dtype.is_floating_point
            and 8 * flat.element_size() == ranked.bits
            and self.backend.dtype_name(source.score) == self.order.format.name
        )
        spans = cuts[source.pool].spans(source.offset, source.offset + source.size)
        for first, last, threshold in spans:
            for start in range(first - source.offset, last - source.offset, _BLOCK):
                stop = min(start + _BLOCK, last - source.offset)
                out = flat[start:stop]
                if threshold >= self._top:
                    out.zero_()
                    continue
                into = out.view(SIGNED[ranked.bits]) if reuse else None
                keys = self._keys([_Run(source, start, stop)], into=into, clamp=False)
                if flat.dtype.is_floating_point and flat.element_size() == 1:
                    out.copy_(keys > max(threshold, -1))  # no comparison writes float8
                else:
                    torch.gt(keys, max(threshold, -1), out=out)

    def _count_keys(
        self, pool: int, prefix: int, shift: int, width: int, row: torch.Tensor
    ) -> None:
        """Count the entries of a pool by a digit of those keys that start with `prefix`."""
        base = prefix << (shift + width)
        bins = min(1 << width, (self._top >> shift) - (prefix << width) + 1)
        clamp = base + (bins << shift) > self._top
        for batch in self._batches(pool, 0, self.size):
            keys = self._keys(batch, clamp=clamp)
            row[:bins] += _histogram(keys, base, shift, bins)

    def _count_ties(
        self, pool: int, threshold: int, first: int, shift: int, row: torch.Tensor
    ) -> None:
        """Count the entries of a pool that have the threshold's key by a digit of positions.

        Those with the same digit follow one another, so nothing is sorted into bins.
        """
        for batch in self._batches(pool, first, first + (row.shape[0] << shift)):
            size, begin = sum(run.stop - run.start for run in batch), batch[0].first - first
            digit, before = begin >> shift, begin & ((1 << shift) - 1)
            digits = (before + size + (1 << shift) - 1) >> shift
            tied = torch.zeros(digits << shift, dtype=torch.bool, device=self.device)
            keys = self._keys(batch, clamp=threshold >= self._top)
            torch.eq(keys, threshold, out=tied[before : before + size])
            row[digit : digit + digits] += tied.view(digits, -1).sum(1)

    def _batches(self, pool: int, first: int, last: int) -> Iterator[list[_Run]]:
        """Cut the entries of a pool in a run of positions into blocks; small tensors share one."""
        batch: list[_Run] = []
        size = 0
        for source in self._members[pool]:
            begin = max(first - source.offset, 0)
            end = min(last - source.offset, source.size)
            for start in range(begin, end, _BLOCK):
                run = _Run(source, start, min(start + _BLOCK, end))
                follows = batch and batch[-1].first + batch[-1].stop - batch[-1].start == run.first
                if batch and (not follows or size + run.stop - run.start > _BLOCK):
                    yield batch
                    batch, size = [], 0
                batch.append(run)
                size += run.stop - run.start
        if batch:
            yield batch

    def _keys(
        self, batch: Sequence[_Run], *, clamp: bool, into: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the keys of entries, in new memory; -1 for those that are pruned already.

        Without `clamp`, keys of NaNs may be above the largest key. `into` may take the keys.
        """
        order, flat = self.order, self.backend.flat
        if order.seed is not None:
            draws, seed = self.backend.draws, order.seed
            keys = _joined([draws(seed, r.first, r.first + r.stop - r.start) for r in batch])
        else:
            blocks = [flat(r.source.score, r.start, r.stop) for r in batch]
            if not self._plain:
                fmt, signed = order.format, order.signed
                keys = _joined([self.backend.keys(b, fmt, signed=signed) for b in blocks])
            else:
                block = _joined([b.to(getattr(torch, order.format.name)) for b in blocks])
                block = block.abs() if block.is_complex() else block
                if into is None:
                    keys = device_keys(block, order.ranked, signed=False, clamp=clamp)
                else:
                    bits = block.view(SIGNED[order.ranked.bits])
                    keys = torch.bitwise_and(bits, order.ranked.sign - 1, out=into)
        if any(r.source.mask is not None for r in batch):
            keys.masked_fill_(_joined([self._pruned(r) for r in batch]), -1)
        return keys

    def _pruned(self, run: _Run) -> torch.Tensor:
        """Return which entries are pruned by the prior mask."""
        mask, size = run.source.mask, run.stop - run.start
        if mask is None:
            return torch.zeros(size, dtype=torch.bool, device=self.device)
        alive: torch.Tensor = self.backend.flat(mask, run.start, run.stop)
        return alive != 1


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _histogram(keys: torch.Tensor, base: int, shift: int, bins: int) -> torch.Tensor:
    """Count how often each of `bins` digits occurs, ``(key - base) >> shift``; others are left out.

    Notes
    -----
    ``bincount`` waits for the device, to look for the largest digit; ``histc`` does not, and it
    leaves out what is out of its range. It counts its upper end as if it was in the last bin, so
    there is one bin more than asked for. Both are exact, for they are asked for integers.
    """
    asked = bins + 1
    if keys.is_cuda and not torch.are_deterministic_algorithms_enabled():
        end, largest = base + (asked << shift), torch.iinfo(keys.dtype).max
        if end > largest or (asked << shift) * asked > 1 << 62:
            keys = keys.sub_(base).bitwise_right_shift_(shift) if base else keys >> shift
            base, end = 0, asked
        return torch.histc(keys, asked, min=base, max=end)[:bins]
    digits = (keys - base) >> shift
    digits = digits.masked_fill_((digits < 0) | (digits >= bins), bins)
    return torch.bincount(digits, minlength=asked)[:bins]
