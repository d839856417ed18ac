"""Room: a torch weight's way through a global pruning. Checked, read, ranked, kept.

Clauses: RANK, REP, ERR-01, METH-02. Source: ``torch.nn.utils.prune.global_unstructured``.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import torch
from torch.nn.utils import prune as torch_prune

from multiprune.pruning import check_unstructured, not_unstructured
from multiprune_torch.base import commit
from multiprune_torch.methods import CustomFromMask, Identity, L1Unstructured, RandomUnstructured
from multiprune_torch.overrides import checked_mask, is_binary, is_overridden
from multiprune_torch.parameters import Place, read_all
from multiprune_torch.ranking import Ranked, entry_masks, mask_dtype_of, masks_by_user_method
from multiprune_torch.reparametrization import all_or_nothing
from multiprune_torch.scores import match_scores
from multiprune_torch.sharing import warn_of_sharing

__all__ = ["prune_globally"]

_OURS: dict[Any, Any] = {
    torch_prune.L1Unstructured: L1Unstructured,
    torch_prune.RandomUnstructured: RandomUnstructured,
    torch_prune.Identity: Identity,
}


def prune_globally(
    parameters: Any, pruning_method: Any, importance_scores: Any = None, **kwargs: Any
) -> dict[str, Any]:
    """Prune many parameters together; see `multiprune_torch.prune.global_unstructured`.

    Returns
    -------
    dict
        ``threshold``, ``ties``, ``tied_pruned`` and ``method``, for a report.
    """
    mask_dtype = None
    if "mask_dtype" in kwargs and "mask_dtype" not in _keywords(pruning_method):
        mask_dtype = kwargs.pop("mask_dtype")
    if not isinstance(pruning_method, type):
        raise not_unstructured(pruning_method, None)
    method = _OURS.get(pruning_method, pruning_method)(**kwargs)
    check_unstructured(method)  # the instance: a constructor may set its PRUNING_TYPE
    places = read_all(parameters)
    scores = match_scores(places, importance_scores)
    warn_of_sharing(places)
    dtypes = [mask_dtype_of(place, mask_dtype) for place in places]
    if hasattr(method, "algebra") and not is_overridden(method):
        ranked = entry_masks(
            method.algebra(),
            scores or [place.orig for place in places],
            [place.mask for place in places],
            [place.orig for place in places],
            dtypes,
        )
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
