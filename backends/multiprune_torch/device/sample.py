"""The cut of one large pool, from a sample that tells near which key it is.

One pass counts what is below a bracket of keys, and collects what is inside. The answer is exact,
or there is none: if the cut is not in the bracket, or too much is, everything is counted instead.
Clauses: RANK-03, RANK-06.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from multiprune.cut import Cut
from multiprune_torch.device.blocks import Blocks, count_true, histogram
from multiprune_torch.device.keys import device_keys

__all__ = ["LEAST", "Table", "live_in", "sampled"]

_SAMPLE = 1 << 18
LEAST = 1 << 20
"""Below so many entries counting is as fast."""
_TENSORS = 64
"""A sample takes a kernel for each tensor."""
_SIGMAS = 5
_MOST = 3 << 18
"""Entries that are collected as far as a sample tells: they and their places are sorted."""
_BINS = 8160
"""A bracket of so few keys is counted key by key."""


class Near(NamedTuple):
    """A bracket of keys that has the cut inside, and how many entries, as far as a sample tells."""

    low: int
    high: int
    inside: float

    @property
    def is_sparse(self) -> bool:
        """Whether what is inside can be collected."""
        return self.inside <= _MOST

    @property
    def is_narrow(self) -> bool:
        """Whether there are so few keys inside that each can have a counter."""
        return self.high - self.low < _BINS


class Table(NamedTuple):
    """How many live entries there are of each key in a bracket, below it, and in all."""

    low: int
    below: int
    counts: npt.NDArray[np.int64]
    live: int

    def running(self, prefix: int, shift: int, width: int) -> npt.NDArray[np.int64]:
        """Return running totals by a digit of keys, as exact as a search for the cut needs them.

        What is below the bracket is left out before it, and what is above it comes next to it.
        """
        edges = np.arange((1 << width) + 1, dtype=np.uint64) + np.uint64(prefix << width)
        edges <<= np.uint64(shift)
        totals = np.concatenate([[0, self.below], self.below + np.cumsum(self.counts), [self.live]])
        last, low = np.uint64(totals.shape[0] - 1), np.uint64(self.low)
        places = np.minimum(np.where(edges < low, 0, edges - low + np.uint64(1)), last)
        sums: npt.NDArray[np.int64] = totals[places.astype(np.int64)]
        running: npt.NDArray[np.int64] = sums[1:] - sums[0]
        return running


def live_in(blocks: Blocks) -> int:
    """Count the live entries."""
    live = blocks.size
    for source in blocks.sources:
        for start in range(0, source.size if source.mask is not None else 0, blocks.step):
            stop = min(start + blocks.step, source.size)
            gone = blocks.backend.flat(source.mask, start, stop) != 1
            live -= int(count_true(gone.view(1, -1)))
    return live


def sampled(blocks: Blocks, count: int, live: int) -> Cut | Table | None:
    """Find the cut of one pool near where a sample has it.

    Returns
    -------
    Cut, Table or None
        The cut; or what tells its key, where many entries are tied there; or nothing, where it is
        better, or necessary, to count all.
    """
    near = _near(blocks, count, live)
    if near is not None and not (near.is_sparse or near.is_narrow):
        near = _narrowed(blocks, near, count, live)
    if near is None:
        return None
    if near.is_sparse:
        return _searched(blocks, near, count, live)
    return _tabled(blocks, near, count, live) if near.is_narrow else None


def _near(blocks: Blocks, count: int, live: int) -> Near | None:
    """Sample the tensors, and return where the cut should be; None where counting is better."""
    sources = [source for source in blocks.sources if source.size]
    simple = blocks.plain and blocks.order.format.kind == "float" and len(sources) <= _TENSORS
    if not simple or not count or any(s.flat is None for s in sources):
        return None
    step, top = blocks.size // _SAMPLE, blocks.top
    generator = torch.Generator(blocks.device).manual_seed(0)
    places = torch.randint(step, (_SAMPLE,), generator=generator, device=blocks.device)
    places += torch.arange(0, _SAMPLE * step, step, device=blocks.device)
    parts = [s.flat[places[: s.size // step]] for s in sources if s.flat is not None]
    keys = device_keys(torch.cat(parts), blocks.order.ranked, signed=False)
    size = keys.shape[0]
    if live < blocks.size:
        live_parts = [
            torch.ones(p.shape, dtype=torch.bool, device=blocks.device)
            if s.mask is None
            else blocks.backend.flat(s.mask, 0, s.size)[places[: p.shape[0]]] == 1
            for s, p in zip(sources, parts, strict=True)
        ]
        alive = torch.cat(live_parts)
        keys.masked_fill_(~alive, top + 1)
        size = int(alive.sum())
    if not size:
        return None
    values, share = keys.sort().values, count / live
    spread = _SIGMAS * math.sqrt(size * share * (1 - share)) + 2
    first, last = int(share * size - spread), int(share * size + spread)
    ends = torch.stack([values[max(first, 0)], values[min(last, size - 1)]])
    inside = torch.stack(
        [torch.searchsorted(values, ends[0]), torch.searchsorted(values, ends[1], right=True)]
    )
    low, high, begin, end = torch.cat([ends.long(), inside]).tolist()
    share = (end - begin) / size
    return Near(low if first >= 0 else 0, high if last < size else top, share * live)


def _searched(blocks: Blocks, near: Near, count: int, live: int) -> Cut | None:
    """Collect what is in the bracket, and return the cut if it is there."""
    below = torch.zeros(1, dtype=torch.int64, device=blocks.device)
    thresholds: list[torch.Tensor] = []
    places: list[torch.Tensor] = []
    for batch in blocks.all_batches():
        keys = blocks.keys(batch, clamp=near.high >= blocks.top)
        under = keys < near.low
        below += count_true(under.view(1, -1))
        at = (keys <= near.high).logical_xor_(under).nonzero().view(-1)
        thresholds.append(keys[at])
        places.append(at.add_(batch[0].first))
        del keys, under
        if sum(part.shape[0] for part in thresholds) > 2 * _MOST:
            return None
    # Those that are pruned already are below every key.
    rank = count - 1 - int(below) + (blocks.size - live)
    keys, order = torch.cat(thresholds).sort(stable=True)
    if not 0 <= rank < keys.shape[0]:
        return None
    last = keys[rank]
    answer = [
        last.long(),
        torch.searchsorted(keys, last),
        torch.searchsorted(keys, last, right=True),
        torch.cat(places)[order[rank]],
    ]
    key, begin, end, place = torch.stack(answer).tolist()
    ties, tied_pruned = end - begin, rank - begin + 1
    if tied_pruned == ties:
        place = blocks.size - 1
    return Cut(key, place, ties, tied_pruned, count, live)


def _tabled(blocks: Blocks, near: Near, count: int, live: int) -> Table | None:
    """Count what is in a narrow bracket, and return the table if the cut is there."""
    below, counts = _counted(blocks, near, 0, live)
    if not below < count <= below + int(counts.sum()):
        return None
    return Table(near.low, below, counts, live)


def _narrowed(blocks: Blocks, near: Near, count: int, live: int) -> Near | None:
    """Count what is in a bracket by some keys at a time, and return the smaller one of the cut."""
    shift = max(((near.high - near.low) // _BINS).bit_length(), 0)
    below, counts = _counted(blocks, near, shift, live)
    upto = below + np.cumsum(counts)
    place = int(np.searchsorted(upto, count))
    if below >= count or place == upto.shape[0]:
        return None
    low = near.low + (place << shift)
    return Near(low, min(low + (1 << shift) - 1, blocks.top), int(counts[place]))


def _counted(
    blocks: Blocks, near: Near, shift: int, live: int
) -> tuple[int, npt.NDArray[np.int64]]:
    """Count what is below a bracket, and inside by so many keys at a time."""
    bins = ((near.high - near.low) >> shift) + 1
    totals = torch.zeros(bins + 1, dtype=torch.int64, device=blocks.device)
    for batch in blocks.all_batches():
        keys = blocks.keys(batch, clamp=near.low + (bins << shift) > blocks.top)
        totals[:1] += count_true((keys < near.low).view(1, -1))
        totals[1:] += histogram(keys, near.low, shift, bins)
        del keys
    counts: npt.NDArray[np.int64] = totals.cpu().numpy()
    # Those that are pruned already are below every key.
    return int(counts[0]) - (blocks.size - live), counts[1:]
