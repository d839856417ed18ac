"""A torch weight's way through a global pruning. Checked, read, ranked, kept.

Clauses: RANK, REP, ERR-01, METH-02. Source: ``torch.nn.utils.prune.global_unstructured``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch.nn.utils import prune as torch_prune

from multiprune.errors import PruningTypeError
from multiprune.method_checks import check_unstructured, not_unstructured
from multiprune.question import Question
from multiprune.report import Report
from multiprune_torch.distributed.global_pruning import prune_sharded
from multiprune_torch.hooks.base import commit
from multiprune_torch.hooks.methods import (
    CustomFromMask,
    Identity,
    L1Unstructured,
    RandomUnstructured,
)
from multiprune_torch.hooks.reparametrization import all_or_nothing
from multiprune_torch.models.tied import warn_of_sharing
from multiprune_torch.ranking.masks import Ranked, entry_masks, mask_dtype_of, masks_by_user_method
from multiprune_torch.ranking.user_methods import (
    check_values,
    checked_mask,
    is_overridden,
    with_scales,
)
from multiprune_torch.request.call import Call
from multiprune_torch.request.parameters import Place, read_all
from multiprune_torch.request.pruned import is_binary
from multiprune_torch.request.scores import check_rankable, check_table, match_scores
from multiprune_torch.sharding import storage

__all__ = ["OF_ONE", "prune_globally", "without_defaults"]

_OURS: dict[Any, Any] = {
    torch_prune.L1Unstructured: L1Unstructured,
    torch_prune.RandomUnstructured: RandomUnstructured,
    torch_prune.Identity: Identity,
}

_WHERE = (
    "scope", "dim", "keep_at_least", "prune_at_most", "prune_at_least", "allocation",
)  # fmt: skip
OF_ONE: dict[str, Any] = {
    "sparsity": None, "seed": None, "mask_dtype": None, "keep_dense": False, "process_group": None,
}  # fmt: skip
"""Options of every function, and their defaults."""
_OF_MANY = OF_ONE | dict.fromkeys((*_WHERE, "amount")) | {"scope": "global"}


def prune_globally(
    parameters: Any,
    pruning_method: Any,
    importance_scores: Any = None,
    names: Sequence[str] | None = None,
    /,
    **kwargs: Any,
) -> Report:
    """Prune many parameters together; see `multiprune_torch.prune.global_unstructured`.

    `names` are full names in a model, for messages.

    Returns
    -------
    Report
        What was asked, with thresholds; nothing is counted in it.
    """
    if isinstance(pruning_method, type):
        pruning_method = _OURS.get(pruning_method, pruning_method)
    kwargs, keywords = without_defaults(kwargs, _OF_MANY), _keywords(pruning_method)
    where = {n: kwargs.pop(n) for n in _WHERE if n in kwargs and n not in keywords}
    takes_group, keep_dense = "process_group" in keywords, kwargs.pop("keep_dense", False)
    pairs = list(parameters) if isinstance(parameters, Iterator) else parameters
    group = kwargs.get("process_group") if takes_group else kwargs.pop("process_group", None)
    processes = storage(group).processes_of(pairs, group, plain=not takes_group)
    if processes is not None:
        draws_seed = "seed" in keywords and kwargs.get("seed") is None
        seed = {"seed": 0} if draws_seed else {}  # any: it is drawn when all processes are ready
        kwargs = {k: v for k, v in kwargs.items() if k != "process_group"} | seed
    call = partial(_read, pairs, pruning_method, importance_scores, names, kwargs, where)
    if processes is not None:
        return prune_sharded(processes, call, keep_dense=keep_dense, draws_seed=draws_seed)
    asked = call()
    method, places, scores = asked.method, asked.places, asked.scores
    if asked.question is not None:
        ranks = scores or [place.orig for place in places]
        check_rankable(places, ranks)
        ranked = entry_masks(
            method.algebra(),
            ranks,
            [place.mask for place in places],
            [place.orig for place in places],
            asked.dtypes,
            asked.question,
            asked.names,
        )
        for i, place in enumerate(places):
            ranked.masks[i] = with_scales(ranked.masks[i], place)
        scales = [False] * len(places)
    else:
        masks, scales = _by_user(method, places, scores, asked.dtypes)
        ranked = Ranked(masks)
    with all_or_nothing(p.module for place in places for p in (place, *place.shared)):
        for place, mask, scale in zip(places, ranked.masks, scales, strict=True):
            hook = CustomFromMask.__new__(CustomFromMask)  # torch's hook class, without a mask
            hook._scales = scale
            commit(place, mask, hook)
    name = type(method).__name__
    if ranked.plan is None:
        return Report([], method=name)
    return ranked.plan.report([0] * len(places), name)


def without_defaults(options: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given: a method of the user's may take its own."""
    return {n: v for n, v in options.items() if n not in defaults or v is not defaults[n]}


