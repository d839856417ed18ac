"""What a picture of a pruning shows, counted in one pass over files; nothing is drawn here.

Clauses: MASK-04, NUM-02 to NUM-10.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from multiprune.keys import format_of
from multiprune.patterns import as_patterns
from multiprune.report import Report, TensorReport
from multiprune_checkpoints.analysis.block_map import BlockCounts, BlockMap
from multiprune_checkpoints.analysis.histogram import Histogram, WeightCounts
from multiprune_checkpoints.analysis.inspection import measures
from multiprune_checkpoints.analysis.provenance import provenance_of, ranked_by, threshold_of
from multiprune_checkpoints.errors import CheckpointError
from multiprune_checkpoints.formats.checkpoint import Checkpoint, open_checkpoint
from multiprune_checkpoints.formats.dtypes import keys_of
from multiprune_checkpoints.formats.left_out import left_out
from multiprune_checkpoints.formats.select import select
from multiprune_checkpoints.formats.source import Stored
from multiprune_checkpoints.masks import PackedMasks, open_masks
from multiprune_checkpoints.progress import Progress, Silent

__all__ = ["Charts", "chart_checkpoint"]

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


def chart_checkpoint(
    source: str | Path,
    *,
    before: str | Path | None = None,
    masks: str | Path | None = None,
    tensors: Sequence[str] = (),
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    min_ndim: int | None = None,
    progress: Progress | None = None,
) -> Charts:
    """Read a pruned checkpoint once, and count what a report shows; memory stays bounded.

    Parameters
    ----------
    source : path
        A pruned checkpoint; or, with `masks`, one that is not pruned yet.
    before : path, optional
        The checkpoint before its pruning: pruned entries are shown where they were.
    masks : path, optional
        What is pruned; otherwise what is zero counts as pruned.
    tensors : sequence of str
        Shell patterns of tensors whose blocks are shown.
    include, exclude, min_ndim
        Which tensors are ranked, as for `prune_checkpoint`; if none is given, those of `masks`, or
        those that the metadata of `source` name, or floats of two and more dimensions.
    progress : Progress, optional

    Returns
    -------
    Charts

    Raises
    ------
    CheckpointError, MaskFileError, MaskShapeError, ParametersError
        If files do not hold or fit together, or a pattern matches nothing.

    Notes
    -----
    Clauses FILE-06, MASK-04. Weights are distinguished to a fifth of a percent of their value.
    """
    include, exclude = as_patterns(include, "include"), as_patterns(exclude, "exclude")
    with ExitStack() as stack:
        checkpoint = stack.enter_context(open_checkpoint(source))
        packed = None
        if masks is not None:
            packed = open_masks(Path(masks), checkpoint.tensors)
            stack.callback(packed.close)
        provenance = provenance_of(checkpoint)
        if include or exclude or min_ndim is not None:
            least = 2 if min_ndim is None else min_ndim
            chosen = select(checkpoint.tensors, include, exclude, least, left_out(checkpoint))
        elif packed is not None:
            chosen = [checkpoint.tensors[name] for name in sorted(packed)]
        else:
            chosen = ranked_by(provenance, checkpoint.tensors)
        weights = checkpoint
        if before is not None:
            weights = stack.enter_context(open_checkpoint(before))
            _check_alike(checkpoint, weights, chosen)
        view = _View(checkpoint, weights, packed, progress or Silent())
        asked = [t.name for t in chosen if any(fnmatchcase(t.name, p) for p in tensors)]
        if tensors and not asked:
            raise CheckpointError(
                f"{', '.join(tensors)} matches none of the {len(chosen)} ranked tensors "
                f"({', '.join(t.name for t in chosen[:3])}, ...). Rule: a pattern matches full "
                "names as a shell does."
            )
        return view.portray(chosen, asked, provenance)


class _View:
    """Files side by side, read together."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        weights: Checkpoint,
        masks: PackedMasks | None,
        progress: Progress,
    ) -> None:
        self.checkpoint, self.weights, self.masks = checkpoint, weights, masks
        self.progress = progress

    def portray(
        self, chosen: Sequence[Stored], asked: Sequence[str], provenance: dict[str, str]
    ) -> Charts:
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
        names = {tensor.name for tensor in chosen}
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
        return raw, keys != 0, odd


def _check_alike(after: Checkpoint, before: Checkpoint, chosen: Sequence[Stored]) -> None:
    for tensor in chosen:
        dense = before.tensors.get(tensor.name)
        if dense is None or (dense.dtype, dense.shape) != (tensor.dtype, tensor.shape):
            held = "has none of that name" if dense is None else f"{dense.dtype} {dense.shape}"
            raise CheckpointError(
                f"{after.path} has {tensor.name!r} of {tensor.dtype} {tensor.shape}, {before.path} "
                f"{held}. Rule: both are the same checkpoint, before and after. Is it another one?"
            )
