"""*Among whom*: which entries are ranked together. Names and shapes; no data.

Clauses: SCOPE, GROUP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from multiprune.errors import ScopeError
from multiprune.patterns import by_name
from multiprune.structured import check_dim

__all__ = ["Pools", "Scope"]

Kind = Literal["global", "tensor", "row", "group", "pools"]
_PLAIN: dict[str, Kind] = {"global": "global", "tensor": "tensor", "row": "row"}


@dataclass(frozen=True)
class Pools:
    """Pools of whole tensors.

    Attributes
    ----------
    of : tuple of int
        The pool of each tensor.
    labels : tuple of str
        What each pool is called in messages; empty for the one pool of a global ranking.
    sizes : tuple of int
        How many entries each has.
    """

    of: tuple[int, ...]
    labels: tuple[str, ...]
    sizes: tuple[int, ...]

    @classmethod
    def together(cls, sizes: Sequence[int]) -> Pools:
        """Return one pool of everything."""
        return cls((0,) * len(sizes), ("",), (sum(sizes),))

    @classmethod
    def each(cls, names: Sequence[str], sizes: Sequence[int]) -> Pools:
        """Return one pool for each tensor."""
        return cls(tuple(range(len(names))), tuple(f"tensor {n}" for n in names), tuple(sizes))


@dataclass(frozen=True)
class Scope:
    """Which entries are ranked together.

    Attributes
    ----------
    kind : {"global", "tensor", "row", "group", "pools"}
    dim : int
        Rows: the dimension whose indices are the rows. Groups: the one along which they run.
    keep, of : int
        Groups: so many entries are kept of so many consecutive ones.
    labels : mapping, optional
        Pools: the label of each name or pattern.
    """

    kind: Kind = "global"
    dim: int = 0
    keep: int = 0
    of: int = 0
    labels: Mapping[str, Any] | None = None

    @classmethod
    def parse(cls, scope: Any, dim: Any = None, *, rows: int = 0, groups: int = 1) -> Scope:
        """Read a scope as the doors take it.

        Parameters
        ----------
        scope : {"global", "tensor", "row"}, (n, m) or mapping
            Everything together, each tensor, each row, n kept of m consecutive entries, or pools
            by the names of tensors.
        dim : int, optional
            Of rows and groups.
        rows, groups : int
            What `dim` is by default: output and input channels.

        Raises
        ------
        ScopeError
            If it is none of these, or has no dimension (a ValueError and a TypeError).

        Notes
        -----
        Clauses SCOPE-01 to SCOPE-04, GROUP-01.
        """
        chosen = _parsed(scope)
        if chosen.kind not in ("row", "group"):
            if dim is not None:
                raise ScopeError(
                    f"dim={dim!r} was given with scope={scope!r}. Rule: only rows and groups have "
                    'a dimension [SCOPE-06]. Leave it out, or take scope="row" or scope=(2, 4).'
                )
            return chosen
        if dim is None:
            dim = rows if chosen.kind == "row" else groups
        if isinstance(dim, bool) or not hasattr(dim, "__index__"):
            raise ScopeError(
                f"dim={dim!r} is of type {type(dim).__name__}. Rule: dim is an int, one of the "
                "tensors' dimensions [SCOPE-06]."
            )
        return cls(chosen.kind, int(dim), chosen.keep, chosen.of)

    @property
    def is_small(self) -> bool:
        """Whether pools are parts of tensors: rows or groups."""
        return self.kind in ("row", "group")

    def __str__(self) -> str:
        return f"{self.keep}:{self.of}" if self.kind == "group" else self.kind

    def pools(self, names: Sequence[str], shapes: Sequence[Sequence[int]]) -> Pools:
        """Return the pools of whole tensors; rows and groups are checked, and make one pool each.

        Raises
        ------
        ScopeError
            If names or shapes do not fit (a ValueError).
        StructureError, DimError
            If a tensor has no such rows or groups (a ValueError, an IndexError).
        """
        sizes = [prod(shape) for shape in shapes]
        if self.kind == "global":
            return Pools.together(sizes)
        if self.labels is not None:
            labels = by_name(self.labels, names, "scope", ScopeError, complete=True)
            order = list(dict.fromkeys(labels))
            places = tuple(order.index(label) for label in labels)
            members = [
                [s for s, p in zip(sizes, places, strict=True) if p == i] for i in range(len(order))
            ]
            return Pools(places, tuple(f"pool {k!r}" for k in order), tuple(map(sum, members)))
        if self.is_small:
            for name, shape in zip(names, shapes, strict=True):
                self._check(name, shape)
        return Pools.each(names, sizes)

    def _check(self, name: str, shape: Sequence[int]) -> None:
        dim = check_dim(shape, self.dim, f"tensor {name}: ")
        if self.kind == "group" and shape[dim] % self.of:
            raise ScopeError(
                f"tensor {name} has {shape[dim]} entries along dim={self.dim}. Rule: groups of "
                f"{self.of} fill the dimension that they run along [GROUP-03]. Leave the tensor "
                "out, or pass another dim."
            )


def _parsed(scope: Any) -> Scope:
    if isinstance(scope, str) and scope in _PLAIN:
        return Scope(_PLAIN[scope])
    if isinstance(scope, Mapping):
        return Scope("pools", labels=scope)
    if isinstance(scope, (tuple, list)) and len(scope) == 2:
        n, m = scope
        whole = all(hasattr(x, "__index__") and not isinstance(x, bool) for x in scope)
        if whole and 1 <= int(n) <= int(m):
            return Scope("group", keep=int(n), of=int(m))
    raise ScopeError(
        f'scope={scope!r} was given. Rule: it is "global", "tensor", "row", a pair (n, m) with '
        "1 <= n <= m that keeps n of each m consecutive entries, or a mapping from names of "
        "tensors to pools [SCOPE-01]. Write scope=(2, 4) for semi-structured sparsity."
    )
