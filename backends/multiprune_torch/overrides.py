"""Room: whose mask it is. The library's own methods, users' own, and mocks of either.

Clauses: METH-01, MASK-04.
"""

from __future__ import annotations

from typing import Any

import torch

from multiprune.errors import MaskShapeError
from multiprune_torch.parameters import Place

__all__ = ["checked_mask", "is_binary", "is_overridden", "is_patched", "own", "stock_mask"]

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
    """Whether somebody replaced `compute_mask` on the torch class that a method subclasses."""
    kind = _own_kind(method)
    return kind is not None and _OWN[kind][1].compute_mask is not _OWN[kind][2]


def _own_kind(method: Any) -> Any:
    return next((kind for kind in type(method).__mro__ if kind in _OWN), None)


def is_binary(mask: torch.Tensor) -> bool:
    """Whether a mask holds only 0 and 1."""
    return mask.dtype == torch.bool or bool(((mask == 0) | (mask == 1)).all())


def stock_mask(method: Any, t: torch.Tensor, default_mask: torch.Tensor) -> torch.Tensor:
    """Compute a mask as the torch class does that a method of ours subclasses."""
    mask: torch.Tensor = _OWN[_own_kind(method)][1].compute_mask(method, t, default_mask)
    return mask


def checked_mask(mask: Any, place: Place, dtype: torch.dtype) -> torch.Tensor:
    """Check a mask that a method computed, and give it its dtype and device, as a new tensor."""
    if mask.shape != place.orig.shape:
        raise MaskShapeError(
            f"the method returned a mask of shape {tuple(mask.shape)} for {place}, which has shape "
            f"{tuple(place.orig.shape)}. Rule: a mask has its parameter's shape [MASK-04]."
        )
    values = mask.real if mask.is_complex() else mask  # torch warns of such a conversion
    checked: torch.Tensor = values.detach().to(device=place.orig.device, dtype=dtype, copy=True)
    return checked
