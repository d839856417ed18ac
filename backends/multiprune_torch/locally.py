"""One parameter's way. By its method alone, or over all processes that hold parts of it.

Clauses: SHARD-02, SHARD-05, METH-04. Source: the functions of ``torch.nn.utils.prune`` that take a
module and a name.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from multiprune.errors import MaskShapeError, PruningTypeError
from multiprune_torch.collectives import Processes
from multiprune_torch.globally import prune_globally
from multiprune_torch.keeping import install_all, make_ready
from multiprune_torch.layout import is_sharded, local_part
from multiprune_torch.methods import CustomFromMask, as_mask
from multiprune_torch.parameters import Place, read
from multiprune_torch.placements import Call, check_alike, line_of, processes_of, shard_of
from multiprune_torch.ranking import mask_dtype_of
from multiprune_torch.shards import Shard, ShardedEntries

__all__ = ["prune_locally"]


def prune_locally(
    method: Any, module: Any, name: Any, importance_scores: Any = None, **options: Any
) -> nn.Module:
    """Prune one parameter; a sharded one by all processes together.

    Parameters
    ----------
    method : type
        Of ours.
    module : nn.Module
    name : str
    importance_scores : torch.Tensor, optional
    **options
        The method's own, and ``mask_dtype``; of a sharded parameter ``process_group`` and
        ``keep_dense``, too.

    Returns
    -------
    nn.Module
        The module, changed in place.
    """
    processes = processes_of([(module, name)], options.get("process_group"), plain=False)
    if processes is None:
        if importance_scores is not None:
            options["importance_scores"] = importance_scores
        method.apply(module, name, **options)
    elif issubclass(method, CustomFromMask):
        _prune_by_mask(processes, module, name, **options)
    elif method.PRUNING_TYPE == "structured":
        raise PruningTypeError(
            f"{method.__name__} was asked to prune {name!r} of {type(module).__name__}, which is "
            "sharded. Rule: channels are ranked by norms, and parts of a norm that are added up "
            "over processes round otherwise than in one, so only entries are pruned there "
            "[SHARD-02]. Prune channels before sharding, or pass their mask to custom_from_mask."
        )
    else:
        scores = None if importance_scores is None else {(module, name): importance_scores}
        prune_globally([(module, name)], method, scores, **options)
    module_: nn.Module = module
    return module_


def _prune_by_mask(
    processes: Processes,
    module: nn.Module,
    name: str,
    *,
    mask: Any,
    mask_dtype: torch.dtype | None = None,
    keep_dense: bool = False,
    process_group: Any = None,
) -> None:
    """Prune a sharded parameter by a mask that is cut alike, or whole on every process."""
    with processes.together() as agreed:
        place = read(module, name)
        agreed["the parameters"] = line_of(place)
        dtype = mask_dtype_of(place, mask_dtype)
        shard = shard_of(processes, Call(None, [place], None, [dtype]), 0)
        mask = as_mask(mask)
        part = _part(place, shard, mask)
        agreed["the mask"] = _told(mask)
        entries = ShardedEntries([replace(shard, prior=part)])
        ready = make_ready(place, part, dtype, keep_dense=keep_dense)
    entries.own(processes.minimum([shard.layout.copy]), None)
    entries.total(processes.sum)([])  # checks that replicas are equal, the mask included
    install_all(processes, [ready], [shard], entries.owned)


def _told(mask: torch.Tensor) -> str:
    """Describe a mask so that all processes describe one that is whole alike."""
    if is_sharded(mask):
        return "cut as the parameter"
    kept = mask.detach().cpu() != 0
    return hashlib.sha256(np.packbits(kept.numpy()).tobytes()).hexdigest()


def _part(place: Place, shard: Shard, mask: torch.Tensor) -> torch.Tensor:
    """Return this process's part of a given mask, on top of the present one."""
    if mask.shape != place.orig.shape:
        raise MaskShapeError(
            f"the mask has shape {tuple(mask.shape)}, {place} {tuple(place.orig.shape)}. Rule: a "
            "mask has its parameter's shape [MASK-04]. Pass the whole mask, or one cut as the "
            "parameter is."
        )
    if is_sharded(mask):
        check_alike("mask", place, mask)
        mask = local_part(mask)
    else:
        mask = shard.layout.part_of(mask)
    like, prior = shard.scores, shard.prior
    live = torch.ones_like(like, dtype=torch.bool) if prior is None else prior == 1
    return CustomFromMask(mask.reshape(like.shape)).compute_mask(like, live)
