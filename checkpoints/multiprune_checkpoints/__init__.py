"""Checkpoints larger than memory: pruned, inspected, compared and drawn; and the command.

Each name is imported when it is asked for, so that ``multiprune --help`` does not wait for NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprune_checkpoints.analysis.charts import chart_checkpoint
    from multiprune_checkpoints.analysis.diff import (
        CheckpointDifference,
        TensorDifference,
        Verdict,
        diff_checkpoints,
        verify_checkpoint,
    )
    from multiprune_checkpoints.analysis.facts import Inspection, TensorFacts
    from multiprune_checkpoints.analysis.inspection import inspect_checkpoint
    from multiprune_checkpoints.analysis.sweep import SweepRow
    from multiprune_checkpoints.analysis.view import Charts
    from multiprune_checkpoints.arrays import load_masks, load_weights
    from multiprune_checkpoints.errors import CheckpointError, OutputError
    from multiprune_checkpoints.formats.checkpoint import Checkpoint, open_checkpoint
    from multiprune_checkpoints.prune import prune_checkpoint
    from multiprune_checkpoints.result import PrunedCheckpoint

__all__ = [
    "Charts",
    "Checkpoint",
    "CheckpointDifference",
    "CheckpointError",
    "Inspection",
    "OutputError",
    "PrunedCheckpoint",
    "SweepRow",
    "TensorDifference",
    "TensorFacts",
    "Verdict",
    "chart_checkpoint",
    "diff_checkpoints",
    "inspect_checkpoint",
    "load_masks",
    "load_weights",
    "open_checkpoint",
    "prune_checkpoint",
    "verify_checkpoint",
]

_MODULES = {
    "analysis.charts": ("Charts", "chart_checkpoint"),
    "analysis.diff": (
        "CheckpointDifference", "TensorDifference", "Verdict", "diff_checkpoints",
        "verify_checkpoint",
    ),
    "analysis.inspection": ("Inspection", "TensorFacts", "inspect_checkpoint"),
    "analysis.sweep": ("SweepRow",),
    "arrays": ("load_masks", "load_weights"),
    "errors": ("CheckpointError", "OutputError"),
    "formats.checkpoint": ("Checkpoint", "open_checkpoint"),
    "prune": ("prune_checkpoint",),
    "result": ("PrunedCheckpoint",),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
