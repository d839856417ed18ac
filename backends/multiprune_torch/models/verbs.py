"""Whole models. For people who do not list (module, name) pairs.

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
from multiprune_torch.hooks.reparametrization import all_or_nothing, read_again, uninstall
from multiprune_torch.models.global_pruning import prune_globally
from multiprune_torch.models.report import report_of
from multiprune_torch.models.select import (
    all_pairs,
    full_names,
    held_places,
    pruned_places,
    scores_by_pair,
    select,
)
from multiprune_torch.request.parameters import Place
from multiprune_torch.request.refusals import check_model

__all__ = ["prune_model", "refresh_model", "remove_all", "undo"]


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
    >>> remove_all(model)
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


def remove_all(model: nn.Module) -> list[str]:
    """Make every pruning of a model permanent; see `remove`.

    Returns
    -------
    list of str
        The full names of the parameters that were pruned.
    """
    reshard(model)
    names = _end(model, lambda place: place.hook.apply_mask(place.module).detach())
    for full, record in held_places(model):
        names.append(full)
        record.end()
    return names


def undo(model: nn.Module, *, process_group: Any = None) -> list[str]:
    """Take every pruning of a model back: the dense values, as they are now, come back.

    Pruned entries have their original values, but for what momentum or weight decay did to them.

    Parameters
    ----------
    model : nn.Module
    process_group : torch.distributed.ProcessGroup, optional
        That holds a sharded model, which all of them take back together; all by default.

    Returns
    -------
    list of str
        The full names of the parameters that were pruned.

    Raises
    ------
    UndoError
        If a parameter of a sharded model was pruned in place without ``keep_dense=True`` (a
        RuntimeError); the model is as it was then.

    Notes
    -----
    Clauses DEV-48, SHARD-07.
    """
    reshard(model)
    records = held_places(model)
    with together(processes_of(all_pairs(model), process_group, plain=False)):
        for full, record in records:
            record.check_dense(full)
    names = _end(model, lambda place: place.orig.detach())
    for full, record in records:
        names.append(full)
        record.undo()
    return names


def refresh_model(model: nn.Module) -> None:
    """Look again at the masks of a model, and at the weights that RNNs hold.

    Needed only after other values than 0 and 1 were written into a mask in a way that torch does
    not count (``.data``, NumPy views).
    """
    check_model(model)
    for module in model.modules():
        read_again(module)


def _end(model: nn.Module, value: Callable[[Place], torch.Tensor]) -> list[str]:
    places = pruned_places(model)
    with all_or_nothing(place.module for _, place in places):
        for _, place in places:
            with torch.inference_mode(False), torch.no_grad():  # what is kept must train
                kept = value(place)
            uninstall(place.module, place.name, kept)
            for key, hook in list(place.module._forward_pre_hooks.items()):
                if hook is place.hook:
                    del place.module._forward_pre_hooks[key]
    return [name for name, _ in places]
