"""What prune has written to the metadata of a file, read back. The file may have another origin.

What cannot be understood counts as not there: nothing but a caption depends on it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from multiprune.errors import MultipruneError
from multiprune.keys import format_of, score_of
from multiprune.patterns import as_patterns
from multiprune_checkpoints.formats.checkpoint import Checkpoint
from multiprune_checkpoints.formats.left_out import left_out
from multiprune_checkpoints.formats.safetensors_file import SafetensorsLayout
from multiprune_checkpoints.formats.select import select
from multiprune_checkpoints.formats.source import Stored

__all__ = ["provenance_of", "ranked_by", "threshold_of"]

_PREFIX = "multiprune."


def provenance_of(checkpoint: Checkpoint) -> dict[str, str]:
    """Return the entries of the first file's metadata that prune wrote, without their prefix."""
    layout = checkpoint.files[0].layout if checkpoint.files else None
    metadata = layout.header.metadata if isinstance(layout, SafetensorsLayout) else None
    return {
        key.removeprefix(_PREFIX): text
        for key, text in (metadata or {}).items()
        if key.startswith(_PREFIX)
    }


def ranked_by(provenance: Mapping[str, str], checkpoint: Checkpoint) -> list[Stored]:
    """Return the tensors that were ranked, as far as the metadata tell; else the usual ones."""
    digits = provenance.get("min_ndim", "")
    try:
        include, exclude, without = (
            json.loads(provenance.get(key, "[]")) for key in ("include", "exclude", "left_out")
        )
        least = int(digits) if digits.isdecimal() else 2
        # A weight may look like a constant buffer once it is pruned, so the metadata come first.
        known = as_patterns(without, "left_out") if provenance else left_out(checkpoint)
        return select(checkpoint.tensors, include, exclude, least, known)
    except (MultipruneError, ValueError, RecursionError):
        return select(checkpoint.tensors, left_out=left_out(checkpoint))


def threshold_of(provenance: Mapping[str, str]) -> tuple[float | None, bool]:
    """Return the score of the last entry that went, if it is a number, and whether it is signed."""
    signed = provenance.get("signed") == "true"
    try:
        fmt = format_of(provenance["ranked_as"])
        score = score_of(int(provenance["threshold"], 16), fmt, signed=signed)
    except (KeyError, ValueError, TypeError, OverflowError):
        return None, signed
    if provenance.get("count") == "0" or not math.isfinite(score):
        return None, signed
    return float(score), signed
