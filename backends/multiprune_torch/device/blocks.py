"""Tensors of one accelerator in batches: large ones cut, small ones joined; keys, counters.

Starting a kernel costs as much as millions of entries do in it, so batches are as large as memory
allows: what is allocated beside them is at most 64 MiB.
Clauses: RANK-03.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import torch

from multiprune.backend import Backend
from multiprune.order import Order
from multiprune_torch.device.keys import SIGNED, device_keys, is_plain

__all__ = ["Blocks", "Run", "Source", "count_true", "histogram", "spread"]

_BYTES = 48 << 20
"""Of what is made of a batch at a time."""
_MIXED = 1 << 21
"""Entries of a batch of several pools: each of them has a few more numbers beside its key."""


class Source(NamedTuple):
    """A tensor, its prior mask, and where its entries are in the order of all.

    `flat` has its entries one after another, where they are, and as they are ranked, so.
    """

    score: torch.Tensor
    flat: torch.Tensor | None
    mask: torch.Tensor | None
    size: int
    offset: int
    pool: int


class Run(NamedTuple):
    """Entries of a tensor, by their flat indices."""

    source: Source
    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many."""
        return self.stop - self.start

    @property
    def first(self) -> int:
        """Position of the first one."""
        return self.source.offset + self.start


class Blocks:
    """Tensors of one accelerator.

    Parameters
    ----------
    scores, masks : sequence of torch.Tensor
        In the order of positions; prior masks or None.
    order : Order
    pools : sequence of int
        Of each tensor.
    backend : Backend
        Makes keys of what are no plain floats.

    Attributes
    ----------
    sources : list of Source
    top : int
        No key is larger.
    plain : bool
        Whether keys are bits of floats without their sign.
    """

    def __init__(
        self,
        scores: Sequence[torch.Tensor],
        masks: Sequence[torch.Tensor | None],
        order: Order,
        pools: Sequence[int],
        backend: Backend,
    ) -> None:
        sizes = [score.numel() for score in scores]
        self.order, self.backend, self.device = order, backend, scores[0].device
        self.size = sum(sizes)
        self.kind: torch.dtype = getattr(torch, order.format.name)
        flat = [self._flat(score) for score in scores]
        offsets = accumulate(sizes, initial=0)
        placed = zip(scores, flat, masks, sizes, offsets, pools, strict=False)
        self.sources = [Source(*source) for source in placed]
        self.plain = order.seed is None and is_plain(order.ranked, signed=order.signed)
        self.top = order.ranked.nan if self.plain else (1 << order.bits) - 1
        # Bytes of an entry's key, and of its bits beside it where these are narrower.
        each = {16: 6, 32: 4, 64: 8}[order.ranked.bits] if self.plain else 32
        if any(backend.dtype_name(s) != order.format.name for s in scores):
            each = 32  # converted first
        self.step = max(_BYTES // each, 1)

    def all_batches(self) -> Iterator[list[Run]]:
        """Cut and join all of one pool, in batches that leave room for two booleans an entry."""
        return self.batches(lambda pool: (0, self.size), self.step * 3 // 4)

    def batches(
        self, windows: Callable[[int], tuple[int, int] | None], step: int | None = None
    ) -> Iterator[list[Run]]:
        """Cut and join tensors.

        Parameters
        ----------
        windows : callable
            Which positions of a pool are wanted; None: none.
        step : int, optional
            Entries of a batch, at most.
        """
        step = step or self.step
        batch: list[Run] = []
        size, mixed = 0, False
        for source in self.sources:
            window = windows(source.pool)
            if window is None:
                continue
            begin = max(window[0] - source.offset, 0)
            end = min(window[1] - source.offset, source.size)
            for start in range(begin, end, step):
                run = Run(source, start, min(start + step, end))
                mixed = mixed or bool(batch and batch[-1].source.pool != source.pool)
                if batch and size + run.size > (min(_MIXED, step) if mixed else step):
                    yield batch
                    batch, size, mixed = [], 0, False
                batch.append(run)
                size += run.size
        if batch:
            yield batch

    def keys(
        self, batch: Sequence[Run], *, clamp: bool = True, into: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the keys of a batch, in new memory; -1 for those that are pruned already.

        Parameters
        ----------
        batch : sequence of Run
        clamp : bool
            Whether every NaN gets the same key; if not, its key is at least that.
        into : torch.Tensor, optional
            Takes the keys of plain floats that are as wide.
        """
        order = self.order
        if order.seed is not None:
            draws, seed = self.backend.draws, order.seed
            keys = _joined([draws(seed, r.first, r.first + r.size) for r in batch])
        else:
            blocks = [self._entries(run) for run in batch]
            if not self.plain:
                fmt, signed = order.format, order.signed
                keys = _joined([self.backend.keys(b, fmt, signed=signed) for b in blocks])
            else:
                block = _joined([block.to(self.kind) for block in blocks])
                block = block.abs() if block.is_complex() else block
                bits = block.view(SIGNED[order.ranked.bits])
                if len(batch) > 1 and order.ranked.bits > 16:
                    into = bits  # new memory as it is
                keys = device_keys(block, order.ranked, signed=False, clamp=clamp, into=into)
        if any(r.source.mask is not None for r in batch):
            keys.masked_fill_(_joined([self._pruned(r) for r in batch]), -1)
        return keys

    def _flat(self, score: torch.Tensor) -> torch.Tensor | None:
        if not score.is_contiguous() or score.dtype != self.kind:
            return None
        flat: torch.Tensor = self.backend.flat(score, 0, score.numel())
        return flat

    def _entries(self, run: Run) -> torch.Tensor:
        flat = run.source.flat
        if flat is not None:
            return flat if run.size == run.source.size else flat[run.start : run.stop]
        entries: torch.Tensor = self.backend.flat(run.source.score, run.start, run.stop)
        return entries

    def _pruned(self, run: Run) -> torch.Tensor:
        """Return which entries are pruned by the prior mask."""
        mask = run.source.mask
        if mask is None:
            return torch.zeros(run.size, dtype=torch.bool, device=self.device)
        alive: torch.Tensor = self.backend.flat(mask, run.start, run.stop)
        return alive != 1


def spread(values: Sequence[int], batch: Sequence[Run], like: torch.Tensor) -> torch.Tensor:
    """Return a number for each entry of a batch: that of its run."""
    sizes = torch.tensor([run.size for run in batch], device=like.device)
    numbers = torch.tensor(values, dtype=like.dtype, device=like.device)
    return torch.repeat_interleave(numbers, sizes, output_size=like.shape[0])


def histogram(keys: torch.Tensor, base: int, shift: int, bins: int) -> torch.Tensor:
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


def count_true(flags: torch.Tensor) -> torch.Tensor:
    """Count the entries of each row of booleans that are True.

    Notes
    -----
    ``sum`` makes eight bytes of each boolean first. Here eight of them are added up as one integer,
    128 times at most, so that none of its bytes runs over.
    """
    rows, size = flags.shape
    whole = size - size % 1024
    if not whole or (rows > 1 and whole < size):
        return flags.sum(1)
    words = flags.view(-1)[: rows * whole].view(torch.int64).view(rows, -1, 128).sum(2)
    return words.view(torch.uint8).sum(1) + flags[:, whole:].sum(1)


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
