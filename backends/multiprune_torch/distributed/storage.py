"""The answers for parameters that many processes share; see `multiprune_torch.sharding`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from multiprune_torch.distributed.checks import processes_of, refuse_sharded, refuse_unsharded
from multiprune_torch.distributed.fsdp import follow_names, fsdp_state
from multiprune_torch.distributed.layout import cut_like, is_cut_alike, local_part
from multiprune_torch.distributed.processes import Processes
from multiprune_torch.distributed.records import record_of
from multiprune_torch.request.parameters import Place
from multiprune_torch.sharding import Storage, is_sharded

__all__ = ["Sharded"]


class Sharded(Storage):
    """Parameters of which this process may hold a part."""

    def processes_of(
        self, pairs: Any, group: Any = None, *, plain: bool = True
    ) -> Processes | None:
        """Return the processes that prune together, if any of these parameters is sharded."""
        return processes_of(pairs, group, plain=plain)

    def record_of(self, module: nn.Module, name: str) -> Any:
        """Return what keeps the zeros of a parameter that is pruned in place; else None."""
        return record_of(module, name)

    def is_managed(self, module: nn.Module, name: str) -> bool:
        """Whether FSDP2 knows the parameter by this name, so that it is pruned in place."""
        return fsdp_state(module, name) is not None

    def refuse_sharded(self, place: Place) -> None:
        """Refuse what one process cannot prune by itself."""
        refuse_sharded(place)

    def refuse_unsharded(self, place: Place) -> None:
        """Refuse what FSDP2 has gathered, for it would forget what is changed then."""
        refuse_unsharded(place)

    def aligned(self, mask: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
        """Return a mask in the layout of its parameter."""
        return mask if is_cut_alike(mask, parameter) else cut_like(mask, parameter)

    def assign(self, parameter: Any, value: torch.Tensor) -> None:
        """Give a parameter other values: assigned to, the data of a shard would stay."""
        if is_sharded(parameter):
            local_part(parameter).copy_(local_part(value))
        else:
            parameter.data = value

    def renamed(self, module: nn.Module) -> None:
        """Tell FSDP2 by what names its parameters are known now."""
        follow_names(module)
