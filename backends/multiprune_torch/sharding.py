"""One process or many: what differs where a parameter is sharded, asked in one place.

No tensor is sharded before ``torch.distributed.tensor`` is loaded. Until then one process
has all of everything, and the package `distributed` is not asked. It registers its answers when
`multiprune_torch` is imported, so whatever loads a pruned model has them.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn

__all__ = ["Storage", "is_sharded", "register", "storage"]

_MODULES = ("torch.distributed.tensor", "torch.distributed._tensor")
"""Of which one is loaded where a sharded tensor is; the latter before torch 2.5."""


class Storage:
    """How parameters are stored: here, whole in the memory of this process."""

    def processes_of(self, pairs: Any, group: Any = None, *, plain: bool = True) -> Any:
        """Return the processes that prune these parameters together; None for this one alone.

        Parameters
        ----------
        pairs : iterable of (nn.Module, str)
            What is not a pair is passed over: it is refused elsewhere.
        group : torch.distributed.ProcessGroup, optional
            All processes by default.
        plain : bool
            Whether a given group prunes plain replicas together, too.
        """
        return None

    def record_of(self, module: nn.Module, name: str) -> Any:
        """Return what keeps the zeros of a parameter that is pruned in place; else None."""
        return None

    def is_managed(self, module: nn.Module, name: str) -> bool:
        """Whether FSDP2 knows the parameter by this name, so that it is pruned in place."""
        return False

    def refuse_sharded(self, place: Any) -> None:
        """Refuse what one process cannot prune by itself."""

    def refuse_unsharded(self, place: Any) -> None:
        """Refuse what FSDP2 has gathered, for it would forget what is changed then."""

    def aligned(self, mask: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
        """Return a mask in the layout of its parameter."""
        return mask

    def assign(self, parameter: Any, value: torch.Tensor) -> None:
        """Give a parameter other values."""
        parameter.data = value

    def renamed(self, module: nn.Module) -> None:
        """Hear that parameters of a module have other names now."""


_whole = Storage()
_registered = _whole


def register(answers: Storage) -> None:
    """Take the answers for sharded parameters."""
    global _registered
    _registered = answers


def storage(group: Any = None) -> Storage:
    """Return who answers: `distributed` where something may be sharded, or a group is given."""
    return _registered if group is not None or any(m in sys.modules for m in _MODULES) else _whole


def is_sharded(tensor: Any) -> bool:
    """Whether a tensor is spread over a device mesh: a DTensor, by whatever name torch has it."""
    return hasattr(tensor, "device_mesh") and hasattr(tensor, "placements")
