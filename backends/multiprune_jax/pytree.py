"""The door: pruning of pytrees as pure functions, with values or traced.

Leaves come in by name (`candidates`), are ranked by a plan of the algebra, or traced (`ranking`),
and go out as a tree of the same structure. Nothing that was given is changed.
Clauses: RANK, MASK, SCORE, METH, SCOPE, GROUP, BOUND, ALLOC, TIE-04.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax

from multiprune.method_checks import check_class, check_instance
from multiprune.methods import CustomFromMask, L1Unstructured, PruningMethod
from multiprune.one_tensor import mask_of
from multiprune.plan import plan
from multiprune.question import AllocationLike, BoundLike, Question, ScopeLike
from multiprune.report import Report
from multiprune_jax import ranking
from multiprune_jax.asked import check_traced
from multiprune_jax.candidates import Candidates
from multiprune_jax.leaves import Where
from multiprune_jax.masking import pruned_tree
from multiprune_jax.named_masks import check_masks
from multiprune_jax.report import counted

__all__ = ["PrunedTree", "global_unstructured", "local"]


class PrunedTree(NamedTuple):
    """What a pruning returns.

    Attributes
    ----------
    params : pytree
        The given tree with 0 where entries are pruned.
    masks : pytree
        The same structure: True where an entry is kept, None for leaves that were not ranked.
    report : Report, optional
        None under ``jit``, where nothing has a value; `report_of` makes one of the masks later.
    """

    params: Any
    masks: Any
    report: Report | None


def global_unstructured(
    params: Any,
    *,
    amount: float | jax.Array | None = None,
    sparsity: float | None = None,
    method: type[PruningMethod] = L1Unstructured,
    include: str | Iterable[str] = "*",
    exclude: str | Iterable[str] = (),
    where: Where | None = None,
    importance_scores: Any = None,
    masks: Any = None,
    seed: int | None = None,
    signed: bool | None = None,
    scope: ScopeLike = "global",
    dim: int | None = None,
    keep_at_least: BoundLike = None,
    prune_at_most: BoundLike = None,
    prune_at_least: BoundLike = None,
    allocation: AllocationLike = None,
) -> PrunedTree:
    """Rank the entries of many leaves, together or in pools, and set those that come first to 0.

    Parameters
    ----------
    params : pytree
        Dicts, lists, Flax Linen parameters, ``nnx`` modules and states, Equinox modules, or any
        other tree of arrays.
    amount : int or float, optional
        An int counts entries, a float in [0, 1] is a fraction of those still unpruned. A traced
        integer counts, too; more than is left is then all that is left.
    sparsity : float, optional
        Target fraction of all entries, instead of `amount`.
    method : type
        A method of PRUNING_TYPE 'unstructured'.
    include, exclude : str or iterable of str
        Shell patterns of canonical names, for example ``"*/kernel"``.
    where : callable, optional
        ``where(path, leaf)`` chooses leaves; floating ones with two or more dimensions if left out.
    importance_scores : pytree, optional
        Ranked instead of the leaves: the tree of params, or a dict by canonical names.
    masks : pytree, optional
        Prior masks, a tree that an earlier call returned or a dict by canonical names: what is 0
        there stays pruned, and ranks nothing.
    seed : int, optional
        For RandomUnstructured: 0 to 2**64 - 1.
    signed : bool, optional
        Rank scores as they are, instead of by magnitude.
    scope : {"global", "tensor", "row"}, (n, m) or mapping
        Which entries are ranked together: all, those of each leaf, of each row, or pools by the
        names of leaves; the amount then holds in each. (n, m) keeps n of each m consecutive
        entries, and takes no amount.
    dim : int, optional
        The dimension whose indices are the rows, by default the last, or along which groups of m
        entries run, by default the last but one: outputs and inputs of kernels of (in, out).
    keep_at_least, prune_at_most, prune_at_least : int, float or mapping, optional
        Bounds within a global amount, over all entries of each leaf, those of earlier rounds
        included: a number of entries or a fraction, or a mapping from names or patterns to these.
    allocation : {"uniform", "erk"} or mapping, optional
        Share the total out: the same density in every leaf, in proportion to the sum of its
        dimensions, or by relative densities.

    Returns
    -------
    PrunedTree
        ``params``, ``masks`` and ``report``; the given trees stay as they were.

    Raises
    ------
    ParametersError, DtypeError, MaskError, ScoresError, ScoresShapeError, PruningTypeError
        If trees or the method do not fit.
    AmountTypeError, AmountError, SparsityError, SeedError
        If the amount or the seed does not; also if either is traced where a number is needed.
    ScopeError, BoundsError, AllocationError, StructureError, DimError
        If scope, bounds or allocation do not, or cannot be met.

    Notes
    -----
    Clauses RANK-01 to RANK-07, TIE-01, TIE-04, MASK-01 to MASK-05, SCORE-01 to SCORE-07, SCOPE,
    GROUP, BOUND, ALLOC. Under ``jit`` and ``vmap`` the masks are the same bits, by counting passes
    of fixed shape. Of traced masks and amounts nothing can be refused: more than is left is all
    that is left, and bounds that cannot be met are met with the nearest amount that can.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> params = {"a": jnp.array([[3.0, -1.0]]), "b": jnp.array([[0.5, 2.0]])}
    >>> pruned = global_unstructured(params, amount=0.5)
    >>> pruned.params["a"].tolist(), pruned.masks["b"].tolist()
    ([[3.0, 0.0]], [[False, True]])
    """
    check_class(method)
    check_traced(amount, sparsity, seed)
    traced = amount if isinstance(amount, jax.core.Tracer) else None
    own = {
        "amount": amount if traced is None else 0,
        "sparsity": sparsity,
        "seed": seed,
        "signed": signed,
    }
    rule, question = Question.of(
        method,
        {name: value for name, value in own.items() if value is not None},
        scope=scope,
        dim=dim,
        keep_at_least=keep_at_least,
        prune_at_most=prune_at_most,
        prune_at_least=prune_at_least,
        allocation=allocation,
        rows=-1,
        groups=-2,
    )
    candidates = Candidates(params, where, include, exclude, importance_scores, masks)
    names, scores = list(candidates.leaves), list(candidates.scores.values())
    prior = [candidates.masks.get(name) for name in names]
    if traced is not None or candidates.is_traced:
        kept = ranking.rank(scores, question, rule, prior, names, traced)
        return _outcome(candidates, dict(zip(names, kept, strict=True)), None)
    candidates.check_devices()
    with jax.ensure_compile_time_eval():
        ranked = plan(scores, question, rule, prior, names)
        done = [ranked.keep(i, leaf) for i, leaf in enumerate(candidates.leaves.values())]
        report = ranked.report([pruned for _, pruned in done], method.__name__)
        kept = [mask for mask, _ in done]
        return _outcome(candidates, dict(zip(names, kept, strict=True)), report)


def local(
    params: Any,
    method: PruningMethod | Callable[[str, Any], PruningMethod],
    *,
    include: str | Iterable[str] = "*",
    exclude: str | Iterable[str] = (),
    where: Where | None = None,
    importance_scores: Any = None,
    masks: Any = None,
) -> PrunedTree:
    """Prune each leaf by itself, by any method, structured ones included.

    Parameters
    ----------
    params : pytree
    method : PruningMethod or callable
        With its amount, for example ``LnStructured(0.5, n=2, dim=-1)``; or ``method(path, leaf)``
        that returns one for each leaf. A seed draws the same numbers for every leaf: give each its
        own by a callable.
    include, exclude, where, importance_scores, masks
        As in `global_unstructured`.

    Returns
    -------
    PrunedTree

    Raises
    ------
    StructureError, DimError, NormError
        If a structured method does not fit a leaf.
    MaskError, ScoresShapeError, AmountError, ...
        As in `global_unstructured`.

    Notes
    -----
    Clauses METH-01 to METH-11.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from multiprune import LnStructured
    >>> params = {"kernel": jnp.array([[3.0, -1.0], [0.5, 2.0]]), "bias": jnp.zeros(2)}
    >>> local(params, LnStructured(0.5, n=2, dim=0)).masks["kernel"].tolist()
    [[True, True], [False, False]]
    """
    candidates = Candidates(params, where, include, exclude, importance_scores, masks)
    eager = not candidates.is_traced
    if eager:
        candidates.check_devices()
    kept: dict[str, jax.Array] = {}
    names: dict[str, None] = {}
    for name, leaf in candidates.leaves.items():
        rule: Any = method
        if callable(method) and not isinstance(method, type):
            rule = method(name, leaf)
        check_instance(rule)
        names[type(rule).__name__] = None
        prior, score = candidates.masks.get(name), candidates.scores[name]
        if isinstance(rule, CustomFromMask):
            check_masks({name: rule.mask}, candidates.leaves, "params")
        if eager:
            with jax.ensure_compile_time_eval():
                kept[name] = mask_of(leaf, rule, prior, importance_scores=score)
        else:
            kept[name] = ranking.mask_of(leaf, rule, prior, scores=score)
    report = None
    if not any(isinstance(mask, jax.core.Tracer) for mask in kept.values()):
        report = counted(kept, "+".join(names))
    return _outcome(candidates, kept, report)


def _outcome(candidates: Candidates, kept: Mapping[str, Any], report: Report | None) -> PrunedTree:
    masks = {**candidates.carried, **kept}
    params = pruned_tree(candidates.tree, candidates.tree.leaves | candidates.leaves, masks)
    return PrunedTree(params, candidates.tree.replace(masks), report)
