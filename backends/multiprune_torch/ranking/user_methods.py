"""Whose mask it is. The library's own methods, users' own, and mocks of either.

Clauses: METH-01, MASK-04, DEV-59.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils import prune as torch_prune

from multiprune.errors import MaskShapeError
from multiprune_torch.errors import MaskTypeError, UnprunableError
from multiprune_torch.ranking.masks import entry_masks
from multiprune_torch.request.parameters import Place
from multiprune_torch.request.pruned import has_values, is_binary
from multiprune_torch.request.refusals import show

__all__ = [
    "check_values",
    "checked_mask",
    "is_overridden",
    "is_patched",
    "next_mask",
    "own",
    "scales",
    "stock_mask",
    "with_scales",
]

_OWN: dict[Any, tuple[Any, Any, Any]] = {}
"""For each class of ours its `compute_mask`, the torch class it subclasses, and that one's."""


def own(kind: Any, base: Any) -> None:
    """Note that `kind`, which subclasses torch's `base`, computes masks by itself."""
    _OWN[kind] = (kind.compute_mask, base, base.compute_mask)


def is_overridden(method: Any) -> bool:
    """Whether a method's `compute_mask` is not the library's own: a user's subclass, or a mock.

    A patch of torch's class counts, too: tests that mock it expect its mask.
    """
    kind = _own_kind(method)
    return kind is None or type(method).compute_mask is not _OWN[kind][0] or is_patched(method)


def is_patched(method: Any) -> bool:
    """Whether `compute_mask` was replaced on the torch class that a method subclasses."""
    kind = _own_kind(method)
    return kind is not None and _OWN[kind][1].compute_mask is not _OWN[kind][2]


def _own_kind(method: Any) -> Any:
    return next((kind for kind in type(method).__mro__ if kind in _OWN), None)


def stock_mask(method: Any, t: torch.Tensor, default_mask: torch.Tensor) -> torch.Tensor:
    """Compute a mask as the torch class does that a method of ours subclasses."""
    mask: torch.Tensor = _OWN[_own_kind(method)][1].compute_mask(method, t, default_mask)
    return mask


def next_mask(
    method: Any, place: Place, scores: torch.Tensor | None, dtype: torch.dtype
) -> torch.Tensor:
    """Let a method compute the next mask of one parameter, on top of its present one."""
    prior = torch.ones_like(place.orig) if place.mask is None else place.mask
    check_values(method, place)
    if not is_overridden(method):
        ranked = place.orig if scores is None else scores
        if hasattr(method, "algebra"):
            ours = entry_masks(method.algebra(), [ranked], [place.mask], [place.orig], [dtype])
            return with_scales(ours.masks[0], place)
        if hasattr(method, "own_mask"):
            return checked_mask(method.own_mask(ranked.detach(), prior), place, dtype)
    ranked = place.pruned if scores is None else scores
    if place.mask is None:
        mask = method.compute_mask(ranked, default_mask=prior)
    else:
        container = torch_prune.PruningContainer()
        container._tensor_name = method._tensor_name
        container.add_pruning_method(method)
        copy = prior.detach().clone(memory_format=torch.contiguous_format)
        mask = container.compute_mask(ranked, copy)
    method._scales = isinstance(mask, torch.Tensor) and not is_binary(mask)
    return checked_mask(mask, place, dtype)


def check_values(method: Any, place: Place) -> None:
    """Check that there are values to rank, unless a method asks for none.

    Raises
    ------
    UnprunableError
        If the parameter is on the meta device, or a fake tensor (a TypeError and a ValueError).

    Notes
    -----
    Clause DEV-52.
    """
    looks = not isinstance(method, torch_prune.Identity | torch_prune.CustomFromMask)
    if looks and not has_values(place.orig):
        where = "on the meta device" if place.orig.is_meta else "a fake tensor"
        raise UnprunableError(
            f"{place} is {where} and has no values. Rule: entries are ranked by their "
            "values [DEV-52]. Load them first: model.load_state_dict(state, assign=True), or "
            "model.to_empty(device=...) and load_state_dict."
        )


def scales(place: Place) -> bool:
    """Whether the present mask holds other values than 0 and 1, and multiplies as in torch."""
    if place.mask is None:
        return False
    buffers: Any = place.module._buffers
    if hasattr(buffers, "look_again"):  # ours
        buffers.look_again(place.name)
    known: bool | None = getattr(place.hook, "_scales", None)
    return not is_binary(place.mask) if known is None else known  # None: a hook of torch's own


def with_scales(mask: torch.Tensor, place: Place) -> torch.Tensor:
    """Keep other values than 0 and 1 of the present mask in a new one, which has none."""
    if not scales(place):
        return mask
    assert place.mask is not None
    return torch.where(place.mask == 1, mask, place.mask.to(mask.dtype))


def checked_mask(mask: Any, place: Place, dtype: torch.dtype) -> torch.Tensor:
    """Check a mask that a method computed, and give it its dtype and device, as a new tensor."""
    if not isinstance(mask, torch.Tensor):
        raise MaskTypeError(
            f"the method returned {show(mask)} for {place}. Rule: compute_mask returns a tensor of "
            "0 and 1 [MASK-03]. Return the mask."
        )
    if mask.shape != place.orig.shape:
        raise MaskShapeError(
            f"the method returned a mask of shape {tuple(mask.shape)} for {place}, which has shape "
            f"{tuple(place.orig.shape)}. Rule: a mask has its parameter's shape [MASK-04]."
        )
    values = mask.real if mask.is_complex() else mask  # torch warns of such a conversion
    checked: torch.Tensor = values.detach().to(device=place.orig.device, dtype=dtype, copy=True)
    return checked
