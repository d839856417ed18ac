"""Packed mask files, read into models, sharded or whole; each process reads its own bits.

Clauses: FILE-04 to FILE-06, MASK-01, SHARD-05.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn

from multiprune.deprecated import warn_of
from multiprune_torch.distributed.checks import processes_of
from multiprune_torch.distributed.fsdp import reshard
from multiprune_torch.distributed.install import make_ready
from multiprune_torch.distributed.layout import layout_of, local_part
from multiprune_torch.distributed.packing import unpack
from multiprune_torch.distributed.processes import together
from multiprune_torch.files.sources import MaskFile, Source, source_of
from multiprune_torch.models.names import all_pairs, named_modules
from multiprune_torch.ranking.masks import mask_dtype_of
from multiprune_torch.request.parameters import Place, read_all

__all__ = ["apply_masks", "load_masks"]


def load_masks(path: Any, *old: Any, **options: Any) -> Any:
    """Read a packed mask file.

    Parameters
    ----------
    path : path
        A file of masks by full names, from any backend.

    Returns
    -------
    dict of str to torch.Tensor
        Masks of bool, True where an entry is kept.

    Raises
    ------
    MaskFileError
        If the file is damaged, or is not a mask file (a ValueError).

    Notes
    -----
    Clauses FILE-04 to FILE-06.
    """
    if isinstance(path, nn.Module):
        warn_of("load_masks(model, path) is called apply_masks(model, path) now.")
        return apply_masks(path, *old, **options)
    if old or options:
        raise TypeError("load_masks() takes a path. To prune a model: apply_masks(model, path)")
    file = MaskFile(path)
    file.check()
    masks = {}
    for name in file:
        shape, packed = file[name]
        bits = unpack(np.frombuffer(packed, np.uint8), prod(shape))
        masks[name] = torch.from_numpy(bits).view(shape)
    return masks


def apply_masks(
    model: nn.Module,
    masks: Any,
    *,
    keep_dense: bool = False,
    process_group: Any = None,
) -> list[str]:
    """Prune a model by masks, on top of what is pruned already.

    Parameters
    ----------
    model : nn.Module
        Sharded or not. All processes of a sharded one call this together.
    masks : path or mapping of str to torch.Tensor
        A packed mask file, of which each process reads its own bits, or masks by full names, whole
        on every process.
    keep_dense : bool
        Keep the values that are pruned in place, for `undo`.
    process_group : torch.distributed.ProcessGroup, optional
        That holds a sharded model; all processes by default.

    Returns
    -------
    list of str
        The full names of the parameters that have a mask now.

    Raises
    ------
    MaskFileError, MaskError, MaskShapeError
        If the file is damaged, or masks do not fit the model (ValueErrors).
    MultipruneError
        If a parameter cannot be pruned; nothing is changed then, on any process.

    Notes
    -----
    Clauses FILE-04 to FILE-06, MASK-01, MASK-03, MASK-04.
    """
    reshard(model)
    processes = processes_of(all_pairs(model), process_group)
    with together(processes) as agreed:
        source = source_of(masks)
        agreed["the masks"] = source.sha256
        if processes is None or processes.leads:
            source.check()
        modules = dict(named_modules(model))
        places = read_all([_pair(modules, name, source) for name in source], list(source))
        rank = processes.rank if processes else 0
        ready = [
            make_ready(p, _kept(source, p, rank), mask_dtype_of(p, None), keep_dense=keep_dense)
            for p in places
        ]
    for each in ready:
        each.install()
    return list(source)


def _pair(modules: Mapping[str, nn.Module], full: str, source: Source) -> tuple[nn.Module, str]:
    path, _, name = full.rpartition(".")
    if path not in modules:
        raise source.error(f"has a mask for {full}", "it names parameters of the model")
    return modules[path], name


def _kept(source: Source, place: Place, rank: int) -> torch.Tensor:
    """Return this process's part of a mask, composed with the present one."""
    name, orig = place.where, place.orig
    if source.shapes[name] != tuple(orig.shape):
        raise source.error(
            f"has a mask of shape {source.shapes[name]} for {place}, which has {tuple(orig.shape)}",
            "a mask has the shape of its tensor [MASK-04]",
        )
    like: Any = place.mask if place.has_whole_mask else orig
    layout, part = layout_of(like, rank, str(place)), local_part(like)
    kept = source.part(name, layout).view(part.shape).to(part.device)
    return kept if place.mask is None else kept & (local_part(place.mask) == 1)
