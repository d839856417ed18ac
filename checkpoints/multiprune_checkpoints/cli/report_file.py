"""What ``prune --report`` wrote, read back; it may have been edited since.

Clause: none; see docs/checkpoints.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprune_checkpoints import PrunedCheckpoint

__all__ = ["read"]

_LONGEST = 64 << 20


def read(path: Path) -> PrunedCheckpoint:
    """Read what prune --report wrote; it may have been edited since."""
    from multiprune_checkpoints import CheckpointError, PrunedCheckpoint

    with path.open("rb") as file:
        text = file.read(_LONGEST + 1)
    try:
        if len(text) > _LONGEST:
            raise ValueError(f"it has more than {_LONGEST:,} bytes")
        done = PrunedCheckpoint.from_dict(json.loads(text))
        _check_values(done)
        return done
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is not a report: {type(error).__name__} {str(error)[:200]}. Rule: it is JSON "
            "that prune --report writes. Give that, or a checkpoint."
        ) from None


def _check_values(done: PrunedCheckpoint) -> None:
    for t in done.report.tensors:
        counts = *t.shape, t.size, t.pruned
        if not isinstance(t.name, str) or not all(type(n) is int and n >= 0 for n in counts):
            raise TypeError(f"tensor {t.name!r:.80} is of {counts!s:.80}")
        if t.pruned > t.size:
            raise ValueError(f"of tensor {t.name:.80} more is pruned than there is")
    report = done.report
    known = report.threshold, report.ties, report.tied_pruned
    if not all(n is None or type(n) in (int, float) for n in known):
        raise TypeError(f"threshold and ties are {known!s:.80}")
    texts = *done.provenance.items(), (report.method, *done.untouched)
    if not all(isinstance(text, str) for group in texts for text in group):
        raise TypeError("a name is not text")
