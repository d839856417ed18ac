"""The end of a model's pruning: made permanent, or taken back.

Clauses: REP-06, DEV-48.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from multiprune_torch.distributed.checks import processes_of
from multiprune_torch.distributed.fsdp import reshard
from multiprune_torch.distributed.processes import together
from multiprune_torch.hooks.reparametrization import all_or_nothing, uninstall
from multiprune_torch.models.names import all_pairs, held_places, pruned_places
from multiprune_torch.request.parameters import Place

__all__ = ["remove_all", "undo"]


def remove_all(model: nn.Module) -> list[str]:
    """Make every pruning of a model permanent; see `remove`.

    Returns
    -------
    list of str
        The full names of the parameters that were pruned.
    """
    reshard(model)
    names = _end(model, lambda place: place.hook.apply_mask(place.module).detach())
    for full, record in held_places(model):
        names.append(full)
        record.end()
    return names


def undo(model: nn.Module, *, process_group: Any = None) -> list[str]:
    """Take every pruning of a model back: the dense values, as they are now, come back.

    Pruned entries have their original values, but for what momentum or weight decay did to them.

    Parameters
    ----------
    model : nn.Module
    process_group : torch.distributed.ProcessGroup, optional
        That holds a sharded model, which all of them take back together; all by default.

    Returns
    -------
    list of str
        The full names of the parameters that were pruned.

    Raises
    ------
    UndoError
        If a parameter of a sharded model was pruned in place without ``keep_dense=True`` (a
        RuntimeError); the model is as it was then.

    Notes
    -----
    Clauses DEV-48, SHARD-07.
    """
    reshard(model)
    records = held_places(model)
    with together(processes_of(all_pairs(model), process_group, plain=False)):
        for full, record in records:
            record.check_dense(full)
    names = _end(model, lambda place: place.orig.detach())
    for full, record in records:
        names.append(full)
        record.undo()
    return names


def _end(model: nn.Module, value: Callable[[Place], torch.Tensor]) -> list[str]:
    places = pruned_places(model)
    with all_or_nothing(place.module for _, place in places):
        for _, place in places:
            with torch.inference_mode(False), torch.no_grad():  # what is kept must train
                kept = value(place)
            uninstall(place.module, place.name, kept)
            for key, hook in list(place.module._forward_pre_hooks.items()):
                if hook is place.hook:
                    del place.module._forward_pre_hooks[key]
    return [name for name, _ in places]
