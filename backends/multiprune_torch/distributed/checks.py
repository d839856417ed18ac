"""Sharded parameters, looked at before anything is exchanged.

Clauses: SHARD-02, SHARD-05.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from multiprune.errors import MultipruneError
from multiprune_torch.distributed.fsdp import fsdp_state
from multiprune_torch.distributed.processes import Processes
from multiprune_torch.errors import LayoutError
from multiprune_torch.request.parameters import Place, is_pair, locate, stored_in
from multiprune_torch.sharding import is_sharded

__all__ = ["processes_of", "refuse_fsdp1", "refuse_sharded", "refuse_unsharded"]


def processes_of(pairs: Any, group: Any = None, *, plain: bool = True) -> Processes | None:
    """Return the processes that prune together, if any of these parameters is sharded.

    Parameters
    ----------
    pairs : iterable of (nn.Module, str)
        What is not a pair is passed over: it is refused elsewhere.
    group : torch.distributed.ProcessGroup, optional
        All processes by default.
    plain : bool
        Whether a given group prunes plain replicas together, too.
    """
    listed = pairs if isinstance(pairs, Iterable) and not isinstance(pairs, nn.Module) else ()
    holders = [_holder(*pair) for pair in listed if is_pair(pair)]
    spread = any(_is_spread(module) for module in {id(m): m for m in holders}.values())
    return Processes(group) if spread or (plain and group is not None) else None


def refuse_fsdp1(pairs: Iterable[Any]) -> None:
    """Refuse what FSDP1 has flattened.

    Raises
    ------
    LayoutError
        If it has (a TypeError and a ValueError).
    """
    for module, name in pairs:
        if getattr(stored_in(module).get(name), "_fsdp_flattened", False):
            raise LayoutError(
                f"{name!r} of {type(module).__name__} is flattened by FullyShardedDataParallel "
                "(FSDP1). Rule: its pieces have lost their shapes and are not pruned [SHARD-02]. "
                "Prune before wrapping, or shard by torch.distributed.fsdp.fully_shard."
            )


def refuse_sharded(place: Place) -> None:
    """Refuse what one process cannot prune by itself.

    Raises
    ------
    LayoutError
        If others hold parts of the parameter (a TypeError and a ValueError).
    """
    if is_sharded(place.orig) or fsdp_state(place.module, place.stored) is not None:
        raise LayoutError(
            f"{place} is sharded, and a pruning method was applied to it on one process. Rule: "
            "sharded parameters are pruned together by all processes [SHARD-02]. Call, on all of "
            "them, prune.l1_unstructured(module, name), prune.global_unstructured or "
            "prune.prune_model."
        )


def refuse_unsharded(place: Place) -> None:
    """Refuse what FSDP2 has gathered, for it would forget what is changed then.

    Raises
    ------
    LayoutError
        If it has (a TypeError and a ValueError).
    """
    if fsdp_state(place.module, place.stored) is not None and not is_sharded(place.orig):
        raise LayoutError(
            f"{place} is unsharded now, between forward and backward or by unshard(). Rule: FSDP2 "
            "models are pruned as they are sharded [SHARD-02]. Prune after optimizer.step(), or "
            "call model.reshard() on each wrapped module first, as prune.prune_model does."
        )


def _holder(module: nn.Module, name: Any) -> nn.Module:
    """Return the module that has a name, as far as the name leads somewhere."""
    try:
        return locate(module, name)[0]
    except MultipruneError:
        return module


def _is_spread(module: nn.Module) -> bool:
    """Whether any of its parameters is shared out: a name may be wrong on one rank alone."""
    return any(
        is_sharded(parameter)
        or getattr(parameter, "_fsdp_flattened", False)
        or fsdp_state(module, stored) is not None
        for stored, parameter in stored_in(module).items()
    )
