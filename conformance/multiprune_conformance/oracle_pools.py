"""The oracle's pools: who is ranked with whom, by sorting and by counting (SPEC.md 15 to 18).

Entries are named by their positions in the call. A pool is an array of positions in
ascending order, so that a stable sort by key is the order of (key, position).
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from multiprune_conformance import oracle_counts
from multiprune_conformance.oracle_allocation import allocated
from multiprune_conformance.oracle_bounds import limits, within
from multiprune_conformance.oracle_dtypes import Array, Refused
from multiprune_conformance.oracle_names import by_name


class Request(NamedTuple):
    """What is asked; the members are those of the operation `prune`."""

    amount: Any = None
    sparsity: Any = None
    scope: Any = "global"
    dim: Any = None
    keep_at_least: Any = None
    prune_at_most: Any = None
    prune_at_least: Any = None
    allocation: Any = None

    @property
    def bounds(self) -> dict[str, Any]:
        """The bounds that are given (BOUND-08)."""
        names = ("keep_at_least", "prune_at_most", "prune_at_least")
        limits_of = {name: getattr(self, name) for name in names}
        return {name: value for name, value in limits_of.items() if value is not None}


def chosen(key: Array, live: Sequence[Array], names: Sequence[str], request: Request) -> Array:
    """Return the positions that are pruned.

    Parameters
    ----------
    key
        The keys of all entries, by position.
    live
        The live entries of each tensor, in its shape.
    names
        The name of each tensor.
    request
        What is asked.
    """
    scope = request.scope
    check(request)
    places = positions(live)
    alive = np.concatenate([mask.reshape(-1) for mask in live])
    if isinstance(scope, (tuple, list)):
        tables = [groups(place, scope[1], request.dim) for place in places]
        return _join([over(key, alive, table, scope[0]) for table in tables])
    if request.allocation is None and scope != "global":
        oracle_counts.check(request.amount, request.sparsity)  # where there is no pool, too
        return _join([
            lowest(key, alive, pool, counted(request, alive[pool]))
            for pool in pools(places, names, request)
        ])  # fmt: skip
    total = oracle_counts.how_many(request.amount, request.sparsity, alive)
    shapes = [mask.shape for mask in live]
    if request.allocation is not None:
        each = allocated(request.allocation, names, shapes, [int(m.sum()) for m in live], total)
        return _join([lowest(key, alive, p, k) for p, k in zip(places, each, strict=True)])
    low, high = limits(request.bounds, names, live, total)
    tensor = np.repeat(np.arange(len(live)), [mask.size for mask in live])
    return within(lowest(key, alive, np.arange(key.size), key.size), tensor, low, high, total)


def check(request: Request) -> None:
    """Refuse what does not go together (SCOPE-01, SCOPE-06, GROUP-02, BOUND-07, ALLOC-06)."""
    scope = request.scope
    if isinstance(scope, str):
        if scope not in {"global", "tensor", "row"}:
            raise Refused("scope", f"{scope!r} is none of global, tensor, row")
    elif isinstance(scope, (tuple, list)):
        _check_groups(scope)
    elif not isinstance(scope, Mapping):
        raise Refused("scope", f"{scope!r} is not a scope")
    if request.dim is not None:
        if scope != "row" and not isinstance(scope, (tuple, list)):
            raise Refused("scope", "only rows and groups have a dimension")
        if isinstance(request.dim, bool) or not isinstance(request.dim, numbers.Integral):
            raise Refused("scope", f"the dimension {request.dim!r} is not an integer")
    if request.bounds and (scope != "global" or request.allocation is not None):
        raise Refused("bounds", "bounds hold within one ranking of everything")
    if request.allocation is not None and scope not in ("global", "tensor"):
        raise Refused("allocation", "an allocation shares out to whole tensors")
    asked = request.amount is not None or request.sparsity is not None
    if asked and isinstance(scope, (tuple, list)):
        raise Refused("amount-type", "groups say by themselves how much is pruned")


def _check_groups(scope: Sequence[Any]) -> None:
    # GROUP-06
    whole = all(isinstance(x, numbers.Integral) and not isinstance(x, bool) for x in scope)
    if len(scope) != 2 or not whole or not 1 <= scope[0] <= scope[1]:
        raise Refused("scope", f"{scope!r} is not a pair 1 <= n <= m")


def positions(live: Sequence[Array]) -> list[Array]:
    """Return the position of each entry, in the shapes of the tensors (TIE-02)."""
    starts = np.cumsum([0, *(mask.size for mask in live)])
    return [
        start + np.arange(mask.size).reshape(mask.shape)
        for start, mask in zip(starts[:-1], live, strict=True)
    ]


def pools(places: Sequence[Array], names: Sequence[str], request: Request) -> list[Array]:
    """Return the positions of each pool (SCOPE-02, SCOPE-03, SCOPE-04)."""
    if request.scope == "row":
        return [row for place in places for row in rows(place, request.dim)]
    if request.scope == "tensor":
        return list(places)
    labels = by_name(request.scope, names, "scope")
    if None in labels:
        raise Refused("scope", f"{names[labels.index(None)]} is in no pool")
    return [
        _join([place for place, other in zip(places, labels, strict=True) if other == label])
        for label in dict.fromkeys(labels)
    ]


def rows(place: Array, dim: int | None) -> Array:
    """Return a table of positions, one row for each index of a dimension (SCOPE-03)."""
    along = dimension(place, 0 if dim is None else dim)
    moved = np.moveaxis(place, along, 0)
    return moved.reshape(moved.shape[0], int(np.prod(moved.shape[1:])))


def groups(place: Array, m: int, dim: int | None) -> Array:
    """Return a table of positions, m consecutive ones along a dimension in a row (GROUP-01)."""
    along = dimension(place, 1 if dim is None else dim)
    if place.shape[along] % m:
        raise Refused("scope", f"{place.shape[along]} is not a multiple of {m}")  # GROUP-03
    return np.moveaxis(place, along, -1).reshape(-1, m)


def dimension(place: Array, dim: int) -> int:
    """Check a dimension of a tensor (SCOPE-06, SCOPE-07)."""
    if place.ndim < 2:
        raise Refused("not-structured", f"a tensor of {place.ndim} dimensions has no such pools")
    if not -place.ndim <= dim < place.ndim:
        raise Refused("dim", f"{dim} in a tensor of {place.ndim} dimensions")
    return int(dim)


def counted(request: Request, alive: Array) -> int:
    """Return how many entries of a pool are pruned (SCOPE-08)."""
    return oracle_counts.how_many(request.amount, request.sparsity, alive)


def lowest(key: Array, alive: Array, pool: Array, k: int) -> Array:
    """Return the k lowest live entries of a pool by (key, position) (SCOPE-09)."""
    members = pool.reshape(-1)
    order = members[np.argsort(key[members], kind="stable")]
    return order[alive[order]][:k]


def over(key: Array, alive: Array, table: Array, n: int) -> Array:
    """Return what is pruned so that n live entries are left in each row of a table.

    An entry is pruned where fewer than (live - n) entries of its group precede it in
    (key, position) (GROUP-02, GROUP-04, GROUP-05).
    """
    keys, here = key[table], alive[table]
    one, other = keys[:, :, None], keys[:, None, :]
    first = (other < one) | ((other == one) & (table[:, None, :] < table[:, :, None]))
    before = (first & here[:, None, :]).sum(axis=2)
    excess = here.sum(axis=1, keepdims=True) - n
    return np.asarray(table[here & (before < excess)])


def _join(parts: Sequence[Array]) -> Array:
    empty = np.zeros(0, dtype=np.int64)
    return np.concatenate([empty, *(part.reshape(-1) for part in parts)])
