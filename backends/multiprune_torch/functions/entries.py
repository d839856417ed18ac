"""Entries of one parameter pruned.

Source: the functions of the same names in ``torch.nn.utils.prune``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from multiprune_torch.hooks.methods import (
    CustomFromMask,
    Identity,
    L1Unstructured,
    RandomUnstructured,
)
from multiprune_torch.models.one_parameter import prune_parameter

__all__ = ["custom_from_mask", "identity", "l1_unstructured", "random_unstructured"]


def identity(
    module: nn.Module,
    name: str,
    *,
    mask_dtype: torch.dtype | None = None,
    keep_dense: bool = False,
    process_group: Any = None,
) -> nn.Module:
    """Reparametrize a parameter with a mask of ones.

    Parameters
    ----------
    module : nn.Module
    name : str
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
    Clauses METH-03, REP-08. Source: ``torch.nn.utils.prune.identity``.
    """
    return prune_parameter(
        Identity,
        module,
        name,
        mask_dtype=mask_dtype,
        keep_dense=keep_dense,
        process_group=process_group,
    )


def random_unstructured(
    module: nn.Module,
    name: str,
    amount: float | None = None,
    *,
    sparsity: float | None = None,
    seed: int | None = None,
    mask_dtype: torch.dtype | None = None,
    keep_dense: bool = False,
    process_group: Any = None,
) -> nn.Module:
    """Prune entries of a parameter at random.

    Parameters
    ----------
    module : nn.Module
    name : str
    amount : int or float
        How many entries, or the fraction of those still unpruned.
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
    Clause RAND-04. Source: ``torch.nn.utils.prune.random_unstructured``.
    """
    return prune_parameter(
        RandomUnstructured,
        module,
        name,
        amount=amount,
        sparsity=sparsity,
        seed=seed,
        mask_dtype=mask_dtype,
        keep_dense=keep_dense,
        process_group=process_group,
    )


def l1_unstructured(
    module: nn.Module,
    name: str,
    amount: float | None = None,
    importance_scores: torch.Tensor | None = None,
    *,
    sparsity: float | None = None,
    mask_dtype: torch.dtype | None = None,
    keep_dense: bool = False,
    process_group: Any = None,
) -> nn.Module:
    """Prune the entries of a parameter that have the smallest magnitude.

    Parameters
    ----------
    module : nn.Module
    name : str
    amount : int or float
        How many entries, or the fraction of those still unpruned.
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
    Clauses RANK-02, TIE-01. Source: ``torch.nn.utils.prune.l1_unstructured``.
    """
    return prune_parameter(
        L1Unstructured,
        module,
        name,
        importance_scores,
        amount=amount,
        sparsity=sparsity,
        mask_dtype=mask_dtype,
        keep_dense=keep_dense,
        process_group=process_group,
    )


def custom_from_mask(
    module: nn.Module,
    name: str,
    mask: torch.Tensor,
    *,
    mask_dtype: torch.dtype | None = None,
    keep_dense: bool = False,
    process_group: Any = None,
) -> nn.Module:
    """Prune a parameter where a given mask is 0.

    Parameters
    ----------
    module : nn.Module
    name : str
    mask : torch.Tensor
        0 and 1, or booleans, of the parameter's shape.
    mask_dtype : torch.dtype, optional
        Of `name_mask`; the parameter's own by default.
    keep_dense, process_group
        For a parameter that many processes share; see `global_unstructured`.

    Returns
    -------
    nn.Module
        The module, changed in place.

    Raises
    ------
    MaskError, MaskShapeError
        If the mask does not fit (ValueErrors).

    Notes
    -----
    Clause METH-04. Source: ``torch.nn.utils.prune.custom_from_mask``.
    """
    return prune_parameter(
        CustomFromMask,
        module,
        name,
        mask=mask,
        mask_dtype=mask_dtype,
        keep_dense=keep_dense,
        process_group=process_group,
    )
