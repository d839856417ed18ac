"""Room: tensors in files, ranked together. Blocks of a file become columns of keys.

Nothing is decided here: counters go to `multiprune.ranking`, which finds the cut.
Clauses: RANK-01 to RANK-07, TIE-04, RAND-04, SCORE-02, SCORE-03.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from multiprune.counting import BlockEntries, Column
from multiprune.cut import Cut
from multiprune.draws import DRAW_BITS, draws
from multiprune.errors import ScoresError, ScoresShapeError
from multiprune.keys import key_bits, promote, score_of
from multiprune.methods import PruningMethod, RandomUnstructured
from multiprune.ranking import find_cut
from multiprune_numpy.backend import NumpyBackend
from multiprune_numpy.bracket import Near, count_near
from multiprune_numpy.checkpoint import Checkpoint
from multiprune_numpy.formats import keys_of
from multiprune_numpy.masks_file import PackedMasks
from multiprune_numpy.progress import Progress, Silent
from multiprune_numpy.source import Stored

__all__ = ["FileEntries", "matching"]

_Array = npt.NDArray[Any]
_LARGE = 1 << 26
"""From so many entries on a sample is worth its while."""


class _FileBackend(NumpyBackend):
    """Few workers: each holds blocks, and memory must not grow with the machine."""

    workers = min(4, os.cpu_count() or 1)


class FileEntries(BlockEntries):
    """Live entries of tensors in a checkpoint; a `multiprune.ranking.LiveEntries`.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where the weights are.
    tensors : sequence of Stored
        Which of them, in the order of positions.
    method : PruningMethod
    scores : Checkpoint, optional
        Ranked instead of the weights; exactly the same names and shapes.
    prior : PackedMasks, optional
    progress : Progress, optional

    Raises
    ------
    ScoresError, ScoresShapeError, DtypeError
        If scores do not fit, or dtypes cannot be ranked together.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        tensors: Sequence[Stored],
        method: PruningMethod,
        scores: Checkpoint | None = None,
        prior: PackedMasks | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.tensors, self.method, self.prior = tensors, method, prior
        self.progress, self.passes = progress or Silent(), 0
        self.home = scores or checkpoint
        self.ranked = tensors if scores is None else matching(scores, tensors)
        self.fmt = promote(t.dtype for t in self.ranked).real
        self.signed = bool(getattr(method, "signed", False))
        self.seed = method.seed if isinstance(method, RandomUnstructured) else None
        self.own = scores is None and self.seed is None
        bits = key_bits(self.fmt, signed=self.signed) if self.seed is None else DRAW_BITS
        offsets = [0, *accumulate(t.size for t in tensors)]
        columns = [self._column(i, offset) for i, offset in enumerate(offsets[:-1])]
        super().__init__(columns, bits, _FileBackend())
        self.near: Near | None = None

    def count_keys(self, prefix: int, shift: int, width: int) -> Sequence[int]:
        """Count live entries by a digit of their keys."""
        self.passes += 1
        self.progress.begin(
            f"ranking, pass {self.passes}", sum(t.stop - t.start for t in self.ranked)
        )
        if (
            shift + width < self.key_bits
            or self.size < _LARGE
            or any(column.alive for column in self.columns)
        ):
            return super().count_keys(prefix, shift, width)
        near = count_near(
            self.columns,
            max(self.method.target.count(self.size, self.size) - 1, 0),
            shift=shift,
            bins=1 << width,
            step=self.backend.block_size,
            workers=self.backend.workers,
        )
        self.near = None if shift else near  # digits that are whole keys are ties
        counts: list[int] = near.counts.tolist()
        return counts

    def count_positions(self, threshold: int, prefix: int, shift: int, width: int) -> Sequence[int]:
        """Count ties by a digit of their positions, in no more of the files than it needs."""
        first, last = prefix << (shift + width), (prefix + 1) << (shift + width)
        found = self.near.ties() if self.near else None
        if found is None:
            return self._count_tied(threshold, prefix, shift, width, first, last)
        # The counters of runs say in which to look; what lies behind it, nobody asks for.
        (ties, run), step = found, self.backend.block_size
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
        narrow = BlockEntries(parts or self.columns[:1], self.key_bits, self.backend)
        narrow.size = self.size
        return narrow.count_positions(threshold, prefix, shift, width)

    def cut(self) -> Cut:
        """Find the cut."""
        target, size = self.method.target, self.size
        return find_cut(self, lambda live: target.count(size, live))

    def threshold(self, cut: Cut) -> float | None:
        """Return the score of the last entry that goes; None where nothing does, or at random."""
        if cut.count == 0 or self.seed is not None:
            return None
        return score_of(cut.threshold, self.fmt, signed=self.signed)

    def kept(self, number: int, cut: Cut, start: int, stop: int, raw: bytes) -> _Array:
        """Return True where entries of a tensor stay unpruned.

        Parameters
        ----------
        number : int
            Which tensor.
        cut : Cut
        start, stop : int
            Which entries.
        raw : bytes
            Those entries as they lie in the file, so that they are read once.
        """
        column = self.columns[number]
        if self.own:
            dtype = self.tensors[number].dtype
            keys = keys_of(raw, dtype, self.fmt, signed=self.signed)
        else:
            keys = column.keys(start, stop)
        keep = np.empty(stop - start, np.bool_)
        first = column.offset + start
        for i, j, threshold in cut.spans(first, column.offset + stop):
            np.greater(keys[i - first : j - first], threshold, out=keep[i - first : j - first])
        if column.alive is not None:
            keep &= column.alive(start, stop)
        return keep

    def _column(self, number: int, offset: int) -> Column:
        tensor, source = self.tensors[number], self.ranked[number]
        seed, prior = self.seed, self.prior

        def keys(start: int, stop: int) -> _Array:
            self.progress.advance((stop - start) * source.itemsize)
            if seed is not None:
                drawn: _Array = draws(seed, offset + start, offset + stop, xp=np)
                return drawn
            raw = self.home.read(source, start, stop)
            return keys_of(raw, source.dtype, self.fmt, signed=self.signed)

        if prior is None or tensor.name not in prior.shapes:
            return Column(tensor.size, offset, keys)
        return Column(tensor.size, offset, keys, lambda i, j: prior.alive(tensor.name, i, j))


