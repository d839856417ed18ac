"""Room: the main path. Amount → keys → cut → masks → report.

A `Ranking` is the plan of a global pruning: it finds the cut and turns it into masks.
`global_unstructured` does both for arrays, `mask_of` prunes one array by any method. Backends that
reparametrize build a `Ranking` and write masks of their own.
Clauses: RANK, TIE, MASK, METH.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from multiprune._array import Array, dtype_name, namespace_of
from multiprune.backend import Backend
from multiprune.counting import BlockEntries, Column
from multiprune.cut import Cut
from multiprune.draws import DRAW_BITS
from multiprune.errors import DtypeError, PruningTypeError
from multiprune.keys import key_bits, promote, score_of
from multiprune.masks import check_mask, live_channels, spread
from multiprune.methods import (
    CustomFromMask,
    L1Unstructured,
    LnStructured,
    PruningMethod,
    RandomStructured,
    RandomUnstructured,
)
from multiprune.named import named
from multiprune.plain import PlainColumn, PlainEntries, random_under, score_under
from multiprune.ranking import Sum, find_cut
from multiprune.registry import backend_of
from multiprune.report import Report, TensorReport
from multiprune.structured import channel_norms, check_dim, check_norm

__all__ = ["Pruned", "Ranking", "global_unstructured", "mask_of"]


class Pruned(NamedTuple):
    """What `global_unstructured` returns.

    Attributes
    ----------
    masks : list, tuple or dict of arrays
        Booleans, True where an entry is kept, in the structure that was given.
    report : Report
    """

    masks: Any
    report: Report


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
        self.masks = masks or [None] * len(scores)
        self.signed = bool(getattr(method, "signed", False))
        self.backend = backend_of(scores[0])
        names = [(self.backend.dtype_name if self.backend else dtype_name)(s) for s in scores]
        promoted = promote(names)
        if self.signed and promoted.kind == "complex":
            raise DtypeError(
                f"{promoted.name} scores were given with signed=True. Rule: complex numbers rank "
                "by their modulus [NUM-16]. Leave signed out, or take their real part."
            )
        self.promoted, self.fmt = promoted, promoted.real
        self.seed = method.seed if isinstance(method, RandomUnstructured) else None
        bits = DRAW_BITS if self.seed is not None else key_bits(self.fmt, signed=self.signed)
        sizes = [_size(s) for s in scores]
        offsets = [0, *accumulate(sizes)]
        places = list(zip(scores, self.masks, sizes, offsets, strict=False))
        self.entries: BlockEntries | PlainEntries
        if self.backend is not None:
            backend = self.backend
            columns = [self._column(backend, *place) for place in places]
            self.entries = BlockEntries(columns, bits, backend)
        else:
            xp = namespace_of(*scores)
            self.entries = PlainEntries([self._plain(xp, *place) for place in places], bits, xp)

    def cut(self, total: Sum = lambda counts: counts) -> Cut:
        """Find the cut; `total` adds counters over processes."""
        target, size = self.method.target, self.entries.size
        return find_cut(self.entries, lambda live: target.count(size, live), total=total)

    def report(self, cut: Cut, names: Sequence[str], pruned: Sequence[int]) -> Report:
        """Say what the cut did: `pruned` entries of each tensor."""
        tensors = [
            TensorReport(name, tuple(s.shape), _size(s), count)
            for name, s, count in zip(names, self.scores, pruned, strict=True)
        ]
        known = cut.count > 0 and self.seed is None
        return Report(
            tensors,
            score_of(cut.threshold, self.fmt, signed=self.signed) if known else None,
            cut.ties,
            cut.tied_pruned,
            type(self.method).__name__,
        )

    def _column(
        self, backend: Backend, score: Array, mask: Array | None, size: int, offset: int
    ) -> Column:
        def keys(start: int, stop: int) -> Array:
            if self.seed is not None:
                return backend.draws(self.seed, offset + start, offset + stop)
            return backend.keys(backend.flat(score, start, stop), self.promoted, signed=self.signed)

        def alive(start: int, stop: int) -> Array:
            return backend.alive(backend.flat(mask, start, stop))

        return Column(size, offset, keys, None if mask is None else alive)

    def _plain(
        self, xp: Any, score: Array, mask: Array | None, size: int, offset: int
    ) -> PlainColumn:
        flat = xp.reshape(score, (-1,))
        if self.seed is not None:
            under = random_under(self.seed, offset, size, xp=xp)
        else:
            if self.promoted.kind == "complex":
                flat = xp.abs(xp.astype(flat, getattr(xp, self.promoted.name)))
            flat = xp.astype(flat, getattr(xp, self.fmt.name))
            under = score_under(flat, self.fmt, signed=self.signed, xp=xp)
        if mask is None:
            alive = xp.ones(size, dtype=xp.bool)
        else:
            alive = xp.reshape(xp.astype(mask, xp.bool), (-1,))
        return PlainColumn(size, offset, under, alive)


def global_unstructured(
    parameters: Sequence[Array] | Mapping[str, Array],
    pruning_method: type[PruningMethod] = L1Unstructured,
    importance_scores: Any = None,
    *,
    masks: Any = None,
    **kwargs: Any,
) -> Pruned:
    """Rank every entry of many arrays together, and mask those that go first.

    Parameters
    ----------
    parameters : sequence or mapping of arrays
        Arrays of any shape and of one framework. In a sequence positions follow its order, in a
        mapping the code-point order of the names.
    pruning_method : type
        A method of PRUNING_TYPE 'unstructured'.
    importance_scores : sequence or mapping of arrays, optional
        Ranked instead of the arrays; same structure, same shapes.
    masks : sequence or mapping of (array or None), optional
        Prior masks: what is 0 there stays pruned, and ranks nothing.
    **kwargs
        The method's own: ``amount`` (an int counts entries, a float in [0, 1] is a fraction of
        those still unpruned) or ``sparsity`` (fraction of all entries), ``signed``, ``seed``.

    Returns
    -------
    Pruned
        ``masks``, booleans in the given structure, True where an entry is kept, and ``report``.

    Raises
    ------
    PruningTypeError
        If the method is not 'unstructured' (a TypeError).
    ParametersTypeError, ParametersError, DtypeError, MaskError, ScoresError, ScoresShapeError
        If tensors, masks or scores do not fit.
    AmountTypeError, AmountError, SparsityError
        If the amount does not.

    Notes
    -----
    Clauses RANK-01 to RANK-07, TIE-01 to TIE-04, MASK-01 to MASK-05, SCORE-01 to SCORE-07. Source:
    ``torch.nn.utils.prune.global_unstructured``.

    Examples
    --------
    >>> import numpy as np
    >>> layers = {"a": np.array([3.0, -1.0]), "b": np.array([0.5, 2.0])}
    >>> pruned = global_unstructured(layers, amount=0.5)
    >>> pruned.masks["a"], pruned.masks["b"]
    (array([ True, False]), array([False,  True]))
    """
    check_unstructured(pruning_method)
    method = pruning_method(**kwargs)
    tensors = named(parameters)
    scores = tensors.matching(importance_scores, "importance_scores")
    prior = tensors.matching(masks, "masks", optional=True)
    for name, tensor, mask in zip(tensors.names, tensors.values, prior, strict=True):
        if mask is not None:
            check_mask(mask, tensor, name, xp=namespace_of(mask))
    ranking = Ranking(scores, method, prior)
    cut = ranking.cut()
    kept = [ranking.entries.keep(i, cut, t) for i, t in enumerate(tensors.values)]
    report = ranking.report(cut, tensors.names, [pruned for _, pruned in kept])
    return Pruned(tensors.rebuild([mask for mask, _ in kept]), report)


def mask_of(
    tensor: Array, method: PruningMethod, mask: Array | None = None, *, scores: Array | None = None
) -> Array:
    """Prune one array by any method.

    Parameters
    ----------
    tensor : array
    method : PruningMethod
        With its amount, for example ``LnStructured(0.5, n=2, dim=0)``.
    mask : array, optional
        Prior mask.
    scores : array, optional
        Ranked instead of the array; same shape.

    Returns
    -------
    array of bool
        True where an entry is kept, in the shape of `tensor`.

    Raises
    ------
    StructureError, DimError, NormError
        If a structured method does not fit the tensor.
    MaskError, ScoresShapeError, AmountError, ...
        As in `global_unstructured`.

    Notes
    -----
    Clauses METH-01 to METH-11.
    """
    tensors = named([tensor])
    (ranked,) = tensors.matching(None if scores is None else [scores], "scores")
    xp = namespace_of(tensor)
    if mask is not None:
        check_mask(mask, tensor, "tensor", xp=xp)
    if isinstance(method, CustomFromMask):
        check_mask(method.mask, tensor, "tensor", xp=xp)
        given = xp.astype(method.mask, xp.bool)
        return given if mask is None else given & xp.astype(mask, xp.bool)
    if not isinstance(method, (LnStructured, RandomStructured)):
        ranking = Ranking([ranked], method, [mask])
        return ranking.entries.keep(0, ranking.cut(), tensor)[0]
    dim = check_dim(tensor, method.dim)
    live = live_channels(mask, tensor, dim, xp=xp)
    channels: PruningMethod
    if isinstance(method, LnStructured):
        check_norm(method.n, tensor.ndim)
        if mask is not None:
            ranked = xp.where(xp.astype(mask, xp.bool), ranked, xp.zeros_like(ranked))
        norms = channel_norms(ranked, method.n, dim, xp=xp)
        channels = _of(L1Unstructured, method)
    else:
        norms = xp.zeros(tensor.shape[dim], dtype=xp.float32)
        channels = _of(RandomUnstructured, method)
    ranking = Ranking([norms], channels, [live])
    kept, _ = ranking.entries.keep(0, ranking.cut(), norms)
    return spread(kept, mask, tensor, dim, xp=xp)


def check_unstructured(method: Any) -> None:
    """Check that a method can rank many tensors together.

    Raises
    ------
    PruningTypeError
        If its PRUNING_TYPE is not 'unstructured' (a TypeError).

    Notes
    -----
    Clause METH-02. Source: the last check of ``torch.nn.utils.prune.global_unstructured``.
    """
    found = getattr(method, "PRUNING_TYPE", None)
    if found != "unstructured":
        raise PruningTypeError(
            f'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
            f"{method!r} of type {found!r}. Rule: only single entries rank across tensors "
            "[METH-02]. Take L1Unstructured, say, or prune each tensor by itself."
        )


def _of(kind: type[PruningMethod], method: Any) -> Any:
    """Make the unstructured method that ranks a structured method's channels."""
    channels = kind.__new__(kind)
    channels.__dict__.update(signed=False, **method.__dict__)
    return channels


def _size(tensor: Array) -> int:
    size = 1
    for n in tensor.shape:
        size *= int(n)
    return size
