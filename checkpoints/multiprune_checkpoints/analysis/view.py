"""A checkpoint as its charts see it: dense, pruned, or both.

Clause: none; see docs/checkpoints.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from multiprune.keys import format_of
from multiprune.report import Report, TensorReport
from multiprune_checkpoints.analysis.block_map import BlockCounts, BlockMap
from multiprune_checkpoints.analysis.histogram import Histogram, WeightCounts
from multiprune_checkpoints.analysis.inspection import measures
from multiprune_checkpoints.analysis.provenance import threshold_of
from multiprune_checkpoints.counting.prior import PriorMasks
from multiprune_checkpoints.errors import CheckpointError
from multiprune_checkpoints.formats.checkpoint import Checkpoint
from multiprune_checkpoints.formats.dtypes import keys_of
from multiprune_checkpoints.formats.source import Stored
from multiprune_checkpoints.masks import PackedMasks
from multiprune_checkpoints.progress import Progress

__all__ = ["Charts", "View", "check_alike"]

_BLOCK = 1 << 18
_WORKERS = 2
_METHODS = {"l1": "L1Unstructured", "random": "RandomUnstructured"}


@dataclass(frozen=True)
class Charts:
    """What there is to see of a pruned checkpoint.

    Attributes
    ----------
    path : str
    report : Report
        The ranked tensors, in code-point order.
    untouched : list of str
        The names of the others.
    provenance : dict of str
        What prune has written to the metadata, without its prefix.
    histogram : Histogram or None
        None where no weights are at hand.
    threshold_shown : bool
        Whether the threshold is one of the weights'; not where scores or draws were ranked.
    signed : bool
        Whether scores were ranked as they are, so that there is a threshold on one side only.
    maps : list of BlockMap
        Of the tensors that were asked for, or of the most unevenly pruned one.
    """

    path: str
    report: Report
    untouched: list[str]
    provenance: dict[str, str]
    histogram: Histogram | None = None
    threshold_shown: bool = False
    signed: bool = False
    maps: Sequence[BlockMap] = ()


class View:
    """Files side by side, read together."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        weights: Checkpoint,
        masks: PackedMasks | None,
        prior: PriorMasks | None,
        progress: Progress,
    ) -> None:
        self.checkpoint, self.weights = checkpoint, weights
        self.masks, self.prior = masks, prior
        self.progress = progress

    def portray(
        self, chosen: Sequence[Stored], asked: Sequence[str], provenance: dict[str, str]
    ) -> Charts:
        """Return the charts of these tensors, and heat maps of those that are asked for."""
        self.progress.begin("reading", sum(t.stop - t.start for t in chosen))
        counts, rows, maps = WeightCounts(), [], []
        best: BlockCounts | None = None
        with ThreadPoolExecutor(_WORKERS) as pool:
            for tensor in chosen:
                blocks, pruned, odd = self._read(tensor, counts, pool)
                rows.append(TensorReport(tensor.name, tensor.shape, tensor.size, pruned, odd))
                if blocks and tensor.name in asked:
                    maps.append(blocks.map())
                elif blocks and (best is None or blocks.unevenness() > best.unevenness()):
                    best = blocks
        threshold, signed = threshold_of(provenance)
        shown = threshold is not None and counts.separates(threshold, signed=signed)
        names = {name for tensor in chosen for name in self.checkpoint.names_of(tensor)}
        if best is not None and not asked:
            maps.append(best.map())
        return Charts(
            str(self.checkpoint.path),
            Report(rows, threshold, method=_METHODS.get(provenance.get("method", ""), "")),
            [name for name in self.checkpoint.tensors if name not in names],
            provenance,
            counts.histogram(threshold if shown else None),
            shown,
            signed,
            maps,
        )

    def _read(
        self, tensor: Stored, counts: WeightCounts, pool: ThreadPoolExecutor
    ) -> tuple[BlockCounts | None, int, int]:
        """Read one tensor; return its blocks, and how many entries are pruned and non-finite."""
        if not tensor.size:
            return None, 0, 0
        blocks = BlockCounts(tensor.name, tensor.shape)
        steps = list(blocks.steps(_BLOCK))

        def share(part: list[tuple[int, int]]) -> tuple[Any, Any, int]:
            weights, places, odd = counts.empty(), blocks.empty(), 0
            for start, stop in part:
                raw, keep, more = self._block(tensor, start, stop)
                weights += counts.count(raw, tensor.dtype, keep)
                places += blocks.count(start, stop, keep)
                odd += more
            return weights, places, odd

        done = list(pool.map(share, [p for i in range(_WORKERS) if (p := steps[i::_WORKERS])]))
        for weights, places, _ in done:
            counts.counts += weights
            blocks.counts += places
        return blocks, tensor.size - int(blocks.counts.sum()), sum(odd for _, _, odd in done)

    def _block(
        self, tensor: Stored, start: int, stop: int
    ) -> tuple[bytes, npt.NDArray[np.bool_], int]:
        raw = self.weights.read(self.weights.tensors[tensor.name], start, stop)
        self.progress.advance(len(raw))
        measure = measures(tensor.dtype)
        odd = measure(raw)[1] if measure else 0
        if self.masks is not None:
            if tensor.name not in self.masks.shapes:
                return raw, np.ones(stop - start, np.bool_), odd
            return raw, self.masks.alive(tensor.name, start, stop), odd
        now = raw if self.weights is self.checkpoint else self.checkpoint.read(tensor, start, stop)
        keys = keys_of(now, tensor.dtype, format_of(tensor.dtype), signed=False)
        kept: npt.NDArray[np.bool_] = keys != 0
        if self.prior is not None and tensor.name in self.prior:  # a model that torch has pruned
            kept &= self.prior.alive(tensor.name, start, stop)
        return raw, kept, odd


def check_alike(after: Checkpoint, before: Checkpoint, chosen: Sequence[Stored]) -> None:
    """Check that tensors are in both, in one dtype and shape."""
    for tensor in chosen:
        dense = before.tensors.get(tensor.name)
        if dense is None or (dense.dtype, dense.shape) != (tensor.dtype, tensor.shape):
            held = "has none of that name" if dense is None else f"{dense.dtype} {dense.shape}"
            raise CheckpointError(
                f"{after.path} has {tensor.name!r} of {tensor.dtype} {tensor.shape}, {before.path} "
                f"{held}. Rule: both are the same checkpoint, before and after. Is it another one?"
            )
