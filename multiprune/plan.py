"""The plan of a pruning: tensors ranked by a question, the cuts of their pools, masks and a report.

Clauses: RANK, TYPE-01, TYPE-09, SCOPE, BOUND, ALLOC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from math import prod
from typing import Any

from multiprune._array import Array, dtype_name, namespace_of
from multiprune.backend import Backend, Engine, RanksItself
from multiprune.bounds import Bounds
from multiprune.column import Column
from multiprune.comparing import Comparing, compared, positions_of
from multiprune.comparing_local import ComparedGroups, ComparedRows
from multiprune.counting import Counting
from multiprune.cut import Cut
from multiprune.local import Local
from multiprune.methods import PruningMethod
from multiprune.order import Order
from multiprune.question import Question
from multiprune.registry import backend_of
from multiprune.report import Report, TensorReport
from multiprune.scope import Pools
from multiprune.search import Sum

__all__ = ["Plan", "columns_of", "plan"]


class Plan:
    """What a question comes down to, before anything is changed.

    Parameters
    ----------
    question : Question
    names, shapes : sequence
        Of the tensors, in the order of positions.
    order : Order
    pools : Pools
    engine : Engine
        Ranks the tensors.
    total : callable, optional
        Adds counters over processes.

    Attributes
    ----------
    cuts : tuple of Cut
        One for each pool; none where pools are rows or groups.

    Raises
    ------
    AmountError, SparsityError, BoundsError, AllocationError
        If so many entries cannot be pruned.

    Notes
    -----
    Clauses RANK-01 to RANK-07.
    """

    def __init__(
        self,
        question: Question,
        names: Sequence[str],
        shapes: Sequence[Sequence[int]],
        order: Order,
        pools: Pools,
        engine: Engine,
        total: Sum = lambda rows: rows,
    ) -> None:
        self.question, self.names, self.shapes = question, names, shapes
        self.order, self.pools, self.engine = order, pools, engine
        self.bounds = Bounds.exactly([])

        def ask(live: Sequence[int]) -> Bounds:
            self.bounds = question.bounds(pools, live, names, shapes)
            return self.bounds

        self.cuts: tuple[Cut, ...] = engine.cuts(ask, total=total)

    def keep(self, number: int, like: Array) -> tuple[Array, int]:
        """Make the mask of one tensor, and count what is pruned of it, earlier or now."""
        return self.engine.keep(number, self.cuts, like)

    @property
    def threshold(self) -> float | None:
        """The score of the last entry that is pruned, where pools share it."""
        keys = {cut.threshold for cut in self._sharing()}
        return self.order.score(keys.pop()) if len(keys) == 1 else None

    def report(self, pruned: Sequence[int], method: str, way: str = "") -> Report:
        """Say what was done: so many entries of each tensor are pruned, earlier or now."""
        several = len(self.cuts) > 1
        tensors = []
        for i, (name, shape, count) in enumerate(zip(self.names, self.shapes, pruned, strict=True)):
            pool = self.pools.of[i]
            cut = self.cuts[pool] if several else None
            tensors.append(
                TensorReport(
                    name,
                    tuple(shape),
                    prod(shape),
                    count,
                    threshold=None if cut is None else self.order.score(cut.threshold),
                    held="" if cut is None else self._held(pool, cut),
                )
            )
        sharing = self._sharing()
        ties = sum(cut.ties for cut in sharing) if len({c.threshold for c in sharing}) == 1 else 0
        tied = sum(cut.tied_pruned for cut in sharing) if ties else 0
        return Report(tensors, self.threshold, ties, tied, method, way, str(self.question.scope))

    def _sharing(self) -> list[Cut]:
        """Return the cuts of pools that no bound holds."""
        return [c for i, c in enumerate(self.cuts) if c.count and not self._held(i, c)]

    def _held(self, pool: int, cut: Cut) -> str:
        return self.question.held(self.bounds, pool, cut.count, cut.live)


def plan(
    scores: Sequence[Array],
    question: Question,
    method: PruningMethod,
    masks: Sequence[Array | None] | None = None,
    names: Sequence[str] | None = None,
) -> Plan:
    """Rank arrays.

    Parameters
    ----------
    scores : sequence of array
        What is ranked, in the order of positions; all of one framework.
    question : Question
    method : PruningMethod
        Of PRUNING_TYPE 'unstructured': by what entries are ranked.
    masks : sequence of (array or None), optional
        Prior masks, checked, of the scores' shapes.
    names : sequence of str, optional
        Of the tensors; their places in the list if left out.

    Raises
    ------
    DtypeError
        If the dtypes cannot be ranked together (a TypeError).
    ScopeError, StructureError, DimError, AmountError, SparsityError, BoundsError, AllocationError
        If the question does not fit the tensors.
    """
    names = [str(i) for i in range(len(scores))] if names is None else names
    backend = backend_of(scores[0])
    shapes, masks = [tuple(score.shape) for score in scores], masks or [None] * len(scores)
    dtypes = [(backend.dtype_name if backend else dtype_name)(score) for score in scores]
    order = Order.of(dtypes, method, names)
    pools = question.pools(names, shapes)
    engine: Engine | None = None
    if isinstance(backend, RanksItself):
        engine = backend.engine(scores, masks, order, question, pools)
    if engine is None and backend is not None:
        columns = columns_of(backend, scores, order, masks, pools)
        if question.scope.is_small:
            engine = Local(columns, names, shapes, question.scope, question.target, backend)
        else:
            engine = Counting(columns, order.bits, backend, pools=len(pools.sizes))
    elif engine is None:
        engine = _comparing(scores, order, masks, pools, question, names)
    return Plan(question, names, shapes, order, pools, engine)


def columns_of(
    backend: Backend,
    scores: Sequence[Array],
    order: Order,
    masks: Sequence[Array | None],
    pools: Pools,
) -> list[Column]:
    """Return tensors in memory as columns of keys, in the order of positions."""
    # Columns refer to tensors, never back to a plan: nothing must wait for the collector.
    sizes = [prod(score.shape) for score in scores]
    offsets = accumulate(sizes, initial=0)
    return [
        Column(size, offset, _keys(backend, score, order, offset), _alive(backend, mask), pool=pool)
        for score, mask, size, offset, pool in zip(
            scores, masks, sizes, offsets, pools.of, strict=False
        )
    ]


def _alive(backend: Backend, mask: Array | None) -> Callable[[int, int], Array] | None:
    if mask is None:
        return None
    return lambda i, j: backend.alive(backend.flat(mask, i, j))


def _keys(backend: Backend, score: Array, order: Order, offset: int) -> Callable[[int, int], Array]:
    seed = order.seed
    if seed is not None:
        return lambda i, j: backend.draws(seed, offset + i, offset + j)
    return lambda i, j: backend.keys(backend.flat(score, i, j), order.format, signed=order.signed)


def _comparing(
    scores: Sequence[Array],
    order: Order,
    masks: Sequence[Array | None],
    pools: Pools,
    question: Question,
    names: Sequence[str],
) -> Engine:
    xp: Any = namespace_of(*scores)
    if question.scope.kind == "row":
        return ComparedRows(scores, masks, order, question, names, xp)
    if question.scope.kind == "group":
        return ComparedGroups(scores, masks, order, question, xp)
    offsets = accumulate((prod(score.shape) for score in scores), initial=0)
    columns = [
        compared(score, order, mask, partial(positions_of, score, offset, xp=xp), pool, xp=xp)
        for score, mask, offset, pool in zip(scores, masks, offsets, pools.of, strict=False)
    ]
    return Comparing(columns, order.bits, len(pools.sizes), xp)
