"""How many entries of each parameter are pruned or not finite, counted where they are.

Clauses: SHARD-04, SHARD-05.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from multiprune_torch.distributed.layout import local_part, part_beside
from multiprune_torch.distributed.processes import Processes
from multiprune_torch.request.pruned import has_values
from multiprune_torch.sharding import is_sharded

__all__ = ["count_pruned"]

_BLOCK = 1 << 20


def count_pruned(
    parameters: Sequence[tuple[torch.Tensor, torch.Tensor]], group: Any = None
) -> list[tuple[int, int]]:
    """Count what is pruned, and what is not finite.

    Parameters
    ----------
    parameters : sequence of (torch.Tensor, torch.Tensor)
        Values and mask of each parameter.
    group : torch.distributed.ProcessGroup, optional
        Of a sharded model; all processes by default.

    Returns
    -------
    list of (int, int)
        For each parameter over all processes, replicas counted once. Where any is sharded, all
        processes ask together.
    """
    here = [n for v, mask in parameters for n in _local(local_part(v), part_beside(mask, v))]
    if any(is_sharded(t) for pair in parameters for t in pair):
        here = Processes(group).sum(here)
    counts = []
    for i, (values, _) in enumerate(parameters):
        present, pruned, bad = here[3 * i : 3 * i + 3]
        copies = present // values.numel() if values.numel() else 1
        counts.append((pruned // copies, bad // copies))
    return counts


def _local(values: torch.Tensor, mask: torch.Tensor) -> tuple[int, int, int]:
    """Count what this process holds: entries, pruned ones, and not finite ones."""
    if not (has_values(values) and has_values(mask)):
        return mask.numel(), 0, 0  # no value is there yet
    bad = sum(map(_not_finite, values.reshape(-1).split(_BLOCK)))
    kept = mask if mask.dtype == torch.bool else mask != 0  # of booleans it takes ten times longer
    return mask.numel(), mask.numel() - int(kept.count_nonzero()), bad


def _not_finite(block: torch.Tensor) -> int:
    """Count NaN and infinities; the extremes tell at a fraction of the cost that there are none."""
    if not (block.is_floating_point() or block.is_complex()) or not block.numel():
        return 0
    if block.element_size() == 1:  # float8
        block = block.float()
    if not block.is_complex():
        low, high = block.aminmax()  # NaN if there is any
        if bool(low.isfinite() & high.isfinite()):
            return 0
    return int((~block.isfinite()).sum())
