"""The hook classes that decide channel by channel. Torch's own, each subclassed.

Clauses: METH-05 to METH-11. Source: ``RandomStructured`` and ``LnStructured`` of
``torch.nn.utils.prune``.
"""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from multiprune.amount import Target, target_of
from multiprune.draws import as_seed, draws
from multiprune.errors import AmountError
from multiprune.keys import format_of
from multiprune.structured import check_dim, check_norm
from multiprune_torch.backend import backend
from multiprune_torch.errors import DimTypeError
from multiprune_torch.hooks.base import BasePruningMethod
from multiprune_torch.ranking.masks import channel_mask
from multiprune_torch.ranking.seeds import resolve_seed
from multiprune_torch.ranking.stream import channel_draws
from multiprune_torch.ranking.user_methods import is_patched, own, stock_mask

__all__ = ["LnStructured", "RandomStructured"]


class _Structured(BasePruningMethod):
    """A method that ranks channels."""

    dim: int
    target: Target

    def compute_mask(self, t: torch.Tensor, default_mask: torch.Tensor) -> torch.Tensor:
        """Prune `amount` of all channels of `t`, and what `default_mask` has pruned.

        Parameters
        ----------
        t : torch.Tensor
            Importance scores.
        default_mask : torch.Tensor
            1 and 0, of the shape of `t`.

        Raises
        ------
        StructureError
            If `t` has fewer than two dimensions (a ValueError).
        DimError
            If `dim` is none of them (an IndexError).
        AmountError
            If there are fewer channels (a ValueError).
        """
        if is_patched(self):
            return stock_mask(self, t, default_mask)
        dim = _dim_of(t, self.dim)
        live = torch.ones(t.shape[dim], dtype=torch.bool)
        return self._prune_channels(t, live, default_mask, dim)

    def own_mask(self, scores: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Return `prior` with `amount` of its live channels pruned."""
        dim = _dim_of(scores, self.dim)
        others = [d for d in range(prior.dim()) if d != dim]
        live = (prior != 0).sum(dim=others) != 0
        return self._prune_channels(torch.where(prior != 0, scores, False), live, prior, dim)

    def _prune_channels(
        self, scores: torch.Tensor, live: torch.Tensor, prior: torch.Tensor, dim: int
    ) -> torch.Tensor:
        channels, amount = int(live.sum()), self.target.amount
        if isinstance(amount, int) and amount > channels:
            raise AmountError(
                f"amount={amount} is more than the {channels} channels of dim={dim} still "
                "unpruned. Rule: an int amount of a structured method counts channels, and takes "
                "at most what is left [METH-06, AMT-11]. Lower it, or pass a float.",
                kind="amount-too-large",
            )
        if self.target.count(live.numel(), channels) == 0:  # torch draws nothing then
            return prior
        ranks = self._ranks(scores.detach(), live.cpu(), dim)
        return channel_mask(ranks.cpu(), self.target, live.cpu(), dim, prior)

    def _ranks(self, scores: torch.Tensor, live: torch.Tensor, dim: int) -> torch.Tensor:
        raise NotImplementedError


class RandomStructured(_Structured, torch_prune.RandomStructured):
    """Prune channels at random.

    Parameters
    ----------
    amount, sparsity
        As for `L1Unstructured`, counted in channels.
    dim : int
        The dimension whose indices are the channels.
    seed : int, optional
        0 to 2**64 - 1: the same mask on every framework. Without it ``torch.manual_seed`` decides.
    process_group : torch.distributed.ProcessGroup, optional
        Its first rank draws the seed for all.

    Notes
    -----
    Clauses METH-05 to METH-09, RAND-06. Source: ``torch.nn.utils.prune.RandomStructured``.
    """

    def __init__(
        self,
        amount: Any = None,
        dim: int = -1,
        *,
        sparsity: Any = None,
        seed: Any = None,
        process_group: Any = None,
    ) -> None:
        self.target = target_of(amount, sparsity)
        self.amount, self.dim = amount, dim
        self.seed = resolve_seed(None if seed is None else as_seed(seed), process_group)

    def _ranks(self, scores: torch.Tensor, live: torch.Tensor, dim: int) -> torch.Tensor:
        if self.seed is not None:
            return torch.as_tensor(draws(self.seed, 0, live.numel(), xp=np).astype(np.int64))
        ranks = torch.zeros(live.shape, dtype=torch.float64)
        ranks[live] = channel_draws(int(live.sum()))
        return ranks

    @classmethod
    def apply(  # type: ignore[override]
        cls, module: nn.Module, name: str, amount: Any = None, dim: int = -1, **options: Any
    ) -> Any:
        """Prune one parameter; see `BasePruningMethod.apply`."""
        return super().apply(module, name, amount=amount, dim=dim, **options)


class LnStructured(_Structured, torch_prune.LnStructured):
    """Prune the channels of smallest norm.

    Parameters
    ----------
    amount, sparsity
        As for `L1Unstructured`, counted in channels.
    n : int, float, 'fro' or 'nuc'
        Order of the norm, as ``torch.norm`` takes it; 'nuc' where channels are matrices.
    dim : int
        The dimension whose indices are the channels.

    Raises
    ------
    NormError
        When it prunes, if `n` does not fit (a ValueError and a RuntimeError).

    Notes
    -----
    Clauses METH-05 to METH-11, DEV-61. The norm is torch's very call, so masks are stock torch's.
    Source: ``torch.nn.utils.prune.LnStructured``.
    """

    def __init__(
        self, amount: Any = None, n: Any = 2, dim: int = -1, *, sparsity: Any = None
    ) -> None:
        self.target = target_of(amount, sparsity)
        self.amount, self.n, self.dim = amount, n, dim

    def _ranks(self, scores: torch.Tensor, live: torch.Tensor, dim: int) -> torch.Tensor:
        check_norm(self.n, scores.dim())
        norms: torch.Tensor = torch_prune._compute_norm(_normed(scores), self.n, dim)
        return norms

    @classmethod
    def apply(  # type: ignore[override]
        cls,
        module: nn.Module,
        name: str,
        amount: Any = None,
        n: Any = 2,
        dim: int = -1,
        importance_scores: Any = None,
        **options: Any,
    ) -> Any:
        """Prune one parameter; see `BasePruningMethod.apply`."""
        return super().apply(
            module,
            name,
            amount=amount,
            n=n,
            dim=dim,
            importance_scores=importance_scores,
            **options,
        )


def _dim_of(t: torch.Tensor, dim: Any) -> int:
    try:
        return check_dim(t.shape, index(dim))
    except TypeError:
        raise DimTypeError(
            f"dim={dim!r} is of type {type(dim).__name__}. Rule: dim is an int, one of the "
            "tensor's dimensions [METH-08]. For the rows of a Linear or the filters of a "
            "convolution pass dim=0."
        ) from None


def _normed(scores: torch.Tensor) -> torch.Tensor:
    """Widen what torch takes no norms of, integers and float8; refuse booleans. DEV-61."""
    format_of(backend.dtype_name(scores))
    if scores.is_complex() or (scores.is_floating_point() and scores.element_size() > 1):
        return scores
    return scores.to(torch.float64 if scores.element_size() > 2 else torch.float32)


own(LnStructured, torch_prune.LnStructured)
own(RandomStructured, torch_prune.RandomStructured)
