"""Channels of one parameter pruned.

Source: the functions of the same names in ``torch.nn.utils.prune``.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from multiprune_torch.hooks.structured import LnStructured, RandomStructured
from multiprune_torch.models.one_parameter import prune_parameter

__all__ = ["ln_structured", "random_structured"]


def random_structured(
    module: nn.Module,
    name: str,
    amount: float | None = None,
    dim: int = -1,
    *,
    sparsity: float | None = None,
    seed: int | None = None,
    mask_dtype: torch.dtype | None = None,
    keep_dense: bool = False,
    process_group: Any = None,
) -> nn.Module:
    """Prune channels of a parameter at random.

    Parameters
    ----------
    module : nn.Module
    name : str
    amount : int or float
        How many channels, or the fraction of those still unpruned.
    dim : int
        The dimension whose indices are the channels.
    sparsity : float, optional
        Target fraction of all entries, instead of `amount`.
    seed : int, optional
        0 to 2**64 - 1: the same mask on every framework. Without it ``torch.manual_seed`` decides.
    mask_dtype : torch.dtype, optional
        Of `name_mask`; the parameter's own by default.
    keep_dense, process_group
        For a parameter that many processes share; see `global_unstructured`.

    Returns
    -------
    nn.Module
        The module, changed in place.

    Notes
    -----
    Clauses METH-05 to METH-09, RAND-06. Source: ``torch.nn.utils.prune.random_structured``.
    """
    return prune_parameter(
        RandomStructured,
        module,
        name,
        amount=amount,
        dim=dim,
        sparsity=sparsity,
        seed=seed,
        mask_dtype=mask_dtype,
        keep_dense=keep_dense,
        process_group=process_group,
    )


def ln_structured(
    module: nn.Module,
    name: str,
    amount: float | None = None,
    n: float | Literal["fro", "nuc"] = 2,
    dim: int = -1,
    importance_scores: torch.Tensor | None = None,
    *,
    sparsity: float | None = None,
    mask_dtype: torch.dtype | None = None,
    keep_dense: bool = False,
    process_group: Any = None,
) -> nn.Module:
    """Prune the channels of a parameter that have the smallest norm.

    Parameters
    ----------
    module : nn.Module
    name : str
    amount : int or float
        How many channels, or the fraction of those still unpruned.
    n : int, float, 'fro' or 'nuc'
        Order of the norm, as ``torch.norm`` takes it.
    dim : int
        The dimension whose indices are the channels.
    importance_scores : torch.Tensor, optional
        Ranked instead of the parameter; same shape.
    sparsity : float, optional
        Target fraction of all entries, instead of `amount`.
    mask_dtype : torch.dtype, optional
        Of `name_mask`; the parameter's own by default.
    keep_dense, process_group
        For a parameter that many processes share; see `global_unstructured`.

    Returns
    -------
    nn.Module
        The module, changed in place.

    Notes
    -----
    Clauses METH-05 to METH-11. Source: ``torch.nn.utils.prune.ln_structured``.
    """
    return prune_parameter(
        LnStructured,
        module,
        name,
        importance_scores,
        amount=amount,
        n=n,
        dim=dim,
        sparsity=sparsity,
        mask_dtype=mask_dtype,
        keep_dense=keep_dense,
        process_group=process_group,
    )
