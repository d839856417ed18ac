"""Where in a tensor the kept entries are, as kept fractions of blocks.

A mask drawn pixel by pixel shows moiré; means of blocks show heads, rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BlockCounts", "BlockMap"]

_Array = npt.NDArray[Any]
_MOST, _FEW, _SMALL = 96, 24, 4
"""Blocks along a side, at most; and down to how few they are made, so as to be of four entries."""


@dataclass(frozen=True)
class BlockMap:
    """Kept fractions of the blocks of one tensor.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Rows and columns: all dimensions but the first are columns.
    block : tuple of int
        Rows and columns of a block; those at the end may be smaller.
    kept : list of list of float
        From 0 to 1, row by row.
    """

    name: str
    shape: tuple[int, int]
    block: tuple[int, int]
    kept: list[list[float]]


class BlockCounts:
    """Counts the kept entries of a tensor's blocks.

    Parameters
    ----------
    name : str
    shape : tuple of int
        No dimension of it is 0.
    """

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name = name
        self.rows, self.columns = (
            (shape[0], prod(shape[1:])) if len(shape) > 1 else (1, prod(shape))
        )
        self.height, self.width = _side(self.rows), _side(self.columns)
        self.grid = -(-self.rows // self.height), -(-self.columns // self.width)
        self.counts = self.empty()

    def empty(self) -> _Array:
        """Return counters at zero."""
        return np.zeros(self.grid, np.int64)

    def steps(self, most: int) -> Iterator[tuple[int, int]]:
        """Cut the entries into runs of at most `most`: of whole rows, or inside of one."""
        rows = max(most // self.columns, 1)
        for row in range(0, self.rows, rows):
            first, last = row * self.columns, min(row + rows, self.rows) * self.columns
            for start in range(first, last, most):
                yield start, min(start + most, last)

    def count(self, start: int, stop: int, keep: _Array) -> _Array:
        """Count a run that `steps` gave, True in `keep` where entries stay."""
        counts = self.empty()
        row, column = divmod(start, self.columns)
        wide = min(stop - start, self.columns)
        lanes = np.arange(column, column + wide) // self.width
        cuts = np.flatnonzero(np.diff(lanes, prepend=-1))
        sums = np.add.reduceat(keep.reshape(-1, wide).view("u1"), cuts, axis=1, dtype=np.int64)
        below = (row + np.arange(len(sums))) // self.height
        np.add.at(counts, (below[:, None], lanes[cuts]), sums)
        return counts

    def unevenness(self) -> float:
        """Say how much more blocks differ than those of a random mask of the same count."""
        sizes = self._sizes()
        mean = self.counts.sum() / sizes.sum()
        if not 0 < mean < 1:
            return 0.0
        spread = (self.counts - mean * sizes) ** 2 / (sizes * mean * (1 - mean))
        return float(spread.mean())

    def map(self) -> BlockMap:
        """Return the fractions."""
        return BlockMap(
            self.name,
            (self.rows, self.columns),
            (self.height, self.width),
            (self.counts / self._sizes()).tolist(),
        )

    def _sizes(self) -> _Array:
        tall = np.minimum(self.height, self.rows - self.height * np.arange(self.grid[0]))
        wide = np.minimum(self.width, self.columns - self.width * np.arange(self.grid[1]))
        return np.outer(tall, wide)


def _side(entries: int) -> int:
    """Return how long a block is along a side of so many entries."""
    return max(-(-entries // _MOST), min(_SMALL, -(-entries // _FEW)))
