"""Where the outputs of a pruning go. One file, a folder, the input's own place, nowhere.

Each is whole or absent whenever the process dies; shards that are replaced one after the other
have a journal, by which the next run finishes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from multiprune_checkpoints.errors import CheckpointError, OutputError
from multiprune_checkpoints.formats.checkpoint import JOURNAL, Checkpoint, has_format_of
from multiprune_checkpoints.formats.source import write_all
from multiprune_checkpoints.output.atomic import AtomicFile, AtomicFolder, sync_folder, temporary_of
from multiprune_checkpoints.output.neighbours import check_folder, copy_others

__all__ = ["Destination", "recover"]


class Destination:
    """Files being written, one for each of a checkpoint's.

    Parameters
    ----------
    checkpoint : Checkpoint
        The input.
    target : Path or None
        The output; None replaces the input.
    stack : ExitStack
        Removes what is not committed.
    """

    def __init__(self, checkpoint: Checkpoint, target: Path | None, stack: ExitStack) -> None:
        self.checkpoint, self.folder = checkpoint, None
        sources = [source.path for source in checkpoint.files]
        if target is None:
            paths = sources
        elif checkpoint.is_folder:
            check_folder(checkpoint.path.parent, target)
            self.folder = stack.enter_context(AtomicFolder(target))
            paths = [self.folder.temporary / path.name for path in sources]
        else:
            paths = [target / sources[0].name if target.is_dir() else target]
            if paths[0].exists() and paths[0].samefile(sources[0]):
                raise OutputError(
                    f"{paths[0]} is the input. Rule: an input stays as it is. Name another output, "
                    "or say --in-place."
                )
            if not has_format_of(paths[0], sources[0]):
                raise OutputError(
                    f"{paths[0]} was given for {sources[0].name}. Rule: an output has its input's "
                    f"format, which its name says. Name it *{sources[0].suffix}, or name a folder "
                    "that is there."
                )
        self.files = [stack.enter_context(AtomicFile(path)) for path in paths]
        self.in_place = target is None
        for pending, source in zip(self.files, checkpoint.files, strict=True):
            os.fchmod(pending.descriptor, os.fstat(source.descriptor).st_mode & 0o777)

    @property
    def place(self) -> Path:
        """A folder on the disk that is written to."""
        return self.files[0].temporary.parent

    def commit(self, request: Mapping[str, Any], outcome: Mapping[str, Any]) -> None:
        """Give all files their names."""
        if self.folder is not None:
            for pending in self.files:
                pending.commit()
            written = {source.path.name for source in self.checkpoint.files}
            copy_others(self.checkpoint.path.parent, self.folder.temporary, written)
            self.folder.commit()
        elif len(self.files) == 1:
            self.files[0].commit()
        else:
            self._replace_all(request, outcome)

    def _replace_all(self, request: Mapping[str, Any], outcome: Mapping[str, Any]) -> None:
        """Replace several inputs: once there is a journal, the next run would do it."""
        folder = self.checkpoint.path.parent
        for pending in self.files:
            pending.sync()
            pending.close()  # what the journal names must outlive whatever happens from here on
        names = [pending.target.name for pending in self.files]
        text = json.dumps({"shards": names, "request": request, "outcome": outcome})
        try:
            with AtomicFile(folder / JOURNAL) as journal:
                write_all(journal.descriptor, text.encode(), 0)
                journal.commit()
        finally:
            if not (folder / JOURNAL).exists():
                for pending in self.files:
                    pending.temporary.unlink(missing_ok=True)
        for pending in self.files:
            os.replace(pending.temporary, pending.target)
        _close_journal(folder)


def recover(path: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Finish what an interrupted replacement of shards has left.

    Parameters
    ----------
    path : Path
        The index of the shards.

    Returns
    -------
    (request, outcome) or None
        What was asked and done, or None if nothing was left.
    """
    folder = path.parent
    journal = folder / JOURNAL
    if not journal.exists():
        return None
    try:
        entries = json.loads(journal.read_bytes())
        shards, request, outcome = entries["shards"], entries["request"], entries["outcome"]
        if not all(name == Path(name).name for name in shards):
            raise ValueError("a shard is not a plain name")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{journal} cannot be read: {error}. Rule: prune writes it while it replaces shards. "
            f"Remove it and the files .*.multiprune.tmp beside it if you know the shards are whole."
        ) from None
    for name in shards:
        temporary = temporary_of(folder / name)
        if temporary.exists():
            os.replace(temporary, folder / name)
    _close_journal(folder)
    return request, outcome


def _close_journal(folder: Path) -> None:
    sync_folder(folder)  # the new names first, then the end of the journal
    (folder / JOURNAL).unlink()
    sync_folder(folder)
