"""Room: the plan of a pruning. Tensors of one framework, ranked together: their cut and masks.

Clauses: RANK, TYPE-01, TYPE-09.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import prod
from typing import Any

from multiprune._array import Array, dtype_name, namespace_of
from multiprune.backend import Backend, CountsItself, OwnEntries
from multiprune.counting import BlockEntries, Column
from multiprune.cut import Cut
from multiprune.draws import DRAW_BITS, as_seed
from multiprune.errors import DtypeError
from multiprune.keys import Format, key_bits, promote, score_of
from multiprune.methods import PruningMethod, RandomUnstructured
from multiprune.plain import (
    PlainColumn,
    PlainEntries,
    positions_of,
    random_under,
    score_under,
)
from multiprune.ranking import Sum, find_cut
from multiprune.registry import backend_of
from multiprune.report import Report, TensorReport

__all__ = ["Ranking"]


class Ranking:
    """Many tensors ranked together: the plan of a pruning.

    Parameters
    ----------
    scores : sequence of array
        What is ranked, in the order of positions; all of one framework.
    method : PruningMethod
        Of PRUNING_TYPE 'unstructured'.
    masks : sequence of (array or None), optional
        Prior masks, checked, of the scores' shapes.

    Raises
    ------
    DtypeError
        If the dtypes cannot be ranked together (a TypeError).

    Notes
    -----
    Clauses RANK-01 to RANK-07, TYPE-01, TYPE-09.
    """

    def __init__(
        self,
        scores: Sequence[Array],
        method: PruningMethod,
        masks: Sequence[Array | None] | None = None,
    ) -> None:
        self.scores, self.method = scores, method
        self.signed = bool(getattr(method, "signed", False))
        backend = backend_of(scores[0])
        names = [(backend.dtype_name if backend else dtype_name)(s) for s in scores]
        promoted = promote(names)
        if self.signed and promoted.kind == "complex":
            raise DtypeError(
                f"{promoted.name} scores were given with signed=True. Rule: complex numbers rank "
                "by their modulus [NUM-16]. Leave signed out, or take their real part."
            )
        self.fmt = promoted.real
        self.seed = as_seed(method.seed) if isinstance(method, RandomUnstructured) else None
        bits = DRAW_BITS if self.seed is not None else key_bits(self.fmt, signed=self.signed)
        sizes = [prod(s.shape) for s in scores]
        offsets = [0, *accumulate(sizes)]
        # Columns refer to tensors, never back to the ranking: nothing must wait for the collector.
        what = (promoted, self.signed, self.seed)
        places = list(zip(scores, masks or [None] * len(sizes), sizes, offsets, strict=False))
        given = [mask for _, mask, _, _ in places]
        options: Any = {"signed": self.signed, "seed": self.seed}
        self.entries: BlockEntries | PlainEntries | OwnEntries
        if isinstance(backend, CountsItself) and (
            own := backend.entries(scores, given, bits, promoted, **options)
        ):
            self.entries = own
        elif backend is not None:
            columns = [
                _column(backend, _keys(backend, score, *what, offset), mask, size, offset)
                for score, mask, size, offset in places
            ]
            self.entries = BlockEntries(columns, bits, backend)
        else:
            xp = namespace_of(*scores)
            plain = [
                _plain(xp, score, *what, mask, size, offset) for score, mask, size, offset in places
            ]
            self.entries = PlainEntries(plain, bits, xp)

    def cut(self, total: Sum = lambda counts: counts) -> Cut:
        """Find the cut; `total` adds counters over processes."""
        target, size = self.method.target, self.entries.size
        return find_cut(self.entries, lambda live: target.count(size, live), total=total)

    def threshold(self, cut: Cut) -> float | None:
        """Return the score at the cut; None if nothing goes, or draws were ranked."""
        if cut.count == 0 or self.seed is not None:
            return None
        return score_of(cut.threshold, self.fmt, signed=self.signed)

    def report(self, cut: Cut, names: Sequence[str], pruned: Sequence[int]) -> Report:
        """Say what the cut did: `pruned` entries of each tensor."""
        tensors = [
            TensorReport(name, tuple(s.shape), prod(s.shape), count)
            for name, s, count in zip(names, self.scores, pruned, strict=True)
        ]
        return Report(
            tensors,
            self.threshold(cut),
            cut.ties,
            cut.tied_pruned,
            type(self.method).__name__,
        )


def _column(
    backend: Backend, keys: Callable[[int, int], Array], mask: Array | None, size: int, offset: int
) -> Column:
    if mask is None:
        return Column(size, offset, keys)
    return Column(size, offset, keys, lambda i, j: backend.alive(backend.flat(mask, i, j)))


def _keys(
    backend: Backend, score: Array, fmt: Format, signed: bool, seed: int | None, offset: int
) -> Callable[[int, int], Array]:
    if seed is not None:
        return lambda i, j: backend.draws(seed, offset + i, offset + j)
    return lambda i, j: backend.keys(backend.flat(score, i, j), fmt, signed=signed)


def _plain(
    xp: Any,
    score: Array,
    fmt: Format,
    signed: bool,
    seed: int | None,
    mask: Array | None,
    size: int,
    offset: int,
) -> PlainColumn:
    def positions() -> Array:
        return positions_of(score, offset, xp=xp)

    if seed is not None:
        under = random_under(seed, positions, xp=xp)
    else:
        ranked = score
        if fmt.kind == "complex":
            ranked = xp.abs(xp.astype(score, getattr(xp, fmt.name)))
        ranked = xp.astype(ranked, getattr(xp, fmt.real.name))
        under = score_under(ranked, fmt.real, signed=signed, xp=xp)
    alive = None if mask is None else xp.astype(mask, xp.bool)
    return PlainColumn(size, under, alive, positions)
