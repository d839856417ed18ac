"""What is asked of a ranking, as one value: how much, among whom, within which bounds.

Clauses: AMT, SCOPE, BOUND, ALLOC.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from math import prod
from typing import Any, Literal, Protocol, TypeVar

from multiprune.allocation import allocate, check_allocation
from multiprune.amount import Kept, Target
from multiprune.bounds import Bounds, Limits
from multiprune.errors import (
    AllocationError,
    AmountError,
    AmountTypeError,
    BoundsError,
    PruningTypeError,
    SparsityError,
)
from multiprune.scope import Pools, Scope

__all__ = ["AllocationLike", "BoundLike", "Question", "ScopeLike", "count_in"]

ScopeLike = Literal["global", "tensor", "row"] | tuple[int, int] | Mapping[str, Hashable]
BoundLike = float | Mapping[str, float] | None
AllocationLike = Literal["uniform", "erk"] | Mapping[str, float] | None


class Targeted(Protocol):
    """A pruning method, ours or a backend's."""

    target: Target


M = TypeVar("M", bound=Targeted)


@dataclass(frozen=True)
class Question:
    """What is asked of a ranking.

    Attributes
    ----------
    target : Target
        How much is pruned.
    scope : Scope
        Among which entries.
    limits : Limits
        Within which bounds.
    allocation : {"uniform", "erk"} or mapping, optional
        By which rule the total is shared out to the tensors.
    """

    target: Target
    scope: Scope = Scope()  # noqa: RUF009 - immutable
    limits: Limits = Limits()  # noqa: RUF009 - immutable
    allocation: Any = None

    @classmethod
    def of(
        cls,
        method: Callable[..., M],
        options: Mapping[str, Any],
        *,
        scope: Any = "global",
        dim: Any = None,
        keep_at_least: Any = None,
        prune_at_most: Any = None,
        prune_at_least: Any = None,
        allocation: Any = None,
        rows: int = 0,
        groups: int = 1,
    ) -> tuple[M, Question]:
        """Read a question as the doors take it.

        Parameters
        ----------
        method : type
            A pruning method; what it makes has a `target`.
        options : mapping
            Its own: `amount` or `sparsity`, which groups do without, and others.
        scope, dim, rows, groups
            See `multiprune.scope.Scope.parse`.
        keep_at_least, prune_at_most, prune_at_least
            See `multiprune.bounds.Limits`.
        allocation
            See `multiprune.allocation.allocate`.

        Returns
        -------
        method : PruningMethod
        question : Question

        Raises
        ------
        AmountTypeError, AmountError, ScopeError, BoundsError, AllocationError
            If any is not what it should be, or they do not go together.
        """
        where = Scope.parse(scope, dim, rows=rows, groups=groups)
        limits = Limits(keep_at_least, prune_at_most, prune_at_least)
        options = dict(options)
        if where.kind == "group":
            amounts = {k: options.get(k) for k in ("amount", "sparsity")}
            if any(value is not None for value in amounts.values()):
                raise AmountTypeError(
                    f"{amounts} was given with scope={scope!r}. Rule: {where.keep} of each "
                    f"{where.of} entries are kept, which says how much is pruned [GROUP-02]. Leave "
                    "the amount out."
                )
            if "amount" not in signature(method).parameters:
                raise PruningTypeError(
                    f"{method!r} was given with scope={scope!r}. Rule: groups say how much is "
                    "pruned, and this method takes no amount [GROUP-02]. Pass L1Unstructured or "
                    "RandomUnstructured."
                )
            options = {**options, "amount": Kept(where.keep), "sparsity": None}
        if limits and (where.kind != "global" or allocation is not None):
            raise BoundsError(
                f"{limits} was given with {scope=} and {allocation=}. Rule: bounds limit what a "
                "global ranking prunes of each tensor; elsewhere the amount of each pool is fixed "
                "[BOUND-07]. Leave one of them out."
            )
        if allocation is not None:
            check_allocation(allocation)
            if where.kind not in ("global", "tensor"):
                raise AllocationError(
                    f"{allocation=} was given with {scope=}. Rule: an allocation shares a total "
                    "out to whole tensors [ALLOC-06]. Leave scope out."
                )
        asked = method(**options)
        return asked, cls(asked.target, where, limits, allocation)

    def pools(self, names: Sequence[str], shapes: Sequence[Sequence[int]]) -> Pools:
        """Return the pools of whole tensors; rows and groups are checked, and make one pool each.

        Raises
        ------
        ScopeError, StructureError, DimError
            As `multiprune.scope.Scope.pools`.
        """
        pools = self.scope.pools(names, shapes)
        if self.limits or self.allocation is not None:
            return Pools.each(names, [prod(shape) for shape in shapes])
        return pools

    def bounds(
        self,
        pools: Pools,
        live: Sequence[int],
        names: Sequence[str],
        shapes: Sequence[Sequence[int]],
    ) -> Bounds:
        """Return how many entries are pruned, of all and of each pool.

        Parameters
        ----------
        pools : Pools
            As `pools` returns them.
        live : sequence of int
            How many entries of each pool are unpruned.
        names, shapes : sequence
            Of the tensors.

        Raises
        ------
        AmountError, SparsityError, BoundsError, AllocationError
            If so many cannot be pruned.
        """
        if self.limits or self.allocation is not None:
            total = self.target.count(sum(pools.sizes), sum(live))
            if self.allocation is not None:
                return Bounds.exactly(allocate(self.allocation, names, shapes, live, total))
            return self.limits.bounds(names, pools.sizes, live, total)
        return Bounds.exactly(
            [
                count_in(self.target, label, size, alive)
                for label, size, alive in zip(pools.labels, pools.sizes, live, strict=True)
            ]
        )

    def held(self, bounds: Bounds, pool: int, pruned: int, live: int) -> str:
        """Return what decided how many entries of a pool are pruned, in a word; or nothing."""
        if self.allocation is not None:
            return "dense" if pruned == 0 and live else ""
        if not self.limits:
            return ""
        return self.limits.held(pruned, bounds.low[pool], bounds.high[pool], live)


def count_in(target: Target, label: str, size: int, live: int) -> int:
    """Count the entries to prune of one pool, which an error names."""
    try:
        return target.count(size, live)
    except (AmountError, SparsityError) as error:
        if label:
            error.args = (f"{label}: {error}",)
        raise
