"""A sharded model's way through a global pruning. Read, agreed on, counted, kept.

Each step is taken by all processes or by none: what is raised on one is raised on all, and nothing
is changed before everybody has its masks.
Clauses: SHARD-01 to SHARD-07.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from multiprune.errors import PruningTypeError
from multiprune.methods import RandomUnstructured
from multiprune.plan import Plan
from multiprune.report import Report
from multiprune_torch.distributed.alike import line_of, shard_of
from multiprune_torch.distributed.counting import ShardedEntries
from multiprune_torch.distributed.install import install_all, make_ready
from multiprune_torch.distributed.layout import local_part
from multiprune_torch.distributed.processes import Processes
from multiprune_torch.ranking.user_methods import is_overridden
from multiprune_torch.request.call import Call
from multiprune_torch.request.parameters import Place
from multiprune_torch.request.scores import check_rankable

__all__ = ["prune_sharded"]

_UNDRAWN = 1 << 62


def prune_sharded(
    processes: Processes, read: Callable[[], Call], *, keep_dense: bool, draws_seed: bool
) -> Report:
    """Prune parameters of many processes together.

    Parameters
    ----------
    processes : Processes
    read : callable
        Returns the call, or raises what is wrong with it.
    keep_dense : bool
        Keep the values that are pruned in place, for `undo`.
    draws_seed : bool
        Whether no seed was given: the first process draws one for all.

    Returns
    -------
    Report
        What was asked, with thresholds; nothing is counted in it.

    Raises
    ------
    LayoutError, ProcessesError
        If shards cannot be ranked, or processes disagree (also a ValueError, a RuntimeError).
    MultipruneError
        What any process raises, on all of them; nothing is changed then.
    """
    with processes.together() as agreed:
        call = read()
        method, places = call.method, call.places
        check_rankable(places, call.scores or [place.orig for place in places])
        entries = ShardedEntries([shard_of(processes, call, i) for i in range(len(places))])
        ours = _algebra(method)
        target, seed, question = ours.target, getattr(ours, "seed", None), call.question
        assert question is not None
        names, shapes = call.names, [s.layout.shape for s in entries.shards]
        pools = question.pools(names, shapes)
        if question.scope.is_small:
            entries.check_whole(question.scope)
        draws_seed |= isinstance(ours, RandomUnstructured) and seed is None
        agreed["the amount"] = f"amount={target.amount!r}, sparsity={target.sparsity!r}"
        agreed["the method"] = f"{type(method).__name__}, {seed=}, {draws_seed=}, {keep_dense=}"
        agreed["the parameters"] = "\n".join(map(line_of, places))
        where = question.scope
        agreed["the scope and the bounds"] = (
            f"scope={where}, {where.labels}, dim={where.dim}, {question.limits}, "
            f"allocation={question.allocation!r}"
        )
        ranked: Sequence[Any] = call.scores or ["no scores"] * len(places)
        agreed["the importance scores"] = "\n".join(
            f"{getattr(score, 'dtype', score)} for {place}"
            for place, score in zip(places, ranked, strict=True)
        )
    # One exchange for both: who owns what, and the seed that the first process draws for all.
    drawn = int(torch.randint(2**62, ())) if draws_seed and processes.leads else _UNDRAWN
    *owners, drawn = processes.minimum([*(s.layout.copy for s in entries.shards), drawn])
    seed = drawn if draws_seed else seed
    entries.own(owners, seed)
    total = entries.total(processes.sum)
    counted, held = entries.engines(question, pools, names)
    if question.scope.is_small:
        total([])  # checks who owns what, and that replicas are equal
        with processes.together():  # rows of one process may refuse the amount
            plan = Plan(question, names, shapes, entries.order, pools, counted)
    else:
        plan = Plan(question, names, shapes, entries.order, pools, counted, total)
    with processes.together():
        ready = [
            make_ready(place, _part(held, plan, i, place), dtype, keep_dense=keep_dense)
            for i, (place, dtype) in enumerate(zip(places, call.dtypes, strict=True))
        ]
    way = install_all(processes, ready, entries.shards, entries.owned)
    return plan.report([0] * len(places), type(method).__name__, way)


def _algebra(method: Any) -> Any:
    if not hasattr(method, "algebra") or is_overridden(method):
        raise PruningTypeError(
            f"{type(method).__name__} computes its masks itself. Rule: no process has all entries "
            "of a sharded model, so only L1Unstructured, RandomUnstructured and Identity prune it "
            "[SHARD-02]. Pass your scores as importance_scores, sharded as the parameters are."
        )
    return method.algebra()


def _part(held: Any, plan: Plan, i: int, place: Place) -> torch.Tensor:
    """Make the mask of this process's shard."""
    part = local_part(place.orig)
    mask = torch.empty(part.shape, dtype=torch.bool, device=part.device)
    held.write(i, plan.cuts, mask)
    return mask
