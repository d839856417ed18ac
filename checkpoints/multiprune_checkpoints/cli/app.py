"""The commands and their options. Each calls the library and hands the outcome to be shown.

Nothing heavy is imported until a command runs: help is there at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from multiprune_checkpoints.cli.comparisons import compare, diff, verify
from multiprune_checkpoints.cli.drawing import PICTURES, check_output, draw_pruned
from multiprune_checkpoints.cli.options import (
    Amount,
    Flag,
    Json,
    MaybeWhole,
    Patterns,
    Scores,
    Settings,
    Whole,
    read_scope,
    read_setting,
)
from multiprune_checkpoints.cli.report import report

__all__ = ["app"]

app = App(
    name="multiprune",
    help="Prune, inspect and compare checkpoints, larger than memory if need be.",
    version=lambda: __import__("multiprune").__version__,
)


@app.command
def inspect(
    file: Path,
    *,
    sweep: Flag = False,
    at: Annotated[list[float] | None, Parameter(negative="")] = None,
    include: Patterns = None,
    exclude: Patterns = None,
    min_ndim: Whole = 2,
    json_: Json = False,
) -> None:
    """Show the tensors of a checkpoint: shapes, dtypes, zeros, non-finite values.

    Parameters
    ----------
    file
        A safetensors, npz or torch file, an index of shards, or a folder with one of them.
    sweep
        Show what pruning 50, 80, 90 and 95 % would do to each tensor.
    at
        Another sparsity for the sweep; give it as often as you like.
    include
        Shell pattern of names that are pruned; give it as often as you like.
    exclude
        Shell pattern of names that are not pruned.
    min_ndim
        The fewest dimensions of a pruned tensor.
    json_
        Print JSON.
    """
    from multiprune_checkpoints import inspect_checkpoint
    from multiprune_checkpoints.cli.progress_bars import watched
    from multiprune_checkpoints.cli.views import print_json, show_inspection

    targets = at or ([0.5, 0.8, 0.9, 0.95] if sweep else [])
    with watched() as progress:
        inspection = inspect_checkpoint(
            file,
            sweep=targets,
            include=include or (),
            exclude=exclude or (),
            min_ndim=min_ndim,
            progress=progress,
        )
    if json_:
        print_json(inspection.as_dict())
    else:
        show_inspection(inspection)


@app.command
def prune(
    file: Path,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    amount: Amount = None,
    sparsity: float | None = None,
    method: Literal["l1", "random"] = "l1",
    seed: MaybeWhole = None,
    signed: Flag = False,
    include: Patterns = None,
    exclude: Patterns = None,
    min_ndim: Whole = 2,
    scope: str = "global",
    dim: MaybeWhole = None,
    keep_at_least: Settings = None,
    prune_at_most: Settings = None,
    prune_at_least: Settings = None,
    allocation: Settings = None,
    importance_scores: Scores = None,
    masks: Path | None = None,
    save_masks: Path | None = None,
    report: Path | None = None,
    in_place: Flag = False,
    dry_run: Flag = False,
    json_: Json = False,
) -> None:
    """Prune the entries of smallest magnitude, over all tensors and shards together, or in pools.

    Parameters
    ----------
    file
        A safetensors, npz or torch file, an index of shards, or a folder with one of them.
    output
        Where the result goes: a file, or a folder where a folder or an index was given.
    amount
        How many entries are pruned (1000), or the fraction of those not pruned yet (0.8).
    sparsity
        The fraction of all entries that is zero in the end, instead of --amount.
    method
        l1: the smallest magnitudes are pruned; random: the lowest draws.
    seed
        Seed of the draws.
    signed
        Rank scores as they are, not by magnitude.
    include
        Shell pattern of names that are pruned; give it as often as you like.
    exclude
        Shell pattern of names that are not pruned.
    min_ndim
        The fewest dimensions of a pruned tensor.
    scope
        Which entries are ranked together: global, tensor, row, or n:m, such as 2:4, which keeps n
        of each m consecutive entries and takes no amount.
    dim
        The dimension of the rows (0 by default), or along which groups of m run (1 by default).
    keep_at_least
        Keep so many entries of every tensor, or this fraction of them (0.05), or PATTERN=NUMBER;
        give it as often as you like.
    prune_at_most
        Prune at most so many entries of every tensor, or this fraction, or PATTERN=NUMBER.
    prune_at_least
        Prune at least so many entries of every tensor, or this fraction, or PATTERN=NUMBER.
    allocation
        How the amount is shared out to the tensors: uniform, erk, or PATTERN=DENSITY.
    importance_scores
        A checkpoint of scores that are ranked instead of the weights.
    masks
        Masks of an earlier pruning: what they prune stays pruned.
    save_masks
        Write the masks here, one bit an entry.
    report
        Write what was done here: as JSON, or drawn, as .html or .png.
    in_place
        Replace the input.
    dry_run
        Write nothing; show what would be done.
    json_
        Print JSON.
    """
    from multiprune_checkpoints import OutputError, prune_checkpoint
    from multiprune_checkpoints.cli.progress_bars import watched
    from multiprune_checkpoints.cli.views import print_json, show_pruned, write_report
    from multiprune_checkpoints.output.beside import check_beside

    if output is None and not in_place and not dry_run:
        raise OutputError("no output was named. Say --output, --in-place or --dry-run.")
    if in_place and output is not None:
        raise OutputError("--in-place and --output were given. Rule: one of them.")
    drawn = report if report is not None and report.suffix in PICTURES else None
    if report is not None:
        goal = None if dry_run else output
        check_beside(
            report, file, goal, (importance_scores, masks, None if dry_run else save_masks)
        )
    if drawn is not None:
        check_output(drawn, [file])
    with watched() as progress:
        done = prune_checkpoint(
            file,
            None if dry_run else output,
            amount=amount,
            sparsity=sparsity,
            method=method,
            seed=seed,
            signed=signed,
            include=include or (),
            exclude=exclude or (),
            min_ndim=min_ndim,
            scope=read_scope(scope),
            dim=dim,
            keep_at_least=read_setting(keep_at_least, "keep-at-least"),
            prune_at_most=read_setting(prune_at_most, "prune-at-most"),
            prune_at_least=read_setting(prune_at_least, "prune-at-least"),
            allocation=read_setting(allocation, "allocation"),
            importance_scores=importance_scores,
            masks=masks,
            save_masks=save_masks,
            in_place=in_place and not dry_run,
            dry_run=dry_run,
            progress=progress,
        )
    if drawn is not None:
        draw_pruned(done, drawn, file, None if dry_run else output or file)
    elif report is not None:
        write_report(done, report)
    if json_:
        print_json(json.loads(done.to_json()))
    else:
        show_pruned(done)


for command in (report, diff, verify, compare):
    app.command(command)
