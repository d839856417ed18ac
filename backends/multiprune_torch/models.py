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
from multiprune_torch.collectives import together
from multiprune_torch.globally import prune_globally
from multiprune_torch.in_place import InPlace, held
from multiprune_torch.methods import L1Unstructured
from multiprune_torch.outcome import counts_of
from multiprune_torch.parameters import Place, read
from multiprune_torch.placements import processes_of, refuse_fsdp1
from multiprune_torch.refusals import check_model
from multiprune_torch.reparametrization import all_or_nothing, read_again, uninstall
from multiprune_torch.selection import full_names, pruning_hooks, scores_by_pair, select

__all__ = [
    "held_places",
    "prune_model",
    "pruned_places",
    "refresh_model",
    "remove_all",
    "report",
    "select",
    "undo",
]


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
    check_model(model)
    everything = [(module, name) for module in model.modules() for name in module._parameters]
    with together(processes_of(everything, kwargs.get("process_group"))):
        refuse_fsdp1(everything)
        pairs = select(model, types=types, include=include, exclude=exclude, where=where)
        if not pairs:
            raise ParametersError(
                f"nothing of {type(model).__name__} is selected. Rule: floating parameters of two "
                "and more dimensions are, narrowed by types, include, exclude and where [ERR-03]. "
                "Widen them: where=lambda name, p: True takes all."
            )
        names, scores = full_names(model, pairs), None
        if importance_scores is not None:
            scores = scores_by_pair(dict(zip(names, pairs, strict=True)), importance_scores)
    summary = prune_globally(pairs, pruning_method, scores, names, **kwargs)
    return report(model, **summary, process_group=kwargs.get("process_group"))


def report(
    model: nn.Module,
    *,
    threshold: float | None = None,
    ties: int = 0,
    tied_pruned: int = 0,
    method: str = "",
    way: str = "",
    process_group: Any = None,
) -> Report:
    """Say how much of each pruned parameter of a model is pruned.

    Parameters
    ----------
    model : nn.Module
    threshold, ties, tied_pruned, method, way
        Of the last pruning, where they are known: a model does not remember them.
    process_group : torch.distributed.ProcessGroup, optional
        That holds a sharded model; all processes by default.

    Returns
    -------
    Report
        Prints as a table; one row for each pruned parameter, in the order of modules. Of a
        sharded model every process asks for it together, and each gets the same.

    Examples
    --------
    >>> from multiprune_torch import prune
    >>> layer = prune.l1_unstructured(nn.Linear(4, 5), "weight", amount=0.8)
    >>> print(report(layer))
    16 of 20 entries pruned (80.00 %)
    tensor  shape  entries   pruned
    weight  5x4         20  80.00 %  ################....
    """
    found = [(full, place.orig, place.mask) for full, place in pruned_places(model)]
    found += [(full, record.parameter, record.mask) for full, record in held_places(model)]
    tensors = [(orig, mask) for _, orig, mask in found if mask is not None]
    counts = counts_of(tensors, process_group)
    rows = [
        TensorReport(full, tuple(orig.shape), orig.numel(), pruned, bad)
        for (full, orig, _), (pruned, bad) in zip(found, counts, strict=True)
    ]
    return Report(rows, threshold, ties, tied_pruned, method, way)


def remove_all(model: nn.Module) -> list[str]:
    """Make every pruning of a model permanent; see `remove`.

    Returns
    -------
    list of str
        The full names of the parameters that were pruned.
    """
    names = _end(model, lambda place: place.hook.apply_mask(place.module).detach())
    for full, record in held_places(model):
        names.append(full)
        record.end()
    return names


def undo(model: nn.Module) -> list[str]:
    """Take every pruning of a model back: the dense values, as they are now, come back.

    Pruned entries have their original values, but for what momentum or weight decay did to them.

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
    check_model(model)
    records = held_places(model)
    for full, record in records:
        record.check_dense(full)
    names = _end(model, lambda place: place.orig.detach())
    for full, record in records:
        names.append(full)
        record.undo()
    return names


def refresh_model(model: nn.Module) -> None:
    """Let go of masked values that were read in evaluation.

    Needed only after writes that torch cannot see (``.data``, NumPy views,
    ``vector_to_parameters``) with no ``train()`` or ``eval()`` in between, and after other values
    than 0 and 1 were written into a mask by hand.
    """
    check_model(model)
    for module in model.modules():
        read_again(module)


def pruned_places(model: nn.Module) -> list[tuple[str, Place]]:
    """Return every pruned parameter of a model with its full name, in the order of modules."""
    check_model(model)
    return [
        (
            f"{path}.{hook._tensor_name}" if path else hook._tensor_name,
            read(module, hook._tensor_name, f"{path}.{hook._tensor_name}" if path else ""),
        )
        for path, module in model.named_modules()
        for hook in pruning_hooks(module)
    ]


def held_places(model: nn.Module) -> list[tuple[str, InPlace]]:
    """Return what of a model is pruned in place, with full names, in the order of modules."""
    return [
        (f"{path}.{record.name}" if path else record.name, record)
        for path, module in model.named_modules()
        for record in held(module)
    ]


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
