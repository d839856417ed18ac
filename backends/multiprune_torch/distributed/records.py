"""Who is pruned in place, found by module and name, and by what an optimizer steps.

Clauses: SHARD-06, SHARD-07.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from multiprune_torch.distributed.in_place import RECORDS, InPlace, by_parameter, by_place
from multiprune_torch.distributed.layout import local_part

__all__ = ["dense_values", "held", "hold", "record_of"]

_watching: list[Any] = []


def held(module: nn.Module, name: str | None = None) -> list[InPlace]:
    """Return what is pruned in place in a module: all of it, or by one name."""
    records = module.__dict__.get(RECORDS, {})
    held_here = [r for n, r in records.items() if name in (None, n)]
    for record in held_here:
        record.follow()
    return held_here


def record_of(module: nn.Module, name: str) -> InPlace | None:
    """Return what keeps a parameter's pruned entries zero, wherever it is shared; else None."""
    record = by_place.get((id(module), name))
    if record is None or not any(m is module and n == name for m, n in record.places):
        return None
    record.follow()
    return record if record.name in record.module.__dict__.get(RECORDS, {}) else None


def _record(parameter: Any) -> InPlace | None:
    record = by_parameter.get(id(parameter))
    return record if record is not None and record.parameter is parameter else None


def dense_values(
    parameter: torch.Tensor, mask: torch.Tensor, record: InPlace | None, keep: bool
) -> torch.Tensor | None:
    """Return what this process's entries have that a mask prunes, if it is to be kept.

    Parameters
    ----------
    parameter, mask : torch.Tensor
        In the same layout.
    record : InPlace or None
        By which the parameter is pruned now: what it kept goes on being kept.
    keep : bool

    Returns
    -------
    torch.Tensor or None
        In the memory of the CPU, row-major.
    """
    known = None if record is None else record.kept
    if record is not None and known is None and not local_part(record.mask).all():
        if keep:
            record.check_dense(record.name)
        return None
    if not keep and known is None:
        return None
    gone = ~local_part(mask)
    pruned = local_part(parameter)[gone].cpu()
    if record is not None and known is not None:
        pruned[~local_part(record.mask)[gone].cpu()] = known
    return pruned


def hold(module: nn.Module, name: str, mask: torch.Tensor, dense: torch.Tensor | None) -> None:
    """Prune a parameter in place, or further.

    Parameters
    ----------
    module : nn.Module
    name : str
    mask : torch.Tensor of bool
        In the parameter's layout; keeps nothing that is pruned already.
    dense : torch.Tensor or None
        See `dense_values`.

    Notes
    -----
    Clauses SHARD-06, SHARD-07.
    """
    if not _watching:
        _watching.append(register_optimizer_step_post_hook(_zero_again))
    record = record_of(module, name)
    if record is None:
        record = InPlace(module, name)
        module.__dict__.setdefault(RECORDS, {})[name] = record
    record.prune(mask, dense)


def _zero_again(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Run after each step of each optimizer; of parameters not pruned it looks up one id."""
    for group in optimizer.param_groups if by_parameter else ():
        for parameter in group["params"]:
            record = _record(parameter)
            if record is not None:
                record.mask_again()
