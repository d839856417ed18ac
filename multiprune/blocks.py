"""Work on tensors block by block, shared out to threads. A leaf.

Clause: RANK-03.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

__all__ = ["Block", "Share", "Sized", "share_out"]


class Sized(Protocol):
    """What is cut into blocks."""

    @property
    def size(self) -> int:
        """How many entries it has."""


S = TypeVar("S", bound=Sized)
R = TypeVar("R")
Block = tuple[S, int, int]
"""Something, and which of its entries."""
Share = Callable[[Iterator[Block[S]]], R]
"""Does some of the work."""


def share_out(share: Share[S, R], sources: Sequence[S], step: int, workers: int) -> list[R]:
    """Deal all blocks out to the workers, and return what each made of its share.

    Parameters
    ----------
    share : callable
        Called once by each worker with an iterator of its blocks.
    sources : sequence
    step : int
        How many entries a block has at most.
    workers : int
        How many threads there are at most.
    """
    work = [
        (source, start, min(start + step, source.size))
        for source in sources
        for start in range(0, source.size, step)
    ]
    workers = min(workers, len(work), 1 + sum(source.size for source in sources) // step)
    if workers < 2:
        return [share(iter(work))]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(share, [iter(work[i::workers]) for i in range(workers)]))
