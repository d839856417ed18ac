"""What an index says of its shards, checked.

Source: the index of shards as Hugging Face writes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from multiprune_checkpoints.errors import CheckpointError
from multiprune_checkpoints.formats.flat_json import pairs, strings

__all__ = ["check_shard", "compare", "weight_map"]


_LONGEST_INDEX = 64 << 20


def weight_map(index: Path) -> dict[str, str]:
    """Return in which shard each tensor lies, by name."""
    try:
        size = index.stat().st_size
        text = index.read_bytes() if size <= _LONGEST_INDEX else b""
    except OSError as error:
        raise CheckpointError(f"{index} cannot be opened: {error.strerror}.") from error
    if size > _LONGEST_INDEX:
        raise CheckpointError(f"{index} has {size:,} bytes. Rule: an index has at most 64 MiB.")
    for key, start, stop in pairs(text, 0, str(index)):
        if key == "weight_map":
            return strings(text, start, stop, f"weight_map in {index}")
    raise CheckpointError(f"{index} has no weight_map. Rule: it says in which shard a tensor lies.")


def check_shard(folder: Path, shard: str, where: str) -> None:
    """Refuse shards that are not there, and names that lead elsewhere."""
    path = folder / shard
    if "/" in shard or "\\" in shard or "\0" in shard or shard in ("", ".", ".."):
        raise CheckpointError(
            f"{where} names the shard {shard[:200]!r}. Rule: shards lie beside their index, so a "
            "shard is a plain file name. Do not trust this file."
        )
    if not path.exists():
        raise CheckpointError(
            f"{where} names the shard {shard!r}, which is missing. Rule: all shards are there. "
            "Fetch it."
        )
    # The hub's cache keeps files in snapshots/<revision> as links to blobs.
    allowed = {folder.resolve(), folder.resolve().parent.parent / "blobs"}
    if path.resolve().parent not in allowed:
        raise CheckpointError(
            f"{where}: the shard {shard!r} is a link to {path.resolve()}. Rule: shards lie beside "
            "their index. Put a copy there if you trust it."
        )


def compare(held: Iterable[str], listed: Iterable[str], shard: str, where: str) -> None:
    """Check that a shard holds what its index places there, and nothing else."""
    missing, alien = sorted(set(listed) - set(held)), sorted(set(held) - set(listed))
    if missing or alien:
        raise CheckpointError(
            f"{where} and its shard {shard!r} differ: the shard lacks {missing[:5]} and holds "
            f"{alien[:5]}, which the index does not place there. Rule: they say the same. Files of "
            "two checkpoints were mixed, or one is damaged."
        )