def _read(
    parameters: Any,
    pruning_method: Any,
    importance_scores: Any,
    names: Sequence[str] | None,
    kwargs: dict[str, Any],
    where: dict[str, Any],
) -> Call:
    """Read and check what was asked for; nothing is computed yet."""
    mask_dtype = None
    if "mask_dtype" in kwargs and "mask_dtype" not in _keywords(pruning_method):
        mask_dtype = kwargs["mask_dtype"]
        kwargs = {k: v for k, v in kwargs.items() if k != "mask_dtype"}
    check_table(importance_scores)
    if not isinstance(pruning_method, type):
        raise _no_class(pruning_method)
    if where and not hasattr(pruning_method, "algebra"):
        raise _ranks_itself(pruning_method, where)
    question = None
    if hasattr(pruning_method, "algebra"):
        method, question = Question.of(pruning_method, kwargs, **where)
    else:
        method = pruning_method(**kwargs)
    check_unstructured(method)  # the instance: a constructor may set its PRUNING_TYPE
    if is_overridden(method):
        question = None
        if where:
            raise _ranks_itself(pruning_method, where)
    places = read_all(parameters, names)
    for place in places:
        check_values(method, place)
    scores = match_scores(places, importance_scores)
    warn_of_sharing(places)
    dtypes = [mask_dtype_of(place, mask_dtype) for place in places]
    # In a list of pairs a parameter's name is its place, as everywhere in lists.
    known = [p.where.removeprefix("parameters[").rstrip("]") for p in places]
    return Call(method, places, scores, dtypes, question, known)


def _ranks_itself(method: Any, where: dict[str, Any]) -> PruningTypeError:
    return PruningTypeError(
        f"{', '.join(where)} was given with {method!r}. Rule: scope, bounds and allocation are "
        "answered where the library ranks; this method is structured, or computes its masks itself "
        "[METH-02]. Pass your scores as importance_scores with L1Unstructured, or leave them out."
    )


def _by_user(
    method: Any,
    places: Sequence[Place],
    scores: Sequence[torch.Tensor] | None,
    dtypes: Sequence[torch.dtype],
) -> tuple[list[torch.Tensor], list[bool]]:
    """Let a method of the user's choose; say which masks hold other values than 0 and 1."""
    priors = [torch.ones_like(p.orig) if p.mask is None else p.mask for p in places]
    masks = masks_by_user_method(method, scores or [p.pruned for p in places], priors)
    masks = [m * prior for m, prior in zip(masks, priors, strict=True)]
    scales = [not is_binary(m) for m in masks]
    return [checked_mask(m, p, d) for m, p, d in zip(masks, places, dtypes, strict=True)], scales


def _keywords(method: Any) -> Sequence[str]:
    """Return the names that a method's constructor takes."""
    try:
        return list(signature(method).parameters)
    except (TypeError, ValueError):
        return []


def _no_class(method: Any) -> Exception:
    error = not_unstructured(method, None)
    hint = ""
    if isinstance(method, (int, float)):
        hint = f" An amount goes by its name: amount={method!r}."
    elif isinstance(method, torch_prune.BasePruningMethod):
        hint = f" Pass the class {type(method).__name__}, and its arguments by name."
    error.args = (f"{error}{hint}",)
    return error
