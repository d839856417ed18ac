"""The main path: question → keys → cuts → masks → report.

`global_unstructured` prunes many arrays together, `mask_of` one array by any method. Backends that
reparametrize make the same `Plan` and write masks of their own.
Clauses: RANK, TIE, MASK, METH, SCOPE, BOUND, ALLOC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from multiprune._array import Array, namespace_of
from multiprune.errors import PruningTypeError
from multiprune.masks import check_mask, live_channels, spread
from multiprune.methods import (
    CustomFromMask,
    L1Unstructured,
    LnStructured,
    PruningMethod,
    RandomStructured,
)
from multiprune.named import named
from multiprune.plan import plan
from multiprune.question import Question
from multiprune.report import Report
from multiprune.structured import channel_norms, check_dim, check_norm

__all__ = ["Pruned", "check_unstructured", "global_unstructured", "mask_of", "not_unstructured"]


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
    pruning_method: type[PruningMethod] = L1Unstructured,
    importance_scores: Any = None,
    *,
    masks: Any = None,
    scope: Any = "global",
    dim: int | None = None,
    keep_at_least: Any = None,
    prune_at_most: Any = None,
    prune_at_least: Any = None,
    allocation: Any = None,
    **kwargs: Any,
) -> Pruned:
    """Rank the entries of many arrays, together or in pools, and mask those that come first.

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
    check_unstructured(pruning_method)
    method, question = Question.of(
        pruning_method,
        kwargs,
        scope=scope,
        dim=dim,
        keep_at_least=keep_at_least,
        prune_at_most=prune_at_most,
        prune_at_least=prune_at_least,
        allocation=allocation,
    )
    tensors = named(parameters)
    scores = tensors.matching(importance_scores, "importance_scores")
    prior = tensors.matching(masks, "masks", optional=True)
    for name, tensor, mask in zip(tensors.names, tensors.values, prior, strict=True):
        if mask is not None:
            check_mask(mask, tensor, name, xp=namespace_of(mask))
    ranked = plan(scores, question, method, prior, tensors.names)
    kept = [ranked.keep(i, tensor) for i, tensor in enumerate(tensors.values)]
    report = ranked.report([pruned for _, pruned in kept], type(method).__name__)
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
        return plan([ranked], Question(method.target), method, [mask]).keep(0, tensor)[0]
    dim = check_dim(tensor.shape, method.dim)
    live = live_channels(mask, tensor, dim, xp=xp)
    if isinstance(method, LnStructured):
        check_norm(method.n, tensor.ndim)
        if mask is not None:
            ranked = xp.where(xp.astype(mask, xp.bool), ranked, xp.zeros_like(ranked))
        norms = channel_norms(ranked, method.n, dim, xp=xp)
    else:
        norms = xp.zeros(tensor.shape[dim], dtype=xp.float32)
    channels = method.of_channels()
    kept, _ = plan([norms], Question(method.target), channels, [live]).keep(0, norms)
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
        raise not_unstructured(method, found)


def not_unstructured(method: Any, found: Any) -> PruningTypeError:
    """Return the error that says why a method cannot rank many tensors together."""
    return PruningTypeError(
        f'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found method '
        f"{method!r} of type {found!r}. Rule: a method is a class that ranks single entries "
        "[METH-02]. Pass L1Unstructured, or prune each tensor by itself."
    )
