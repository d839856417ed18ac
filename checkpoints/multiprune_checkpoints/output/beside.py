"""Files that are written beside a pruned checkpoint: masks, and a report on it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from multiprune_checkpoints.errors import OutputError
from multiprune_checkpoints.formats.checkpoint import files_of, is_folder, locate

__all__ = ["check_beside"]


def check_beside(
    path: Path, source: Path, target: Path | None, others: Iterable[Path | None] = ()
) -> None:
    """Refuse a file that would lie on what is read, on what is written, or in a folder of it.

    Parameters
    ----------
    path : Path
        Where the file goes.
    source : Path
        The checkpoint that is pruned.
    target : Path or None
        Where it goes.
    others : iterable of Path or None
        What else is read or written.

    Raises
    ------
    OutputError
        If it would, or has no folder to lie in (a ValueError).
    """
    place, goal = path.resolve(), None if target is None else target.resolve()
    read = [file for known in (source, *others) if known is not None for file in files_of(known)]
    if any(place == file.resolve() or _is_same(path, file) for file in read):
        raise OutputError(
            f"{path} is an input, or named twice. Rule: an input stays as it is, and each output "
            "is a file of its own. Name another file."
        )
    if goal is not None and is_folder(source) and goal in place.parents:
        raise OutputError(
            f"{path} is in the output folder, {target}. Rule: that is the input's folder again "
            "with pruned weights, replaced whole, and holds nothing else. Name a file outside."
        )
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"is to lie in {path.parent}, which is no folder"
        raise OutputError(
            f"{path} {what}. Rule: masks and reports are files in a folder that is there. Name a "
            "file, or make the folder."
        )
    if goal is not None and goal.is_dir():
        goal /= locate(source).name
    if place == goal:
        raise OutputError(
            f"{path} is the output. Rule: each output is a file of its own. Name another file."
        )


def _is_same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)
