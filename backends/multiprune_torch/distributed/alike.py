"""What every process must hold alike, compared before anything is computed.

Clauses: SHARD-02, SHARD-03.
"""

from __future__ import annotations

from typing import Any

from multiprune.errors import MaskError
from multiprune_torch.distributed.checks import refuse_fsdp1, refuse_unsharded
from multiprune_torch.distributed.counting import Shard
from multiprune_torch.distributed.layout import is_cut_alike, layout_of, local_part, part_beside
from multiprune_torch.distributed.processes import Processes
from multiprune_torch.errors import LayoutError, ProcessesError
from multiprune_torch.request.call import Call
from multiprune_torch.request.parameters import Place
from multiprune_torch.sharding import is_sharded

__all__ = ["check_alike", "check_group", "line_of", "shard_of"]


def shard_of(processes: Processes, call: Call, i: int) -> Shard:
    """Look at what this process holds of one parameter.

    Raises
    ------
    LayoutError
        If it, its scores or its mask are cut in a way that cannot be ranked (a TypeError and a
        ValueError).

    Notes
    -----
    Clause SHARD-02.
    """
    place = call.places[i]
    where, mask = str(place), place.mask
    orig: Any = place.orig
    refuse_fsdp1([(place.module, place.name)])
    refuse_unsharded(place)
    layout = layout_of(orig, processes.rank, where)
    scores = orig if call.scores is None else call.scores[i]
    check_alike("importance_scores", place, scores)
    if mask is not None and not place.has_whole_mask:
        check_alike("mask", place, mask)
    if getattr(place.hook, "_scales", False):
        raise MaskError(
            f"the mask of {where} holds values other than 0 and 1. Rule: a mask that scales is "
            "pruned further in one process only [SHARD-02]. Scale the weights themselves instead."
        )
    size = len(processes)
    copied = not is_sharded(orig) or orig.device_mesh.size() < size
    copied = copied or any(
        p.is_replicate() and orig.device_mesh.size(axis) > 1
        for axis, p in enumerate(getattr(orig, "placements", ()))
    )
    prior = None if mask is None else part_beside(mask, orig)
    return Shard(where, layout, local_part(scores), prior, copied)


def check_group(processes: Processes, tensor: Any, where: str) -> None:
    """Check that all processes that share a tensor belong to a group.

    Raises
    ------
    ProcessesError
        If some do not (a RuntimeError).
    """
    ranks = processes.ranks
    others = sorted(set(tensor.device_mesh.mesh.flatten().tolist()) - ranks)
    if is_sharded(tensor) and others and ranks & set(tensor.device_mesh.mesh.flatten().tolist()):
        raise ProcessesError(
            f"{where} is shared with ranks {others}, which are not in the process group. Rule: all "
            "processes of a parameter's mesh count together [SHARD-03]. Pass their group as "
            "process_group, or none for all."
        )


def check_alike(what: str, place: Place, other: Any) -> None:
    """Check that what belongs to a parameter is cut as it is.

    Raises
    ------
    LayoutError
        If it is not (a TypeError and a ValueError).
    """
    orig: Any = place.orig
    if not _alike(orig, other):
        raise LayoutError(
            f"the {what} of {place} is {_placed(other)}, the parameter {_placed(orig)}. Rule: what "
            "belongs to a sharded parameter is cut as it is [SHARD-02]. Distribute it alike."
        )


def line_of(place: Place) -> str:
    """Describe a parameter so that all processes describe it alike."""
    orig: Any = place.orig
    placed = (
        f"{orig.placements} on {tuple(orig.device_mesh.shape)}" if is_sharded(orig) else "whole"
    )
    pruned = "dense" if place.mask is None else "pruned"
    pruned += " before it was sharded" if place.has_whole_mask else ""
    return f"{place} of shape {tuple(orig.shape)}, {orig.dtype}, {placed}, {pruned}"


def _alike(one: Any, other: Any) -> bool:
    if not is_sharded(one) or not is_sharded(other):
        return is_cut_alike(one, other)
    return is_cut_alike(one, other) and local_part(one).shape == local_part(other).shape


def _placed(tensor: Any) -> str:
    return f"placed as {list(tensor.placements)}" if is_sharded(tensor) else "a plain tensor"
