"""The main path: question → keys → cuts → masks → report.

`global_unstructured` prunes many arrays together; one by any method, `multiprune.one_tensor`.
Backends that reparametrize make the same `Plan` and write masks of their own.
Clauses: RANK, TIE, MASK, METH, SCOPE, BOUND, ALLOC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from multiprune._array import Array, namespace_of
from multiprune.deprecated import renamed
from multiprune.method_checks import check_class
from multiprune.methods import (
    L1Unstructured,
    PruningMethod,
)
from multiprune.named import named
from multiprune.plan import plan
from multiprune.question import AllocationLike, BoundLike, Question, ScopeLike
from multiprune.report import Report

__all__ = ["Pruned", "apply_masks", "global_unstructured"]


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


def global_unstructured(
    parameters: Sequence[Array] | Mapping[str, Array],
    method: type[PruningMethod] = L1Unstructured,
    importance_scores: Any = None,
    *,
    amount: float | None = None,
    sparsity: float | None = None,
    seed: int | None = None,
    signed: bool | None = None,
    masks: Any = None,
    scope: ScopeLike = "global",
    dim: int | None = None,
    keep_at_least: BoundLike = None,
    prune_at_most: BoundLike = None,
    prune_at_least: BoundLike = None,
    allocation: AllocationLike = None,
    **options: Any,
) -> Pruned:
    """Rank the entries of many arrays, together or in pools, and mask those that come first.

    Parameters
    ----------
    parameters : sequence or mapping of arrays
        Arrays of any shape and of one framework. In a sequence positions follow its order, in a
        mapping the code-point order of the names.
    method : type
        A method of PRUNING_TYPE 'unstructured'.
    importance_scores : sequence or mapping of arrays, optional
        Ranked instead of the arrays; same structure, same shapes.
    amount : int or float, optional
        An int counts entries, a float in [0, 1] is a fraction of those still unpruned.
    sparsity : float, optional
        Target fraction of all entries, instead of `amount`.
    seed : int, optional
        For RandomUnstructured: 0 to 2**64 - 1.
    signed : bool, optional
        Rank scores as they are, instead of by magnitude.
    masks : sequence or mapping of (array or None), optional
        Prior masks: what is 0 there stays pruned, and ranks nothing.
    scope : {"global", "tensor", "row"}, (n, m) or mapping
        Which entries are ranked together: all, those of each array, of each row, or pools by the
        names of arrays; the amount then holds in each. (n, m) keeps n of each m consecutive
        entries, and takes no amount.
    dim : int, optional
        The dimension whose indices are the rows, by default 0, or along which groups of m entries
        run, by default 1.
    keep_at_least, prune_at_most, prune_at_least : int, float or mapping, optional
        Bounds within a global amount, over all entries of each array, those of earlier rounds
        included: a number of entries or a fraction, or a mapping from names or patterns to these.
    allocation : {"uniform", "erk"} or mapping, optional
        Share the total out: the same density in every array, in proportion to the sum of its
        dimensions, or by relative densities.
    **options
        Further ones of a method of your own.

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
    ScopeError, BoundsError, AllocationError, StructureError, DimError
        If scope, bounds or allocation do not, or cannot be met.

    Notes
    -----
    Clauses RANK-01 to RANK-07, TIE-01 to TIE-04, MASK-01 to MASK-05, SCORE-01 to SCORE-07, SCOPE,
    GROUP, BOUND, ALLOC. Source: ``torch.nn.utils.prune.global_unstructured``.

    Examples
    --------
    >>> import numpy as np
    >>> layers = {"a": np.array([3.0, -1.0]), "b": np.array([0.5, 0.2])}
    >>> pruned = global_unstructured(layers, amount=0.5)
    >>> pruned.masks["a"], pruned.masks["b"]
    (array([ True,  True]), array([False, False]))
    >>> pruned = global_unstructured(layers, amount=0.5, keep_at_least=0.5)
    >>> pruned.masks["a"], pruned.masks["b"]
    (array([ True, False]), array([ True, False]))
    """
    method = renamed("pruning_method", "method", options, method)
    check_class(method)
    own = {"amount": amount, "sparsity": sparsity, "seed": seed, "signed": signed}
    rule, question = Question.of(
        method,
        {name: value for name, value in own.items() if value is not None} | options,
        scope=scope,
        dim=dim,
        keep_at_least=keep_at_least,
        prune_at_most=prune_at_most,
        prune_at_least=prune_at_least,
        allocation=allocation,
    )
    tensors = named(parameters)
    scores = tensors.matching(importance_scores, "importance_scores")
    prior = tensors.masks(masks)
    ranked = plan(scores, question, rule, prior, tensors.names)
    kept = [ranked.keep(i, tensor) for i, tensor in enumerate(tensors.values)]
    report = ranked.report([pruned for _, pruned in kept], type(rule).__name__)
    return Pruned(tensors.rebuild([mask for mask, _ in kept]), report)


def apply_masks(parameters: Sequence[Array] | Mapping[str, Array], masks: Any) -> Any:
    """Return the arrays with 0 where masks are 0, whatever stood there.

    Parameters
    ----------
    parameters : sequence or mapping of arrays
    masks : sequence or mapping of (array or None)
        As `global_unstructured` returns them. Arrays without a mask are returned as they are.

    Returns
    -------
    list, tuple or dict of arrays
        In the structure of `parameters`; new arrays, of the same dtypes.

    Raises
    ------
    ParametersTypeError, MaskError, MaskShapeError
        If arrays or masks do not fit.

    Notes
    -----
    Clauses REP-03, MASK-03, MASK-04: chosen, not multiplied, so a pruned NaN or infinity is 0, too.

    Examples
    --------
    >>> import numpy as np
    >>> layers = {"a": np.array([3.0, -1.0]), "b": np.array([0.5, np.nan])}
    >>> apply_masks(layers, {"b": np.array([True, False])})
    {'a': array([ 3., -1.]), 'b': array([0.5, 0. ])}
    """
    tensors = named(parameters)
    pruned = []
    for tensor, mask in zip(tensors.values, tensors.masks(masks), strict=True):
        if mask is not None:
            xp = namespace_of(tensor, mask)
            tensor = xp.where(xp.astype(mask, xp.bool), tensor, xp.zeros_like(tensor))
        pruned.append(tensor)
    return tensors.rebuild(pruned)
