"""The underscore helpers of ``torch.nn.utils.prune`` that existing code imports."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils import prune as torch_prune

from multiprune.amount import as_amount, count_of
from multiprune.structured import check_dim, check_norm

__all__: list[str] = []


def _validate_pruning_amount_init(amount: Any) -> None:
    as_amount(amount)


def _validate_pruning_amount(amount: Any, tensor_size: int) -> None:
    count_of(as_amount(amount), tensor_size)


def _validate_structured_pruning(t: torch.Tensor) -> None:
    check_dim(t.shape, -1)


def _compute_nparams_toprune(amount: Any, tensor_size: int) -> int:
    number = as_amount(amount)
    return number if isinstance(number, int) else count_of(number, tensor_size)


def _validate_pruning_dim(t: torch.Tensor, dim: int) -> None:
    check_dim(t.shape, dim)


def _compute_norm(t: torch.Tensor, n: Any, dim: int) -> torch.Tensor:
    check_norm(n, t.dim())
    norm: torch.Tensor = torch_prune._compute_norm(t, n, dim)
    return norm
