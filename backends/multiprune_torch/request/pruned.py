"""What a parameter is now: the hook by which it is pruned, and its value under its mask.

Clauses: REP-01, REP-03.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from multiprune_torch.sharding import is_sharded, storage

__all__ = ["find_hook", "has_values", "is_binary", "masked", "masked_gradient", "version"]

_CHOOSE: Any = torch.ops.aten.threshold_backward.default


def masked(orig: torch.Tensor, mask: torch.Tensor, *, sparse: bool = False) -> torch.Tensor:
    """Return `orig` where the mask is 1, and +0 where it is 0, differentiably.

    Parameters
    ----------
    orig, mask : torch.Tensor
    sparse : bool
        Whether gradients may be sparse; they stay so, as the optimizers of embeddings want them.

    Notes
    -----
    Clause REP-03: chosen, not multiplied, so a pruned NaN or infinity is 0, too.
    """
    if type(orig) is not nn.Parameter and is_sharded(orig):
        mask = storage().aligned(mask, orig)  # pruned before fully_shard, read between forwards
    is_compiling = torch.compiler.is_compiling()
    is_traced = torch._C._get_tracing_state() is not None
    if sparse and not is_compiling and (is_traced or _is_transformed()):
        return orig * mask.to(
            orig.dtype
        )  # its gradient stays sparse where no function of ours runs
    if is_traced or is_compiling:
        return orig.masked_fill(mask.logical_not(), 0)  # what every exporter knows
    if sparse and torch.is_grad_enabled() and orig.requires_grad:
        chosen: torch.Tensor = _Sparse.apply(orig, mask)  # type: ignore[no-untyped-call]
        return chosen
    if mask.dtype == orig.dtype and orig.is_floating_point() and orig.element_size() > 1:
        # ReLU's backward kernel is this very choice on a mask of the weight's dtype: one pass, and
        # the graph keeps nothing but the mask; `where` would keep a boolean copy of it.
        chosen = _CHOOSE(orig, mask, 0)
    else:
        # False is the zero of every dtype; 0 would make a boolean parameter an integer one.
        chosen = torch.where(mask if mask.dtype == torch.bool else mask != 0, orig, False)
    return chosen


def masked_gradient(gradient: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return a sparse gradient with 0 where the mask is 0, and nothing made dense."""
    gradient = gradient.coalesce()
    kept = mask[tuple(gradient.indices())] != 0
    return torch.sparse_coo_tensor(
        gradient.indices(),
        torch.where(kept, gradient.values(), 0),
        gradient.shape,
        is_coalesced=True,
        check_invariants=False,  # they are those of the gradient
    )


class _Sparse(torch.autograd.Function):
    """The same choice, by which a sparse gradient comes out sparse."""

    @staticmethod
    def forward(ctx: Any, orig: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(mask)
        return torch.where(mask != 0, orig, False)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (mask,) = ctx.saved_tensors
        if gradient.is_sparse:
            return masked_gradient(gradient, mask), None
        return torch.where(mask != 0, gradient, 0), None


def is_binary(mask: torch.Tensor) -> bool:
    """Whether a mask holds only 0 and 1; one whose values cannot be looked at is taken to."""
    if mask.dtype == torch.bool or not has_values(mask):
        return True
    return bool(((mask == 0) | (mask == 1)).all())


def _is_transformed() -> bool:
    functorch: Any = torch._C._functorch
    return functorch.peek_interpreter_stack() is not None


def has_values(tensor: torch.Tensor) -> bool:
    """Whether there is anything to look at: not on the meta device, and not in a FakeTensorMode."""
    return not tensor.is_meta and type(tensor).__name__ != "FakeTensor"


def version(tensor: Any) -> int:
    """Return how many writes torch has counted; in inference mode it counts none."""
    return -1 if tensor.is_inference() else tensor._version


def find_hook(module: nn.Module, name: str) -> tuple[int, Any] | None:
    """Return the key and the hook by which a parameter is pruned, ours or torch's; else None."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, torch_prune.BasePruningMethod) and hook._tensor_name == name:
            return key, hook
    return None
