"""What a checkpoint holds, from one pass over it; and what a pruning would do to it.

Clauses: NUM-02 to NUM-08, TIE-01, TIE-04.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from multiprune.errors import ParametersError
from multiprune.keys import Format, format_of, key_bits, promote
from multiprune.patterns import as_patterns
from multiprune_checkpoints.analysis.facts import Inspection, TensorFacts
from multiprune_checkpoints.analysis.sweep import SweepCounts
from multiprune_checkpoints.formats.checkpoint import Checkpoint, open_checkpoint
from multiprune_checkpoints.formats.dtypes import is_float, keys_of
from multiprune_checkpoints.formats.left_out import left_out
from multiprune_checkpoints.formats.safetensors_file import SafetensorsLayout
from multiprune_checkpoints.formats.select import select
from multiprune_checkpoints.formats.source import Stored
from multiprune_checkpoints.progress import Progress, Silent

__all__ = ["inspect_checkpoint"]

_BLOCK = 1 << 18
_WORKERS = 2


def inspect_checkpoint(
    source: str | Path,
    *,
    sweep: Sequence[float] = (),
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    min_ndim: int = 2,
    progress: Progress | None = None,
) -> Inspection:
    """Read a checkpoint once, and say what is in it.

    Parameters
    ----------
    source : path
    sweep : sequence of float
        Sparsities; what each would do to each tensor is counted in the same pass, exactly for
        dtypes of up to 16 bits and within half a percent of the threshold for others.
    include, exclude, min_ndim
        Which tensors are pruned, as for `prune_checkpoint`.
    progress : Progress, optional

    Returns
    -------
    Inspection

    Raises
    ------
    CheckpointError
        If the checkpoint is inconsistent.
    """
    progress = progress or Silent()
    include, exclude = as_patterns(include, "include"), as_patterns(exclude, "exclude")
    with open_checkpoint(source) as checkpoint:
        reasons = left_out(checkpoint, min_ndim, exclude)
        try:
            chosen = select(checkpoint.tensors, include, exclude, min_ndim, reasons)
        except ParametersError:
            if sweep or include:
                raise
            chosen = []
        fmt = promote(t.dtype for t in chosen).real if sweep else None
        counts = SweepCounts(fmt, key_bits(fmt, signed=False)) if fmt else None
        progress.begin("reading", sum(t.stop - t.start for t in checkpoint.tensors.values()))
        ranked = {tensor.name for tensor in chosen}
        facts = []
        with ThreadPoolExecutor(_WORKERS) as pool:
            for name in sorted(checkpoint.tensors):
                swept = counts if name in ranked else None
                tensor = checkpoint.tensors[name]
                why = "" if name in ranked else reasons.get(name, "")
                fact = _facts(checkpoint, tensor, name in ranked, swept, pool, progress)
                facts.append(replace(fact, left_out=why))
        rows = [counts.row(target) for target in sweep] if counts else []
        layout = checkpoint.files[0].layout if checkpoint.files else None
        metadata = layout.header.metadata if isinstance(layout, SafetensorsLayout) else None
        return Inspection(
            str(checkpoint.path),
            [file.name for file in checkpoint.files],
            metadata or {},
            facts,
            checkpoint.tied,
            rows,
        )


def _facts(
    checkpoint: Checkpoint,
    tensor: Stored,
    selected: bool,
    sweep: SweepCounts | None,
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> TensorFacts:
    """Read one tensor, its blocks shared out to the pool."""
    zeros: int | None = None
    others: int | None = None
    if measure := measures(tensor.dtype):
        blocks = [(i, min(i + _BLOCK, tensor.size)) for i in range(0, tensor.size, _BLOCK)]

        def share(part: list[tuple[int, int]]) -> tuple[int, int, npt.NDArray[Any] | None]:
            zero = odd = 0
            histogram = sweep.empty() if sweep else None
            for start, stop in part:
                raw = checkpoint.read(tensor, start, stop)
                progress.advance(len(raw))
                one, two = measure(raw)
                zero, odd = zero + one, odd + two
                if sweep and histogram is not None:
                    histogram += sweep.count(keys_of(raw, tensor.dtype, sweep.fmt, signed=False))
            return zero, odd, histogram

        parts = [part for i in range(_WORKERS) if (part := blocks[i::_WORKERS])] or [[]]
        done = list(pool.map(share, parts)) if len(parts) > 1 else [share(parts[0])]
        zeros, others = sum(d[0] for d in done), sum(d[1] for d in done)
        if sweep:
            histograms = [d[2] for d in done if d[2] is not None]
            sweep.add(tensor.name, np.add.reduce(histograms))
    if not is_float(tensor.dtype):
        others = None
    return TensorFacts(
        tensor.name, tensor.dtype, tensor.shape, tensor.size, zeros, others, selected
    )


def measures(dtype: str) -> Callable[[bytes], tuple[int, int]] | None:
    """Return what counts the zeros and the non-finite values of raw entries."""
    if dtype == "bool":
        return lambda raw: (raw.count(0), 0)
    if dtype in ("complex64", "float8_e8m0fnu"):
        return None
    try:
        fmt = format_of(dtype)
    except TypeError:
        return None
    ceiling = _ceiling(fmt)

    def measure(raw: bytes) -> tuple[int, int]:
        keys = keys_of(raw, dtype, fmt, signed=False)
        odd = 0 if ceiling is None else int(np.count_nonzero(keys >= ceiling))
        return len(keys) - int(np.count_nonzero(keys)), odd

    return measure


def _ceiling(fmt: Format) -> int | None:
    """Return the key of infinity, or of NaN where there is no infinity."""
    if fmt.kind != "float":
        return None
    return fmt.nan if fmt.fnuz or fmt.name == "float8_e4m3fn" else fmt.nan - 1
