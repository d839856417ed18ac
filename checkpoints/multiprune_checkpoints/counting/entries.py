"""Tensors in files, ranked together: blocks of a file become columns of keys.

Nothing is decided here: counters go to `multiprune.search`, which finds the cuts.
Clauses: RANK-01 to RANK-07, TIE-04, RAND-04, SCORE-02, SCORE-03.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
from multiprune_numpy.backend import NumpyBackend

from multiprune.backend import Engine
from multiprune.column import Column
from multiprune.counting import Counting
from multiprune.draws import draws
from multiprune.local import Local
from multiprune.methods import PruningMethod
from multiprune.order import Order
from multiprune.plan import Plan
from multiprune.question import Question
from multiprune.search import Ask, Rows, Sum
from multiprune_checkpoints.counting.bracket import Window, count_near
from multiprune_checkpoints.counting.prior import PriorMasks
from multiprune_checkpoints.formats.checkpoint import Checkpoint
from multiprune_checkpoints.formats.dtypes import keys_of
from multiprune_checkpoints.formats.select import matching
from multiprune_checkpoints.formats.source import Stored
from multiprune_checkpoints.progress import Progress, Silent

__all__ = ["FilePlan"]

_Array = npt.NDArray[Any]
_LARGE = 1 << 26
"""From so many entries on a sample is worth its while."""


class _FileBackend(NumpyBackend):
    """Few workers: each holds blocks, and memory must not grow with the machine."""

    workers = min(4, os.cpu_count() or 1)


class FilePlan(Plan):
    """The plan of a pruning of tensors in a checkpoint.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where the weights are.
    tensors : sequence of Stored
        Which of them, in the order of positions.
    question : Question
    method : PruningMethod
    scores : Checkpoint, optional
        Ranked instead of the weights; exactly the same names and shapes.
    prior : PriorMasks, optional
    progress : Progress, optional

    Raises
    ------
    ScoresError, ScoresShapeError, DtypeError
        If scores do not fit, or dtypes cannot be ranked together.
    MultipruneError
        If the question does not fit the tensors.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        tensors: Sequence[Stored],
        question: Question,
        method: PruningMethod,
        scores: Checkpoint | None = None,
        prior: PriorMasks | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.tensors, self.prior, self.progress = tensors, prior, progress or Silent()
        self.checkpoint, self.home = checkpoint, scores or checkpoint
        self.ranked = tensors if scores is None else matching(scores, tensors)
        names, shapes = [t.name for t in tensors], [t.shape for t in tensors]
        self.order = Order.of([t.dtype for t in self.ranked], method, names)
        self.own = scores is None and self.order.seed is None
        pools = question.pools(names, shapes)
        offsets = accumulate((t.size for t in tensors), initial=0)
        self.columns = [
            self._column(i, offset, pool)
            for i, (offset, pool) in enumerate(zip(offsets, pools.of, strict=False))
        ]
        engine: Engine
        if question.scope.is_small:
            engine = Local(
                self.columns, names, shapes, question.scope, question.target, _FileBackend()
            )
        else:
            engine = _FileCounting(self, len(pools.sizes))
        super().__init__(question, names, shapes, self.order, pools, engine)

    def kept(self, number: int, start: int, stop: int, raw: bytes) -> _Array:
        """Return True where entries of a tensor are kept.

        Parameters
        ----------
        number : int
            Which tensor.
        start, stop : int
            Which entries; of rows and groups whole ones (see `unit`).
        raw : bytes
            Those entries as they lie in the file, so that they are read once.
        """
        keys: _Array | None = None
        if self.own:
            dtype = self.tensors[number].dtype
            keys = keys_of(raw, dtype, self.order.ranked, signed=self.order.signed)
        engine: Any = self.engine
        if isinstance(engine, Local):
            return np.asarray(engine.kept(number, start, stop, keys))
        column = self.columns[number]
        return np.asarray(engine.kept(column, self.cuts[column.pool], start, stop, keys))

    def unit(self, number: int) -> int:
        """Return of how many entries of a tensor a block is a multiple."""
        return self.engine.parts[number].unit if isinstance(self.engine, Local) else 1

    def _column(self, number: int, offset: int, pool: int) -> Column:
        tensor, source, order, prior = (
            self.tensors[number], self.ranked[number], self.order, self.prior,
        )  # fmt: skip
        progress, home, seed = self.progress, self.home, order.seed

        def keys(start: int, stop: int) -> _Array:
            progress.advance((stop - start) * source.itemsize)
            if seed is not None:
                drawn: _Array = draws(seed, offset + start, offset + stop, xp=np)
                return drawn
            raw = home.read(source, start, stop)
            return keys_of(raw, source.dtype, order.ranked, signed=order.signed)

        alive = None
        if prior is not None and tensor.name in prior:

            def alive(i: int, j: int) -> _Array:
                return prior.alive(tensor.name, i, j)

        return Column(tensor.size, offset, keys, alive, pool=pool)


