"""The outcome: how much of each parameter is pruned, counted where it is and added up.

Clauses: SHARD-04, SHARD-05.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from multiprune.report import Report, TensorReport
from multiprune_torch.distributed.checks import check_group, processes_of
from multiprune_torch.distributed.layout import local_part, part_beside
from multiprune_torch.distributed.processes import Processes, together
from multiprune_torch.models.select import all_pairs, held_names, pruned_places
from multiprune_torch.request.refusals import check_model
from multiprune_torch.sharding import is_sharded

__all__ = ["report", "report_of"]

_BLOCK = 1 << 20


def report(
    model: nn.Module,
    *,
    threshold: float | None = None,
    ties: int = 0,
    tied_pruned: int = 0,
    method: str = "",
    way: str = "",
    process_group: Any = None,
) -> Report:
    """Say how much of each pruned parameter of a model is pruned.

    Parameters
    ----------
    model : nn.Module
    threshold, ties, tied_pruned, method, way
        Of the last pruning, where they are known: a model does not remember them.
    process_group : torch.distributed.ProcessGroup, optional
        That holds a sharded model; all processes by default.

    Returns
    -------
    Report
        Prints as a table; one row for each pruned parameter, in the order of modules. Of a
        sharded model every process asks for it together, and each gets the same. On the meta
        device nothing is pruned.

    Examples
    --------
    >>> from multiprune_torch import prune
    >>> layer = prune.l1_unstructured(nn.Linear(4, 5), "weight", amount=0.8)
    >>> print(report(layer))
    16 of 20 entries pruned (80.00 %)
    tensor  shape  entries   pruned
    weight  5x4         20  80.00 %  ################....
    """
    check_model(model)
    processes = processes_of(all_pairs(model), process_group, plain=False)
    with together(processes) as agreed:
        pruned = _pruned(model)
        agreed["what is pruned"] = "\n".join(full for full, _, _ in pruned)
        for full, orig, _ in pruned:
            if processes is not None and is_sharded(orig):
                check_group(processes, orig, full)
    asked = Report([], threshold, ties, tied_pruned, method, way)
    return report_of(model, asked, process_group)


def report_of(model: nn.Module, asked: Report, process_group: Any) -> Report:
    """Count what is pruned, and report it beside what is known of the last pruning."""
    known = {t.name: (t.threshold, t.held) for t in asked.tensors}
    parameters = _pruned(model)
    counts = _counts([(orig, mask) for _, orig, mask in parameters], process_group)
    rows = [
        TensorReport(
            full, tuple(orig.shape), orig.numel(), pruned, bad, *known.get(full, (None, ""))
        )
        for (full, orig, _), (pruned, bad) in zip(parameters, counts, strict=True)
    ]
    return replace(asked, tensors=rows)


def _pruned(model: nn.Module) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    """Return name, values and mask of every pruned parameter.

    One that is tied counts once, by its first name, unless its modules have different masks.
    """
    every: list[Any] = [
        (full, p.orig, p.mask) for full, p in pruned_places(model) if p.mask is not None
    ]
    every += [(full, r.parameter, r.mask) for full, r in held_names(model)]
    masks: dict[int, list[torch.Tensor]] = {}
    counted = []
    for full, values, mask in every:
        known = masks.setdefault(id(values), [])
        if not any(_is_same(mask, other) for other in known):
            known.append(mask)
            counted.append((full, values, mask))
    return counted


def _is_same(mask: torch.Tensor, other: torch.Tensor) -> bool:
    # Of sharded ones processes would have to ask each other; theirs are one object.
    known = not (is_sharded(mask) or is_sharded(other) or mask.is_meta or other.is_meta)
    return mask is other or (known and mask.equal(other))


def _counts(
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
    if values.is_meta or mask.is_meta:
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
