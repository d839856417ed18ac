"""The errors of files. Amounts, masks and scores have theirs in `multiprune.errors`."""

from __future__ import annotations

from multiprune.errors import MultipruneError

__all__ = ["CheckpointError", "OutputError"]


class CheckpointError(MultipruneError, ValueError):
    """A checkpoint is damaged, hostile, or of a kind that is not read."""

    kind = "checkpoint"


class OutputError(MultipruneError, ValueError):
    """An output cannot be written as asked."""

    kind = "output"
