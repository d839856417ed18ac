"""A whole model pruned, for people who do not list (module, name) pairs.

Clauses: TIE-04 (tensors with names), REP-06, DEV-48.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from multiprune.deprecated import renamed
from multiprune.errors import ParametersError
from multiprune.question import AllocationLike, BoundLike, ScopeLike
from multiprune.report import Report
from multiprune_torch.distributed.checks import processes_of, refuse_fsdp1
from multiprune_torch.distributed.fsdp import reshard
from multiprune_torch.distributed.processes import together
from multiprune_torch.hooks.methods import L1Unstructured
from multiprune_torch.hooks.reparametrization import read_again
from multiprune_torch.models.global_pruning import prune_globally
from multiprune_torch.models.names import all_pairs, full_names, scores_by_pair
from multiprune_torch.models.report import report_of
from multiprune_torch.models.select import select
from multiprune_torch.request.refusals import check_model

__all__ = ["prune_model", "refresh_model"]


def prune_model(
    model: nn.Module,
    method: type[torch_prune.BasePruningMethod] = L1Unstructured,
    importance_scores: Mapping[str, Any] | None = None,
    *,
    amount: float | None = None,
    sparsity: float | None = None,
    seed: int | None = None,
    types: type[nn.Module] | tuple[type[nn.Module], ...] = nn.Module,
    include: str | Iterable[str] = "*",
    exclude: str | Iterable[str] = (),
    where: Callable[[str, torch.Tensor], bool] | None = None,
    scope: ScopeLike = "global",
    dim: int | None = None,
    keep_at_least: BoundLike = None,
    prune_at_most: BoundLike = None,
    prune_at_least: BoundLike = None,
    allocation: AllocationLike = None,
    mask_dtype: torch.dtype | None = None,
    keep_dense: bool = False,
    process_group: Any = None,
    **options: Any,
) -> Report:
    """Prune a whole model: rank the entries of all selected parameters together.

    Parameters
    ----------
    model : nn.Module
    method : type
        A method of PRUNING_TYPE 'unstructured'.
    importance_scores : mapping of str to tensor, optional
        By full name, for every selected parameter.
    types, include, exclude, where
        Narrow the selection; see `select`.
    amount, sparsity, seed, scope, dim, keep_at_least, prune_at_most, prune_at_least, allocation
        See `global_unstructured`; names are full names.
    mask_dtype, keep_dense, process_group
        See `global_unstructured`.
    **options
        Further ones of a method of your own.

    Returns
    -------
    Report
        What is pruned now, with the threshold and its ties.

    Raises
    ------
    ParametersError
        If nothing is selected (a ValueError).
    MultipruneError
        As `global_unstructured`; the model is as it was then.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> prune_model(model, sparsity=0.5).sparsity
    0.5
    >>> prune_model(model, sparsity=0.75).sparsity
    0.75
    >>> from multiprune_torch import prune
    >>> prune.remove_all(model)
    ['0.weight', '2.weight']
    """
    method = renamed("pruning_method", "method", options, method)
    reshard(model)
    with together(processes_of(all_pairs(model), process_group)):
        refuse_fsdp1(all_pairs(model))
        pairs = select(model, types=types, include=include, exclude=exclude, where=where)
        if not pairs:
            raise ParametersError(
                f"nothing of {type(model).__name__} is selected. Rule: floating parameters of two "
                "and more dimensions are, not the parts of parametrized weights, narrowed by "
                "types, include, exclude and where [ERR-03]. Widen them: where=lambda name, p: "
                "True takes all."
            )
        names, scores = full_names(model, pairs), None
        if importance_scores is not None:
            scores = scores_by_pair(dict(zip(names, pairs, strict=True)), importance_scores)
    summary = prune_globally(
        pairs,
        method,
        scores,
        names,
        amount=amount,
        sparsity=sparsity,
        seed=seed,
        scope=scope,
        dim=dim,
        keep_at_least=keep_at_least,
        prune_at_most=prune_at_most,
        prune_at_least=prune_at_least,
        allocation=allocation,
        mask_dtype=mask_dtype,
        keep_dense=keep_dense,
        process_group=process_group,
        **options,
    )
    return report_of(model, summary, process_group)


def refresh_model(model: nn.Module) -> None:
    """Look again at the masks of a model, and at the weights that RNNs hold.

    Needed only after other values than 0 and 1 were written into a mask in a way that torch does
    not count (``.data``, NumPy views).
    """
    check_model(model)
    for module in model.modules():
        read_again(module)
