"""A plan carried out: the output, its masks, its metadata, and what is said of them.

Clauses: FILE-03, REP-03.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import multiprune
from multiprune_checkpoints.counting.entries import FilePlan
from multiprune_checkpoints.formats.checkpoint import Checkpoint
from multiprune_checkpoints.formats.source import write_all
from multiprune_checkpoints.output.copy import check_counts, copy_pruned
from multiprune_checkpoints.output.destination import Destination
from multiprune_checkpoints.output.masks import MaskOutput
from multiprune_checkpoints.output.neighbours import dense_copies
from multiprune_checkpoints.result import PrunedCheckpoint, cut_texts

__all__ = ["write_pruned"]

RULE = "1"
"""The version of the specification that an output says it follows."""

_UNKNOWN = "0" * 64


def write_pruned(
    checkpoint: Checkpoint,
    plan: FilePlan,
    method: str,
    goal: Destination | None,
    sink: MaskOutput,
    options: dict[str, str],
    request: dict[str, Any],
    reasons: dict[str, str],
) -> PrunedCheckpoint:
    """Carry a plan out: outputs, masks, and the outcome.

    Parameters
    ----------
    checkpoint : Checkpoint
        The input.
    plan : FilePlan
    method : str
        Its name, for the report.
    goal : Destination or None
        The output; None writes nothing.
    sink : MaskOutput
    options : dict of str
        What was asked, for the metadata.
    request : dict
        The same, for the journal.
    reasons : dict of str
        What is left out, with the reason.

    Returns
    -------
    PrunedCheckpoint
    """
    known = {
        "version": multiprune.__version__,
        "rule": RULE,
        **options,
        "ranked_as": "draws" if plan.order.seed is not None else plan.order.ranked.name,
        **cut_texts(plan.cuts),
    }

    def provenance(source: str, masks: str) -> dict[str, str]:
        items = {**known, "input.sha256": source, "masks.sha256": masks}
        return {f"multiprune.{key}": text for key, text in items.items()}

    files = checkpoint.files
    heads = [source.layout.head(provenance(_UNKNOWN, _UNKNOWN)) for source in files]
    places: list[list[tuple[int, Any]]] = [[] for _ in files]
    for number, tensor in enumerate(plan.tensors):
        places[tensor.file].append((number, tensor))
        for mask in plan.prior.stored.get(tensor.name, ()) if plan.prior else ():
            places[mask.file].append((number, mask))  # a pruned model's own mask goes on with it

    def copy(number: int) -> tuple[str, dict[int, int]]:
        source, target = files[number], goal.files[number].descriptor if goal else None
        shift = len(heads[number]) - source.layout.data
        done = copy_pruned(source, places[number], plan, target, shift, sink.masks)
        if target is not None:
            os.fsync(target)
        return done

    plan.progress.begin("writing" if goal else "counting", checkpoint.size)
    with ThreadPoolExecutor(min(2, len(files))) as pool:
        done = list(pool.map(copy, range(len(files))))
    pruned = {number: count for _, counts in done for number, count in counts.items()}
    counts = [pruned[number] for number in range(len(plan.tensors))]
    check_counts(plan, counts)
    digest = sink.finish()
    for number, (source, (sha256, _)) in enumerate(zip(files, done, strict=True)):
        if goal is not None:
            descriptor = goal.files[number].descriptor
            write_all(descriptor, source.layout.head(provenance(sha256, digest)), 0)
            source.layout.finish(descriptor, [tensor for _, tensor in places[number]])
    names = {name for tensor in plan.tensors for name in checkpoint.names_of(tensor)}
    report = plan.report(counts, method)
    outcome = PrunedCheckpoint(
        report,
        provenance(done[0][0], digest),
        {source.name: sha256 for source, (sha256, _) in zip(files, done, strict=True)},
        [name for name in checkpoint.tensors if name not in names],
        checkpoint.tied,
        reasons,
        dense_copies(checkpoint),
    )
    if goal is not None:
        goal.commit(request, outcome.as_dict())
    return outcome
