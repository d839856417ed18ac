"""Room: how much of each parameter is pruned, counted where it is and added up.

Clause: SHARD-04.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from multiprune_torch.collectives import Processes
from multiprune_torch.layout import is_sharded, local_part, part_beside

__all__ = ["counts_of"]

_BLOCK = 1 << 20


def counts_of(
    found: Sequence[tuple[torch.Tensor, torch.Tensor]], group: Any = None
) -> list[tuple[int, int]]:
    """Count what is pruned, and what is not finite.

    Parameters
    ----------
    found : sequence of (torch.Tensor, torch.Tensor)
        Values and mask of each parameter.
    group : torch.distributed.ProcessGroup, optional
        Of a sharded model; all processes by default.

    Returns
    -------
    list of (int, int)
        For each parameter over all processes, replicas counted once. Where any is sharded, all
        processes ask together.
    """
    here = [n for v, mask in found for n in _local(local_part(v), part_beside(mask, v))]
    if any(is_sharded(t) for pair in found for t in pair):
        here = Processes(group).sum(here)
    counts = []
    for i, (values, _) in enumerate(found):
        present, pruned, bad = here[3 * i : 3 * i + 3]
        copies = present // values.numel() if values.numel() else 1
        counts.append((pruned // copies, bad // copies))
    return counts


def _local(values: torch.Tensor, mask: torch.Tensor) -> tuple[int, int, int]:
    """Count what this process holds: entries, pruned ones, and not finite ones."""
    bad = sum(
        int((~(block.float() if block.element_size() == 1 else block).isfinite()).sum())
        for block in values.reshape(-1).split(_BLOCK)
        if block.is_floating_point() or block.is_complex()
    )
    return mask.numel(), mask.numel() - int((mask != 0).count_nonzero()), bad
