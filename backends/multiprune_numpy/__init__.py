"""The NumPy backend: arrays, those of ml_dtypes included."""

from typing import Any

from multiprune.deprecated import moved
from multiprune_numpy.backend import backend
from multiprune_numpy.sparse import to_csr

__all__ = ["backend", "to_csr"]

_MOVED = {
    **{
        name: name
        for name in (
            "Checkpoint", "CheckpointError", "Inspection", "OutputError", "PrunedCheckpoint",
            "SweepRow", "TensorDifference", "TensorFacts", "Verdict", "diff_checkpoints",
            "inspect_checkpoint", "load_masks", "load_weights", "open_checkpoint",
            "prune_checkpoint", "verify_checkpoint",
        )
    },
    "Difference": "CheckpointDifference",
    "Portrait": "Charts",
    "portray_checkpoint": "chart_checkpoint",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Find what has moved to `multiprune_checkpoints`, with a warning."""
    return moved(__name__, name, "multiprune_checkpoints", _MOVED)
