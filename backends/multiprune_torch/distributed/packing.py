"""Masks of shards as packed bits of the whole tensor, a piece at a time.

Pieces of several processes are added up, for no bit has two owners.
Clauses: FILE-01, FILE-02, SHARD-03.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from math import prod

import numpy as np
import numpy.typing as npt
import torch

from multiprune_torch.backend import backend
from multiprune_torch.distributed.layout import Layout
from multiprune_torch.distributed.processes import Processes

__all__ = ["PIECE", "own_range", "pieces", "unpack"]

PIECE = 1 << 20
"""Bytes of a packed mask that are worked on at a time: 8 million entries."""

Bits = npt.NDArray[np.bool_]


def pieces(
    layout: Layout, kept: torch.Tensor | None, processes: Processes | None
) -> Iterator[npt.NDArray[np.uint8]]:
    """Pack a whole mask piece by piece; every process takes part in each.

    Parameters
    ----------
    layout : Layout
    kept : torch.Tensor or None
        This process's part of the mask; None where others own it.
    processes : Processes or None
        None where one process has all.
    """
    size = prod(layout.shape)
    for first in range(0, size, 8 * PIECE):
        last = min(first + 8 * PIECE, size)
        bits = np.zeros(last - first, dtype=np.bool_)
        if kept is not None:
            bits = _bits_between(layout, kept, first, last)
        packed = np.packbits(bits, bitorder="little")
        yield packed if processes is None else processes.sum_bytes(packed)


def unpack(packed: npt.NDArray[np.uint8], size: int) -> Bits:
    """Return the first `size` bits of a packed mask: True where an entry is kept."""
    return np.unpackbits(packed, bitorder="little", count=size).astype(np.bool_)


def own_range(layout: Layout, first: int, last: int) -> tuple[int, int]:
    """Return which entries of a shard lie between two flat indices of the whole tensor.

    A shard keeps the order of its tensor, so they follow one another.
    """

    def index(i: int) -> int:
        return int(layout.positions(np.array([i]), 0)[0])

    return tuple(bisect_left(range(layout.size), at, key=index) for at in (first, last))  # type: ignore[return-value]


def _bits_between(layout: Layout, kept: torch.Tensor, first: int, last: int) -> Bits:
    """Return the mask between two flat indices of the whole tensor; False where others hold it."""
    bits = np.zeros(last - first, dtype=np.bool_)
    start, stop = own_range(layout, first, last)
    if start < stop:
        values = backend.flat(kept, start, stop)
        places = layout.positions(np.arange(start, stop), 0) - first
        bits[places] = (values == 1).cpu().numpy()
    return bits