def matching(scores: Checkpoint, tensors: Sequence[Stored]) -> list[Stored]:
    """Return the scores of tensors, in their order.

    Raises
    ------
    ScoresError, ScoresShapeError
        If one is missing or too many, or has another shape (ValueErrors).

    Notes
    -----
    Clauses SCORE-02, SCORE-03.
    """
    names = {tensor.name for tensor in tensors}
    missing = sorted(names - set(scores.tensors))
    unknown = sorted(set(scores.tensors) - names)
    if missing or unknown:
        raise ScoresError(
            f"{scores.path} lacks scores of {missing[:5]} and has some of {unknown[:5]}, which are "
            "not pruned. Rule: one tensor of scores for each that is pruned and no other "
            "[SCORE-03]. Mind --include, --exclude and --min-ndim."
        )
    for tensor in tensors:
        found = scores.tensors[tensor.name]
        if found.shape != tensor.shape:
            raise ScoresShapeError(
                f"{scores.path}: the scores of {tensor.name!r} have shape {found.shape}, its "
                f"tensor {tensor.shape}. Rule: they are the same [SCORE-02]."
            )
    return [scores.tensors[tensor.name] for tensor in tensors]


def _part(column: Column, start: int, stop: int) -> Column:
    """Return some entries of a column as a column."""
    alive = column.alive
    return Column(
        stop - start,
        column.offset + start,
        lambda i, j: column.keys(start + i, start + j),
        None if alive is None else lambda i, j: alive(start + i, start + j),
    )
