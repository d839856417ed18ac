"""A sharded parameter pruned by a given mask, over all processes that hold parts of it.

Clauses: SHARD-02, SHARD-05, METH-04.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from multiprune.errors import MaskShapeError
from multiprune_torch.distributed.alike import check_alike, line_of, shard_of
from multiprune_torch.distributed.counting import Shard, ShardedEntries
from multiprune_torch.distributed.install import install_all, make_ready
from multiprune_torch.distributed.layout import local_part
from multiprune_torch.distributed.processes import Processes
from multiprune_torch.hooks.methods import CustomFromMask, as_mask
from multiprune_torch.ranking.masks import mask_dtype_of
from multiprune_torch.request.call import Call
from multiprune_torch.request.parameters import Place, read
from multiprune_torch.sharding import is_sharded

__all__ = ["prune_by_mask"]


def prune_by_mask(
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
        mask = as_mask(mask, on_meta=place.orig.is_meta)
        part = _part(place, shard, mask)
        agreed["the mask"] = _description(mask)
        entries = ShardedEntries([replace(shard, prior=part)])
        ready = make_ready(place, part, dtype, keep_dense=keep_dense)
    entries.own(processes.minimum([shard.layout.copy]), None)
    entries.total(processes.sum)([])  # checks that replicas are equal, the mask included
    install_all(processes, [ready], [shard], entries.owned)


def _description(mask: torch.Tensor) -> str:
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
