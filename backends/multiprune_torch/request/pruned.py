"""What a parameter is now: the hook by which it is pruned, and its value under its mask.

Clauses: REP-01, REP-03.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from multiprune_torch.sharding import is_sharded, storage

__all__ = ["find_hook", "is_binary", "masked"]

_CHOOSE: Any = torch.ops.aten.threshold_backward.default


def masked(orig: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return `orig` where the mask is 1, and +0 where it is 0, differentiably.

    Notes
    -----
    Clause REP-03: chosen, not multiplied, so a pruned NaN or infinity is 0, too.
    """
    if type(orig) is not nn.Parameter and is_sharded(orig):
        mask = storage().aligned(mask, orig)  # pruned before fully_shard, read between forwards
    if mask.dtype == orig.dtype and orig.is_floating_point() and orig.element_size() > 1:
        # ReLU's backward kernel is this very choice on a mask of the weight's dtype: one pass, and
        # the graph keeps nothing but the mask; `where` would keep a boolean copy of it.
        chosen: torch.Tensor = _CHOOSE(orig, mask, 0)
        return chosen
    # False is the zero of every dtype; 0 would make a boolean parameter an integer one.
    return torch.where(mask if mask.dtype == torch.bool else mask != 0, orig, False)


def is_binary(mask: torch.Tensor) -> bool:
    """Whether a mask holds only 0 and 1; one whose values cannot be looked at is taken to."""
    if mask.dtype == torch.bool or mask.is_meta:
        return True
    return bool(((mask == 0) | (mask == 1)).all())


def find_hook(module: nn.Module, name: str) -> tuple[int, Any] | None:
    """Return the key and the hook by which a parameter is pruned, ours or torch's; else None."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, torch_prune.BasePruningMethod) and hook._tensor_name == name:
            return key, hook
    return None
