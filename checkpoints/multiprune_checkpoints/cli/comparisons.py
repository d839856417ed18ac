"""The commands that set two things side by side, and leave with 1 where they differ."""

from __future__ import annotations

import json
from pathlib import Path

from multiprune_checkpoints.cli.options import Amount, Json, Patterns, Whole

__all__ = ["compare", "diff", "verify"]

DIFFERS = 1


def diff(a: Path, b: Path, *, json_: Json = False) -> None:
    """Compare two checkpoints tensor by tensor. Exit code 1 if they differ.

    Parameters
    ----------
    a
        A checkpoint.
    b
        Another one; its format may be another.
    json_
        Print JSON.
    """
    from multiprune_checkpoints import diff_checkpoints
    from multiprune_checkpoints.cli.progress_bars import watched
    from multiprune_checkpoints.cli.views import print_json, show_difference

    with watched() as progress:
        difference = diff_checkpoints(a, b, progress=progress)
    if json_:
        print_json(difference.as_dict())
    else:
        show_difference(difference)
    _leave(difference.same)


def verify(
    file: Path,
    *,
    masks: Path,
    json_: Json = False,
) -> None:
    """Check that a checkpoint is zero wherever masks say so. Exit code 1 if it is not.

    Parameters
    ----------
    file
        A checkpoint.
    masks
        Masks that prune --save-masks wrote.
    json_
        Print JSON.
    """
    from multiprune_checkpoints import verify_checkpoint
    from multiprune_checkpoints.cli.progress_bars import watched
    from multiprune_checkpoints.cli.views import print_json, show_verdict

    with watched() as progress:
        verdict = verify_checkpoint(file, masks, progress=progress)
    if json_:
        print_json(verdict.as_dict())
    else:
        show_verdict(verdict)
    _leave(verdict.ok)


def compare(
    file: Path,
    *,
    backends: str = "numpy,torch,jax",
    amount: Amount = None,
    sparsity: float | None = None,
    include: Patterns = None,
    exclude: Patterns = None,
    min_ndim: Whole = 2,
    json_: Json = False,
) -> None:
    """Prune a checkpoint in memory on several frameworks. Exit code 1 if masks differ.

    Parameters
    ----------
    file
        A checkpoint; what is pruned of it is loaded whole.
    backends
        Their names, with commas.
    amount
        How many entries are pruned (1000), or the fraction of them (0.8).
    sparsity
        Target fraction of all entries, instead of --amount.
    include
        Shell pattern of names that are pruned; give it as often as you like.
    exclude
        Shell pattern of names that are not pruned.
    min_ndim
        The fewest dimensions of a pruned tensor.
    json_
        Print JSON.
    """
    from multiprune.verify import verify as verify_backends
    from multiprune_checkpoints import load_weights
    from multiprune_checkpoints.cli.views import print_json

    weights = load_weights(file, include=include or (), exclude=exclude or (), min_ndim=min_ndim)
    names = [name.strip() for name in backends.split(",")]
    verification = verify_backends(weights, amount=amount, sparsity=sparsity, backends=names)
    if json_:
        print_json({"verdict": verification.verdict, **json.loads(verification.to_json())})
    else:
        print(f"{verification}\n{verification.verdict}")
    _leave(verification.verdict == "identical")


def _leave(same: bool) -> None:
    if not same:
        raise SystemExit(DIFFERS)
