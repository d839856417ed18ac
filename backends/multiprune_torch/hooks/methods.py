"""The hook classes that decide entry by entry. Torch's own, each subclassed.

What a method decides is its mask; ranking is the algebra's, and keeping is reparametrization's.
Clauses: METH, REP. Source: the classes of the same names in ``torch.nn.utils.prune``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from multiprune import methods as algebra
from multiprune.amount import Target, target_of
from multiprune.draws import as_seed
from multiprune.errors import MaskError, MaskShapeError
from multiprune_torch.errors import MaskTypeError
from multiprune_torch.hooks.base import BasePruningMethod
from multiprune_torch.ranking.masks import entry_masks
from multiprune_torch.ranking.seeds import resolve_seed
from multiprune_torch.ranking.user_methods import is_patched, own, stock_mask
from multiprune_torch.request.parameters import Place
from multiprune_torch.request.pruned import is_binary
from multiprune_torch.request.refusals import show

__all__ = ["CustomFromMask", "Identity", "L1Unstructured", "RandomUnstructured", "as_mask"]


class Identity(BasePruningMethod, torch_prune.Identity):
    """Prune nothing, but reparametrize, with a mask of ones.

    Notes
    -----
    Clauses METH-03, REP-08. Source: ``torch.nn.utils.prune.Identity``.
    """

    target = Target(0)

    def algebra(self) -> algebra.PruningMethod:
        """Return the method that the algebra ranks by."""
        return algebra.Identity()

    @classmethod
    def apply(  # type: ignore[override]
        cls, module: nn.Module, name: str, **options: Any
    ) -> Any:
        """Prune one parameter; see `BasePruningMethod.apply`."""
        return super().apply(module, name, **options)


class _Unstructured(BasePruningMethod):
    """A method that ranks single entries."""

    amount: Any

    def compute_mask(self, t: torch.Tensor, default_mask: torch.Tensor) -> torch.Tensor:
        """Prune `amount` of all entries of `t`, and what `default_mask` has pruned.

        Parameters
        ----------
        t : torch.Tensor
            Importance scores.
        default_mask : torch.Tensor
            1 and 0, of the shape of `t`. Entries that are 0 there count and rank like others, as
            in torch; `apply` and `global_unstructured` count live ones.

        Returns
        -------
        torch.Tensor
            A new mask of the dtype of `default_mask`.
        """
        if is_patched(self):
            return stock_mask(self, t, default_mask)
        (mask,) = entry_masks(self.algebra(), [t], [None], [t], [default_mask.dtype]).masks
        return mask.mul_(default_mask)

    def algebra(self) -> algebra.PruningMethod:
        """Return the method that the algebra ranks by."""
        raise NotImplementedError


class L1Unstructured(_Unstructured, torch_prune.L1Unstructured):
    """Prune the entries of smallest magnitude.

    Parameters
    ----------
    amount : int or float, optional
        How many entries, or the fraction of those still unpruned.
    sparsity : float, optional
        Target fraction of all entries, instead of `amount`.

    Raises
    ------
    AmountTypeError, AmountError
        If not exactly one of them is given, or it is out of range.

    Notes
    -----
    Clause METH-01. Source: ``torch.nn.utils.prune.L1Unstructured``.
    """

    def __init__(self, amount: Any = None, *, sparsity: Any = None) -> None:
        self.target = target_of(amount, sparsity)
        self.amount = amount

    def algebra(self) -> algebra.PruningMethod:
        """Return the method that the algebra ranks by."""
        return algebra.L1Unstructured(self.target)

    @classmethod
    def apply(  # type: ignore[override]
        cls,
        module: nn.Module,
        name: str,
        amount: Any = None,
        importance_scores: Any = None,
        **options: Any,
    ) -> Any:
        """Prune one parameter; see `BasePruningMethod.apply`."""
        return super().apply(
            module, name, amount=amount, importance_scores=importance_scores, **options
        )


class RandomUnstructured(_Unstructured, torch_prune.RandomUnstructured):
    """Prune entries at random.

    Parameters
    ----------
    amount, sparsity
        As for `L1Unstructured`.
    seed : int, optional
        0 to 2**64 - 1: the same mask on every framework. Without it ``torch.manual_seed`` decides,
        and on the CPU the mask is stock torch's.
    process_group : torch.distributed.ProcessGroup, optional
        Its first rank draws the seed for all.

    Notes
    -----
    Clauses METH-01, RAND-04, DEV-57. Source: ``torch.nn.utils.prune.RandomUnstructured``.
    """

    def __init__(
        self,
        amount: Any = None,
        *,
        sparsity: Any = None,
        seed: Any = None,
        process_group: Any = None,
    ) -> None:
        self.target = target_of(amount, sparsity)
        self.amount = amount
        self.seed = resolve_seed(None if seed is None else as_seed(seed), process_group)

    def algebra(self) -> algebra.PruningMethod:
        """Return the method that the algebra ranks by."""
        return algebra.RandomUnstructured(self.target, seed=self.seed)

    @classmethod
    def apply(  # type: ignore[override]
        cls, module: nn.Module, name: str, amount: Any = None, **options: Any
    ) -> Any:
        """Prune one parameter; see `BasePruningMethod.apply`."""
        return super().apply(module, name, amount=amount, **options)


class CustomFromMask(BasePruningMethod, torch_prune.CustomFromMask):
    """Prune where a given mask is 0.

    Parameters
    ----------
    mask : torch.Tensor
        0 and 1, or booleans, of the parameter's shape.

    Notes
    -----
    Clauses METH-04, DEV-41. The mask is let go once it is applied: no second copy stays. Source:
    ``torch.nn.utils.prune.CustomFromMask``.
    """

    def __init__(self, mask: Any) -> None:
        self.mask = mask

    def compute_mask(self, t: torch.Tensor, default_mask: torch.Tensor) -> torch.Tensor:
        """Return the product of `default_mask` and the given mask.

        Raises
        ------
        MaskShapeError, MaskTypeError, MaskError
            If it has another shape, is not a dense tensor, or has other values than 0 and 1
            (ValueErrors).
        """
        mask = as_mask(self.mask, on_meta=default_mask.is_meta)
        if mask.shape != default_mask.shape:
            raise MaskShapeError(
                f"the mask has shape {tuple(mask.shape)}, the parameter "
                f"{tuple(default_mask.shape)}. Rule: a mask has its parameter's shape [MASK-04]."
            )
        if not is_binary(mask):
            raise MaskError(
                "the mask holds values other than 0 and 1. Rule: a mask is 1 where the entry is "
                "kept and 0 where it is pruned [MASK-03]. Scale the weights themselves instead."
            )
        kept = mask.to(default_mask.device) != 0
        return torch.where(kept, default_mask, torch.zeros_like(default_mask))

    def _mask(self, place: Place, scores: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor:
        mask = super()._mask(place, scores, dtype)
        del self.mask  # the caller's: it may change, and pickles need no second copy
        return mask

    @classmethod
    def apply(  # type: ignore[override]
        cls, module: nn.Module, name: str, mask: Any, **options: Any
    ) -> Any:
        """Prune one parameter; see `BasePruningMethod.apply`."""
        return super().apply(module, name, mask=mask, **options)


def as_mask(value: Any, *, on_meta: bool = False) -> torch.Tensor:
    """Return a mask as a tensor; of a parameter on the meta device it has no values either.

    Raises
    ------
    MaskTypeError
        If it is no dense tensor, or has no values or would lose them (a TypeError and ValueError).
    """
    mask = None
    with suppress(TypeError, ValueError, RuntimeError):
        mask = torch.as_tensor(value)
    if on_meta and mask is not None and not mask.is_meta:
        raise MaskTypeError(
            f"the mask is {show(value)}, and the parameter is on the meta device. Rule: a mask is "
            "where its parameter is, and on meta it would lose its values [MASK-03]. Load the "
            "weights first: model.load_state_dict(state, assign=True)."
        )
    if mask is None or mask.layout != torch.strided or mask.is_meta != on_meta:
        raise MaskTypeError(
            f"the mask is {show(value)}. Rule: a mask is a dense tensor of 0 and 1 with values, or "
            "what torch.as_tensor takes [MASK-03]. Start from torch.ones_like(weight), and write 0."
        )
    return mask


own(Identity, torch_prune.Identity)
own(L1Unstructured, torch_prune.L1Unstructured)
own(RandomUnstructured, torch_prune.RandomUnstructured)
