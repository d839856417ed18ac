"""The engine of the algebra for tensors of one accelerator: they are counted where they are.

Only counters come to the host, once a pass.
Clauses: RANK-03, MASK-01.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from multiprune.backend import Backend
from multiprune.cut import Cut
from multiprune.digits import digit_bits_for
from multiprune.order import Order
from multiprune.scope import Pools
from multiprune.search import Ask, Rows, Sum, find_cuts
from multiprune_torch.device.blocks import Blocks, Run, count_true, histogram, spread
from multiprune_torch.device.keys import SIGNED
from multiprune_torch.device.sample import LEAST, Table, live_in, sampled

__all__ = ["OnDevice"]

_DIGIT_BITS, _NARROW = 11, 14
"""Bits that a pass resolves: the counters of 11 bits fit into the memory of a multiprocessor. Of
up to 14 bits even digits of 16-bit and 32-bit floats are no wider, but those of positions are."""
_SMALL = 1 << 20
"""Masks of tensors up to so many entries are made together."""


def _alone(rows: Rows) -> Rows:
    return rows


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
        self.blocks = Blocks(scores, masks, order, pools.of, backend)
        self.size, self.key_bits, self.pools = sum(pools.sizes), order.bits, len(pools.sizes)
        few = self.blocks.plain and order.ranked.bits < 64
        self.digit_bits = digit_bits_for(self.pools, _NARROW if few else _DIGIT_BITS, 1 << 20)
        self._table: Table | None = None
        self._sizes, self._whole = pools.sizes, all(mask is None for mask in masks)

    def cuts(self, ask: Ask, *, total: Sum = _alone) -> tuple[Cut, ...]:
        """Find the cut of each pool: of a large one near where a sample has it."""
        if self.pools > 1 or total is not _alone or self.size < LEAST:
            return find_cuts(self, ask, pools=self.pools, total=total)
        live = self.size if self._whole else live_in(self.blocks)
        bounds = ask([live])
        near = sampled(self.blocks, bounds.total, live)
        if isinstance(near, Cut):
            return (near,)
        self._table = near
        return find_cuts(self, lambda live: bounds)

    def count(self, prefixes: Sequence[int | None], shift: int, width: int) -> Rows:
        """Count live entries by a digit of their words; see `multiprune.search.Entries`."""
        position_bits = max((self.size - 1).bit_length(), 1)
        if self._table is not None and shift >= position_bits:
            return [self._table.running(prefixes[0] or 0, shift - position_bits, width)]
        counts = torch.zeros(self.pools, 1 << width, dtype=torch.int64, device=self.blocks.device)
        if shift >= position_bits:
            self._count_keys(prefixes, shift - position_bits, width, counts)
        else:
            self._count_ties(prefixes, position_bits - shift - width, shift, width, counts)
        return list(counts.cpu().numpy().cumsum(axis=1))

    def keep(self, column: int, cuts: Sequence[Cut], like: torch.Tensor) -> tuple[Any, int]:
        """Make one tensor's mask; see `multiprune.backend.Engine`."""
        mask = torch.empty(like.shape, dtype=torch.bool, device=like.device)
        self.write(column, cuts, mask)
        return mask, mask.numel() - int(count_true(mask.view(1, -1)))

    def write_all(self, cuts: Sequence[Cut], masks: Sequence[torch.Tensor]) -> None:
        """Write the masks of all tensors, row-major and of any dtype."""
        waiting: list[tuple[int, int]] = []
        size = 0
        for column, (source, mask) in enumerate(zip(self.blocks.sources, masks, strict=True)):
            spans = list(cuts[source.pool].spans(source.offset, source.offset + source.size))
            if len(spans) != 1 or source.size > _SMALL:
                self.write(column, cuts, mask)
                continue
            if waiting and (
                size + source.size > 2 * _SMALL or masks[waiting[0][0]].dtype != mask.dtype
            ):
                self._write_together(waiting, masks)
                waiting, size = [], 0
            waiting.append((column, spans[0][2]))
            size += source.size
        if waiting:
            self._write_together(waiting, masks)

    def write(self, column: int, cuts: Sequence[Cut], mask: torch.Tensor) -> None:
        """Write one tensor's mask, row-major and of any dtype."""
        blocks, flat = self.blocks, mask.view(-1)
        source, ranked = blocks.sources[column], blocks.order.ranked
        # A float mask holds its own keys on the way, so that it is written in one piece.
        reuse = (
            blocks.plain
            and source.mask is None
            and flat.dtype.is_floating_point
            and 8 * flat.element_size() == ranked.bits
            and blocks.backend.dtype_name(source.score) == blocks.order.format.name
        )
        spans = cuts[source.pool].spans(source.offset, source.offset + source.size)
        for first, last, threshold in spans:
            begin, end = first - source.offset, last - source.offset
            step = end - begin if reuse else blocks.step
            for start in range(begin, end, step):
                out = flat[start : min(start + step, end)]
                if threshold >= blocks.top:
                    out.zero_()
                    continue
                run = Run(source, start, min(start + step, end))
                into = out.view(SIGNED[ranked.bits]) if reuse else None
                keys = blocks.keys([run], into=into, clamp=False)
                if flat.dtype.is_floating_point and flat.element_size() == 1:
                    out.copy_(keys > max(threshold, -1))  # no comparison writes float8
                else:
                    torch.gt(keys, max(threshold, -1), out=out)
                del keys  # before those of the next block are made

    def _write_together(
        self, columns: Sequence[tuple[int, int]], masks: Sequence[torch.Tensor]
    ) -> None:
        """Write the masks of small tensors, each with its threshold."""
        sources = [self.blocks.sources[column] for column, _ in columns]
        batch = [Run(source, 0, source.size) for source in sources]
        thresholds = [max(threshold, -1) for _, threshold in columns]
        keys = self.blocks.keys(batch)
        one = len(set(thresholds)) == 1
        keep = keys > (thresholds[0] if one else spread(thresholds, batch, keys))
        flat = [masks[column].view(-1) for column, _ in columns]
        sizes = [run.size for run in batch]
        torch.split_with_sizes_copy(keep.to(flat[0].dtype), sizes, out=flat)

    def _count_keys(
        self, prefixes: Sequence[int | None], shift: int, width: int, counts: torch.Tensor
    ) -> None:
        """Count entries by a digit of those keys that start with the prefixes."""
        blocks, top = self.blocks, self.blocks.top >> shift
        # Keys of NaNs above the top are left out; in the first pass they are all that is.
        rest = self._whole and blocks.plain and shift + width >= self.key_bits
        windows = [None if prefix is None else (0, self.size) for prefix in prefixes]
        for batch in blocks.batches(windows.__getitem__):
            pools = {run.source.pool for run in batch}
            bases = {pool: (prefixes[pool] or 0) << (shift + width) for pool in pools}
            clamp = any(b + (1 << (shift + width)) > blocks.top for b in bases.values())
            alone = len(pools) == 1
            keys = blocks.keys(batch, clamp=clamp and not (rest and alone))
            if alone:
                (pool,) = pools
                bins = min(1 << width, top - ((prefixes[pool] or 0) << width) + 1)
                counts[pool, :bins] += histogram(keys, bases[pool], shift, bins)
            else:
                _count_mixed(keys, batch, bases, shift, width, counts)
            del keys
        if rest:
            sizes = torch.tensor(self._sizes, device=blocks.device)
            counts[:, top] += sizes - counts.sum(1)

    def _count_ties(
        self,
        prefixes: Sequence[int | None],
        known: int,
        shift: int,
        width: int,
        counts: torch.Tensor,
    ) -> None:
        """Count entries of the thresholds' keys by a digit of those positions with a prefix."""
        blocks, span = self.blocks, 1 << (shift + width)
        keys_of = [(p or 0) >> known for p in prefixes]
        firsts = [((p or 0) & ((1 << known) - 1)) * span for p in prefixes]
        windows = [
            None if p is None else (f, f + span) for p, f in zip(prefixes, firsts, strict=True)
        ]
        for batch in blocks.batches(windows.__getitem__):
            pools = {run.source.pool for run in batch}
            keys = blocks.keys(batch, clamp=any(keys_of[pool] >= blocks.top for pool in pools))
            pool = batch[0].source.pool
            if len(pools) == 1 and all(a.first + a.size == b.first for a, b in pairwise(batch)):
                begin = batch[0].first - firsts[pool]
                _count_runs(keys, keys_of[pool], begin, shift, counts[pool])
                del keys
                continue
            # In the place of its key, an entry that is tied gets its position.
            starts, here = [], 0
            for run in batch:
                starts.append(run.first - here)
                here += run.size
            tied = keys == spread([keys_of[run.source.pool] for run in batch], batch, keys)
            places = torch.arange(here, device=blocks.device)
            places += spread(starts, batch, places)
            places.masked_fill_(~tied, -1)
            bases = {pool: firsts[pool] for pool in pools}
            _count_mixed(places, batch, bases, shift, width, counts)
            del keys, tied, places


def _count_mixed(
    keys: torch.Tensor,
    batch: Sequence[Run],
    bases: dict[int, int],
    shift: int,
    width: int,
    counts: torch.Tensor,
) -> None:
    """Count the keys of several pools: each pool has counters of its own in one long row."""
    pools = [run.source.pool for run in batch]
    keys -= spread([bases[pool] for pool in pools], batch, keys)
    keys >>= shift
    others = (keys < 0) | (keys >= 1 << width)
    keys |= spread([pool << width for pool in pools], batch, keys)
    keys.masked_fill_(others, counts.numel())
    counts.view(-1).add_(histogram(keys, 0, 0, counts.numel()))


def _count_runs(
    keys: torch.Tensor, threshold: int, begin: int, shift: int, row: torch.Tensor
) -> None:
    """Count tied entries that follow one another by a digit of their positions: in runs."""
    digit, before = begin >> shift, begin & ((1 << shift) - 1)
    digits = (before + keys.shape[0] + (1 << shift) - 1) >> shift
    tied = torch.zeros(digits << shift, dtype=torch.bool, device=keys.device)
    torch.eq(keys, threshold, out=tied[before : before + keys.shape[0]])
    row[digit : digit + digits] += count_true(tied.view(digits, -1))