class _FileCounting(Counting):
    """Counts near the cut only, where one pool is large and its first digit is asked for."""

    def __init__(self, plan: FilePlan, pools: int) -> None:
        super().__init__(plan.columns, plan.order.bits, _FileBackend(), pools=pools)
        self.progress, self.ranked, self.passes = plan.progress, plan.ranked, 0
        self.near: Window | None = None
        self.ask: Ask | None = None

    def cuts(self, ask: Ask, *, total: Sum = lambda rows: rows) -> Any:
        """Find the cut of each pool."""
        self.ask = ask
        return super().cuts(ask, total=total)

    def count(self, prefixes: Sequence[int | None], shift: int, width: int) -> Rows:
        """Count live entries by a digit of their words."""
        position_bits = max((self.size - 1).bit_length(), 1)
        if shift < position_bits and self.pools == 1:
            known = position_bits - shift - width
            word = prefixes[0] or 0
            digit = (word & ((1 << known) - 1), shift, width)
            return [np.cumsum(self._count_ties(word >> known, *digit))]
        self.passes += 1
        self.progress.begin(
            f"ranking, pass {self.passes}", sum(t.stop - t.start for t in self.ranked)
        )
        if (
            shift + width < self.key_bits + position_bits
            or self.size < _LARGE
            or self.pools > 1
            or any(column.alive for column in self.columns)
        ):
            return super().count(prefixes, shift, width)
        assert self.ask is not None
        near = count_near(
            self.columns,
            max(self.ask([self.size]).total - 1, 0),
            shift=shift - position_bits,
            bins=1 << width,
            step=self.backend.block_size,
            workers=self.backend.workers,
        )
        self.near = None if shift > position_bits else near  # digits that are whole keys are ties
        return [np.cumsum(near.counts)]

    def _count_ties(self, threshold: int, prefix: int, shift: int, width: int) -> Sequence[int]:
        """Count ties by a digit of their positions, in no more of the files than it needs."""
        first, last = prefix << (shift + width), (prefix + 1) << (shift + width)
        known = self.near.ties() if self.near else None
        if known is None:
            return self._count_tied(threshold, prefix, shift, width, first, last)
        # The counters of runs say in which to look; what lies behind it is not asked for.
        (ties, run), step = known, self.backend.block_size
        begin, end = first // step, min(-(-last // step), len(ties))
        if 1 << shift >= step:
            counts = [0] * (1 << width)
            for i in range(begin, end):
                counts[(i * step >> shift) - (prefix << width)] += int(ties[i])
            return counts
        inside = max(first, run * step), min(last, (run + 1) * step)
        counts = [*self._count_tied(threshold, prefix, shift, width, *inside)]
        counts[0] += int(ties[begin:run].sum())
        return counts

    def _count_tied(
        self, threshold: int, prefix: int, shift: int, width: int, first: int, last: int
    ) -> Sequence[int]:
        """Count ties by a digit of their positions, those from `first` to `last`."""
        parts = []
        for column in self.columns:
            start, stop = max(first - column.offset, 0), min(last - column.offset, column.size)
            if start < stop:
                parts.append(_part(column, start, stop))
        self.progress.begin(
            "ranking, ties", sum(part.size for part in parts) * self.ranked[0].itemsize
        )
        narrow = Counting(parts or self.columns[:1], self.key_bits, self.backend, size=self.size)
        known = max((self.size - 1).bit_length(), 1) - shift - width
        (row,) = narrow.count([threshold << known | prefix], shift, width)
        counts: list[int] = np.diff(row, prepend=0).tolist()
        return counts


def _part(column: Column, start: int, stop: int) -> Column:
    """Return some entries of a column as a column."""
    alive = column.alive
    return Column(
        stop - start,
        column.offset + start,
        lambda i, j: column.keys(start + i, start + j),
        None if alive is None else lambda i, j: alive(start + i, start + j),
    )
