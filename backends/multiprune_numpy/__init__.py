"""The NumPy backend: arrays, ml_dtypes ones included, and checkpoint files."""

from multiprune_numpy.arrays import load_masks, load_weights
from multiprune_numpy.backend import backend
from multiprune_numpy.checkpoint import Checkpoint, open_checkpoint
from multiprune_numpy.comparing import (
    Difference,
    TensorDifference,
    Verdict,
    diff_checkpoints,
    verify_checkpoint,
)
from multiprune_numpy.errors import CheckpointError, OutputError
from multiprune_numpy.inspecting import Inspection, TensorFacts, inspect_checkpoint
from multiprune_numpy.outcome import PrunedCheckpoint
from multiprune_numpy.portrait import Portrait, portray_checkpoint
from multiprune_numpy.pruning import prune_checkpoint
from multiprune_numpy.sparse import to_csr
from multiprune_numpy.sweep import SweepRow

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "Difference",
    "Inspection",
    "OutputError",
    "Portrait",
    "PrunedCheckpoint",
    "SweepRow",
    "TensorDifference",
    "TensorFacts",
    "Verdict",
    "backend",
    "diff_checkpoints",
    "inspect_checkpoint",
    "load_masks",
    "load_weights",
    "open_checkpoint",
    "portray_checkpoint",
    "prune_checkpoint",
    "to_csr",
    "verify_checkpoint",
]
