"""Room: a torch weight's way through a global pruning. Checked, read, ranked, kept.

Clauses: RANK, REP, ERR-01, METH-02. Source: ``torch.nn.utils.prune.global_unstructured``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch.nn.utils import prune as torch_prune

from multiprune.pruning import check_unstructured, not_unstructured
from multiprune_torch.base import commit
from multiprune_torch.buffers import is_binary
from multiprune_torch.methods import CustomFromMask, Identity, L1Unstructured, RandomUnstructured
from multiprune_torch.overrides import checked_mask, is_overridden, with_scales
from multiprune_torch.parameters import Place, read_all
from multiprune_torch.placements import Call, processes_of
from multiprune_torch.ranking import Ranked, entry_masks, mask_dtype_of, masks_by_user_method
from multiprune_torch.reparametrization import all_or_nothing
from multiprune_torch.scores import check_rankable, check_table, match_scores
from multiprune_torch.sharded import prune_sharded
from multiprune_torch.sharing import warn_of_sharing

__all__ = ["prune_globally"]

_OURS: dict[Any, Any] = {
    torch_prune.L1Unstructured: L1Unstructured,
    torch_prune.RandomUnstructured: RandomUnstructured,
    torch_prune.Identity: Identity,
}


def prune_globally(
    parameters: Any,
    pruning_method: Any,
    importance_scores: Any = None,
    names: Sequence[str] | None = None,
    /,
    **kwargs: Any,
) -> dict[str, Any]:
    """Prune many parameters together; see `multiprune_torch.prune.global_unstructured`.

    `names` are full names in a model, for messages.

    Returns
    -------
    dict
        ``threshold``, ``ties``, ``tied_pruned`` and ``method``, for a report.
    """
    if isinstance(pruning_method, type):
        pruning_method = _OURS.get(pruning_method, pruning_method)
    keywords = _keywords(pruning_method)
    takes_group, keep_dense = "process_group" in keywords, kwargs.pop("keep_dense", False)
    pairs = list(parameters) if isinstance(parameters, Iterator) else parameters
    group = kwargs.get("process_group") if takes_group else kwargs.pop("process_group", None)
    processes = processes_of(pairs, group, plain=not takes_group)
    if processes is not None:
        draws_seed = "seed" in keywords and kwargs.get("seed") is None
        seed = {"seed": 0} if draws_seed else {}  # any: it is drawn when all processes are ready
        kwargs = {k: v for k, v in kwargs.items() if k != "process_group"} | seed
    call = partial(_read, pairs, pruning_method, importance_scores, names, kwargs)
    if processes is not None:
        return prune_sharded(processes, call, keep_dense=keep_dense, draws_seed=draws_seed)
    method, places, scores, dtypes = call()
    if hasattr(method, "algebra") and not is_overridden(method):
        ranks = scores or [place.orig for place in places]
        check_rankable(places, ranks)
        ranked = entry_masks(
            method.algebra(),
            ranks,
            [place.mask for place in places],
            [place.orig for place in places],
            dtypes,
        )
        for i, place in enumerate(places):
            ranked.masks[i] = with_scales(ranked.masks[i], place)
        scales = [False] * len(places)
    else:
        masks, scales = _by_user(method, places, scores, dtypes)
        ranked = Ranked(masks)
    with all_or_nothing(p.module for place in places for p in (place, *place.shared)):
        for place, mask, scale in zip(places, ranked.masks, scales, strict=True):
            hook = CustomFromMask.__new__(CustomFromMask)  # torch's hook class, without a mask
            hook._scales = scale
            commit(place, mask, hook)
    return {
        "threshold": ranked.threshold,
        "ties": ranked.ties,
        "tied_pruned": ranked.tied_pruned,
        "method": type(method).__name__,
    }


def _read(
    parameters: Any,
    pruning_method: Any,
    importance_scores: Any,
    names: Sequence[str] | None,
    kwargs: dict[str, Any],
) -> Call:
    """Read and check what was asked for; nothing is computed yet."""
    mask_dtype = None
    if "mask_dtype" in kwargs and "mask_dtype" not in _keywords(pruning_method):
        mask_dtype = kwargs["mask_dtype"]
        kwargs = {k: v for k, v in kwargs.items() if k != "mask_dtype"}
    check_table(importance_scores)
    if not isinstance(pruning_method, type):
        raise _no_class(pruning_method)
    method = pruning_method(**kwargs)
    check_unstructured(method)  # the instance: a constructor may set its PRUNING_TYPE
    places = read_all(parameters, names)
    scores = match_scores(places, importance_scores)
    warn_of_sharing(places)
    return Call(method, places, scores, [mask_dtype_of(place, mask_dtype) for place in places])


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


def _no_class(given: Any) -> Exception:
    error = not_unstructured(given, None)
    hint = ""
    if isinstance(given, (int, float)):
        hint = f" An amount goes by its name: amount={given!r}."
    elif isinstance(given, torch_prune.BasePruningMethod):
        hint = f" Pass the class {type(given).__name__}, and its arguments by name."
    error.args = (f"{error}{hint}",)
    return error
