"""The main path of files: checkpoint → plan → copy with zeros → outcome.

Clauses: RANK, TIE, MASK, FILE, SCOPE, BOUND, ALLOC.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from multiprune.deprecated import no_more, renamed
from multiprune.draws import as_seed
from multiprune.methods import L1Unstructured, PruningMethod, RandomUnstructured
from multiprune.patterns import as_patterns
from multiprune.question import AllocationLike, BoundLike, Question, ScopeLike
from multiprune_checkpoints.counting.entries import FilePlan
from multiprune_checkpoints.counting.prior import open_prior
from multiprune_checkpoints.errors import OutputError
from multiprune_checkpoints.formats.checkpoint import locate, open_checkpoint
from multiprune_checkpoints.formats.left_out import left_out
from multiprune_checkpoints.formats.select import select
from multiprune_checkpoints.method import method_of
from multiprune_checkpoints.output.beside import check_beside
from multiprune_checkpoints.output.destination import Destination, recover
from multiprune_checkpoints.output.masks import MaskOutput
from multiprune_checkpoints.progress import Progress
from multiprune_checkpoints.result import PrunedCheckpoint
from multiprune_checkpoints.writing import write_pruned

__all__ = ["prune_checkpoint"]


def prune_checkpoint(
    source: str | Path,
    target: str | Path | None = None,
    *,
    amount: float | None = None,
    sparsity: float | None = None,
    method: type[PruningMethod] | Literal["l1", "random"] = L1Unstructured,
    seed: int | None = None,
    signed: bool = False,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    min_ndim: int = 2,
    scope: ScopeLike = "global",
    dim: int | None = None,
    keep_at_least: BoundLike = None,
    prune_at_most: BoundLike = None,
    prune_at_least: BoundLike = None,
    allocation: AllocationLike = None,
    importance_scores: str | Path | None = None,
    masks: str | Path | None = None,
    save_masks: str | Path | None = None,
    in_place: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
    **old: Any,
) -> PrunedCheckpoint:
    """Prune the tensors of a checkpoint together; memory does not grow with its size.

    Parameters
    ----------
    source : path
        A file, an index of shards, or a folder with one of them.
    target : path, optional
        A file; a folder where `source` is a folder or an index.
    amount : int or float, optional
        How many entries, or the fraction of those still unpruned.
    sparsity : float, optional
        Target fraction of all entries, instead of `amount`.
    method : {L1Unstructured, RandomUnstructured, "l1", "random"}
        The smallest magnitudes are pruned first, or entries at random.
    seed : int, optional
        0 to 2**64 - 1, which random pruning needs.
    signed : bool
        Rank scores as they are, not by magnitude.
    include, exclude : str or iterable of str
        Shell patterns of tensors' names.
    min_ndim : int
        The fewest dimensions of a pruned tensor.
    scope, dim, keep_at_least, prune_at_most, prune_at_least, allocation
        Among which entries, and within which bounds; see `multiprune.global_unstructured`.
    importance_scores : path, optional
        A checkpoint that is ranked instead; same names and shapes.
    masks : path, optional
        Prior masks: what is 0 there stays pruned, and ranks nothing.
    save_masks : path, optional
        Where the new masks are written.
    in_place : bool
        Replace the input.
    dry_run : bool
        Write nothing.
    progress : Progress, optional

    Returns
    -------
    PrunedCheckpoint

    Raises
    ------
    CheckpointError, OutputError
        If files are inconsistent, or would be overwritten.
    ParametersError, DtypeError, MaskError, ScoresError, AmountError, ...
        As in `multiprune.global_unstructured`.

    Notes
    -----
    Clauses RANK-01 to RANK-07, TIE-01, TIE-02, TIE-04, MASK-01 to MASK-05, SCORE-01 to SCORE-05,
    RAND-04, FILE-01 to FILE-06. A pruned entry is +0, whatever it was. An output has its name
    when it is whole; a process that dies leaves what a next run removes, or finishes.
    """
    if (target is not None) + in_place + dry_run != 1:
        raise OutputError(
            f"target={target!r}, in_place={in_place} and dry_run={dry_run} were given. Rule: "
            "exactly one of them."
        )
    scores = renamed("scores", "importance_scores", old, importance_scores)
    no_more(old, "prune_checkpoint")
    include, exclude = as_patterns(include, "include"), as_patterns(exclude, "exclude")
    kind = method_of(method)
    random = kind is RandomUnstructured
    own: dict[str, Any] = {"seed": as_seed(seed)} if random else {"signed": signed}
    where: dict[str, Any] = {
        "scope": scope,
        "dim": dim,
        "keep_at_least": keep_at_least,
        "prune_at_most": prune_at_most,
        "prune_at_least": prune_at_least,
        "allocation": allocation,
    }
    goal = {"amount": amount, "sparsity": sparsity}
    rule, question = Question.of(kind, own | goal, **where)
    options = {
        "method": "random" if random else "l1",
        **({"amount": repr(rule.target.amount)} if rule.target.amount is not None else {}),
        **({"sparsity": repr(rule.target.sparsity)} if rule.target.sparsity is not None else {}),
        **{k: json.dumps(v) for k, v in where.items() if v not in (None, "global")},
        **({"seed": str(seed)} if random else {}),
        **({"signed": "true"} if signed else {}),
        **({"include": json.dumps(include)} if include else {}),
        **({"exclude": json.dumps(exclude)} if exclude else {}),
        "min_ndim": str(min_ndim),
    }
    asked = None if target is None else Path(target)
    saved = None if save_masks is None or dry_run else Path(save_masks)
    if saved is not None:
        check_beside(saved, Path(source), asked, [] if scores is None else [Path(scores)])
    request = {**options, "scores": str(scores), "masks": str(masks)}
    if in_place and (recovered := recover(locate(Path(source)))) and recovered[0] == request:
        return PrunedCheckpoint.from_dict({**recovered[1], "resumed": True})
    with ExitStack() as stack:
        checkpoint = stack.enter_context(open_checkpoint(source))
        reasons = left_out(checkpoint, min_ndim, exclude)
        chosen = select(checkpoint.tensors, include, exclude, min_ndim, reasons)
        named = {tensor.name: tensor for tensor in chosen}
        ranked_names = {name for tensor in chosen for name in checkpoint.names_of(tensor)}
        reasons = {name: why for name, why in reasons.items() if name not in ranked_names}
        if reasons:
            options["left_out"] = json.dumps(sorted(reasons))
        prior = open_prior(checkpoint, named, None if masks is None else Path(masks), stack)
        ranked = None if scores is None else stack.enter_context(open_checkpoint(scores))
        output = None if dry_run else Destination(checkpoint, asked, stack)
        sink = MaskOutput(chosen, saved, output.place if output else None, stack)
        plan = FilePlan(checkpoint, chosen, question, rule, ranked, prior, progress)
        return write_pruned(
            checkpoint, plan, kind.__name__, output, sink, options, request, reasons
        )
