"""The outcome: how much of each parameter is pruned, counted where it is and added up.

Clauses: SHARD-04, SHARD-05.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from multiprune.report import Report, TensorReport
from multiprune_torch.distributed.alike import check_group
from multiprune_torch.distributed.checks import processes_of
from multiprune_torch.distributed.processes import together
from multiprune_torch.models.counts import count_pruned
from multiprune_torch.models.names import all_pairs, held_names, pruned_places
from multiprune_torch.request.pruned import has_values
from multiprune_torch.request.refusals import check_model
from multiprune_torch.sharding import is_sharded

__all__ = ["report", "report_of"]


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
    counts = count_pruned([(orig, mask) for _, orig, mask in parameters], process_group)
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
    known = not any(is_sharded(each) or not has_values(each) for each in (mask, other))
    return mask is other or (known and mask.equal(other))
