"""Room: whole models. For people who do not list (module, name) pairs.

Clauses: TIE-04 (tensors with names), REP-06, DEV-48.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from multiprune.errors import ParametersError
from multiprune.report import Report, TensorReport
from multiprune_torch.globally import prune_globally
from multiprune_torch.methods import L1Unstructured
from multiprune_torch.parameters import Place, read
from multiprune_torch.reparametrization import all_or_nothing, refresh, uninstall
from multiprune_torch.selection import full_names, pruning_hooks, scores_by_pair, select

__all__ = [
    "prune_model",
    "pruned_places",
    "refresh_model",
    "remove_all",
    "report",
    "select",
    "undo",
]

_BLOCK = 1 << 20


def prune_model(
    model: nn.Module,
    pruning_method: Any = L1Unstructured,
    importance_scores: Mapping[str, Any] | None = None,
    *,
    types: type[nn.Module] | tuple[type[nn.Module], ...] = nn.Module,
    include: str | Iterable[str] = "*",
    exclude: str | Iterable[str] = (),
    where: Callable[[str, torch.Tensor], bool] | None = None,
    **kwargs: Any,
) -> Report:
    """Prune a whole model: rank the entries of all selected parameters together.

    Parameters
    ----------
    model : nn.Module
    pruning_method : type
        A method of PRUNING_TYPE 'unstructured'.
    importance_scores : mapping of str to tensor, optional
        By full name, for every selected parameter.
    types, include, exclude, where
        Narrow the selection; see `select`.
    **kwargs
        ``amount`` or ``sparsity``, ``seed``, ``mask_dtype``; see `global_unstructured`.

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
    pairs = select(model, types=types, include=include, exclude=exclude, where=where)
    if not pairs:
        raise ParametersError(
            f"nothing of {type(model).__name__} is selected. Rule: floating parameters of two and "
            "more dimensions are, narrowed by types, include, exclude and where [ERR-03]. Widen "
            "them: where=lambda name, p: True takes all."
        )
    scores = None
    if importance_scores is not None:
        names = {full: pair for full, pair in zip(full_names(model, pairs), pairs, strict=True)}
        scores = scores_by_pair(names, importance_scores)
    summary = prune_globally(pairs, pruning_method, scores, **kwargs)
    return report(model, **summary)


def report(
    model: nn.Module,
    *,
    threshold: float | None = None,
    ties: int = 0,
    tied_pruned: int = 0,
    method: str = "",
) -> Report:
    """Say how much of each pruned parameter of a model is pruned.

    Parameters
    ----------
    model : nn.Module
    threshold, ties, tied_pruned, method
        Of the last pruning, where they are known: a model does not remember them.

    Returns
    -------
    Report
        Prints as a table; one row for each pruned parameter, in the order of modules.

    Examples
    --------
    >>> from multiprune_torch import prune
    >>> layer = prune.l1_unstructured(nn.Linear(4, 5), "weight", amount=0.8)
    >>> print(report(layer))
    16 of 20 entries pruned (80.00 %)
    tensor  shape  entries   pruned
    weight  5x4         20  80.00 %  ################....
    """
    rows = []
    for full, place in pruned_places(model):
        assert place.mask is not None
        size, kept = place.mask.numel(), int(place.mask.count_nonzero())
        bad = sum(
            int((~block.isfinite()).sum())
            for block in place.orig.detach().reshape(-1).split(_BLOCK)
            if block.is_floating_point() or block.is_complex()
        )
        rows.append(TensorReport(full, tuple(place.mask.shape), size, size - kept, bad))
    return Report(rows, threshold, ties, tied_pruned, method)


def remove_all(model: nn.Module) -> list[str]:
    """Make every pruning of a model permanent; see `remove`.

    Returns
    -------
    list of str
        The full names of the parameters that were pruned.
    """
    return _end(model, lambda place: place.hook.apply_mask(place.module).detach())


def undo(model: nn.Module) -> list[str]:
    """Take every pruning of a model back: the dense values, as they are now, come back.

    Pruned entries have their original values, but for what momentum or weight decay did to them.

    Returns
    -------
    list of str
        The full names of the parameters that were pruned.

    Notes
    -----
    Clause DEV-48.
    """
    return _end(model, lambda place: place.orig.detach())


def refresh_model(model: nn.Module) -> None:
    """Let go of masked values that were read in evaluation.

    Needed only after writes that torch cannot see (``.data``, NumPy views,
    ``vector_to_parameters``) with no ``train()`` or ``eval()`` in between.
    """
    for module in model.modules():
        values = getattr(module._buffers, "values_read", None)
        if values is not None:
            values.clear()
            refresh(module)


def pruned_places(model: nn.Module) -> list[tuple[str, Place]]:
    """Return every pruned parameter of a model with its full name, in the order of modules."""
    return [
        (
            f"{path}.{hook._tensor_name}" if path else hook._tensor_name,
            read(module, hook._tensor_name),
        )
        for path, module in model.named_modules()
        for hook in pruning_hooks(module)
    ]


def _end(model: nn.Module, value: Callable[[Place], torch.Tensor]) -> list[str]:
    places = pruned_places(model)
    with all_or_nothing(place.module for _, place in places):
        for _, place in places:
            uninstall(place.module, place.name, value(place))
            for key, hook in list(place.module._forward_pre_hooks.items()):
                if hook is place.hook:
                    del place.module._forward_pre_hooks[key]
    return [name for name, _ in places]
