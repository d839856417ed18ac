"""Outputs that are whole or absent. Temporary names, locks, renames; knows no tensors.

A temporary is named after its target, so that the next run finds what a killed one left, and is
locked while its writer lives, so that two writers do not share it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType

from multiprune_checkpoints.errors import OutputError

try:
    import fcntl
except ImportError:  # pragma: no cover - no such locks on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["AtomicFile", "AtomicFolder", "sync_folder", "temporary_of"]


def temporary_of(target: Path, kind: str = "tmp") -> Path:
    """Return the name that `target` has until it is whole."""
    return target.with_name(f".{target.name}.multiprune.{kind}")


class AtomicFile:
    """A file under its temporary name. A context manager: not committed, it is removed.

    Parameters
    ----------
    target : Path
        The name that it gets in the end.
    """

    def __init__(self, target: Path) -> None:
        self.target, self.temporary = target, temporary_of(target)
        self.descriptor = _open_locked(self.temporary)
        os.ftruncate(self.descriptor, 0)

    def __enter__(self) -> AtomicFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.descriptor >= 0:
            self.temporary.unlink(missing_ok=True)
            self.close()

    def sync(self) -> None:
        """Make the disk hold what was written."""
        os.fsync(self.descriptor)

    def commit(self) -> None:
        """Give it its name. What had that name before is gone."""
        self.sync()
        os.replace(self.temporary, self.target)
        self.close()
        sync_folder(self.target.parent)

    def close(self) -> None:
        """Close it and leave it under the name that it has."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class AtomicFolder:
    """A folder under its temporary name. A context manager: not committed, it is removed.

    Parameters
    ----------
    target : Path
    """

    def __init__(self, target: Path) -> None:
        self.target, self.temporary = target, temporary_of(target)
        self.old = temporary_of(target, "old")
        self.temporary.mkdir(exist_ok=True)
        self.descriptor = os.open(self.temporary, os.O_RDONLY)
        try:
            _lock(self.descriptor, self.temporary)
            _empty(self.temporary)
            if self.old.exists():  # a run was killed between two renames
                if target.exists():
                    shutil.rmtree(self.old)
                else:
                    self.old.rename(target)
        except BaseException:
            os.close(self.descriptor)
            raise

    def __enter__(self) -> AtomicFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.descriptor >= 0:
            shutil.rmtree(self.temporary, ignore_errors=True)
            if self.target.exists():  # stopped while the older output was being removed
                shutil.rmtree(self.old, ignore_errors=True)
            os.close(self.descriptor)
            self.descriptor = -1

    def commit(self) -> None:
        """Give it its name, in the place of an older output."""
        sync_folder(self.temporary)
        try:
            if self.target.exists():
                self.target.rename(self.old)
            self.temporary.rename(self.target)
        except BaseException:
            if self.old.exists() and not self.target.exists():
                self.old.rename(self.target)
            raise
        shutil.rmtree(self.old, ignore_errors=True)
        os.close(self.descriptor)
        self.descriptor = -1
        sync_folder(self.target.parent)


def sync_folder(folder: Path) -> None:
    """Make the disk hold a folder's names."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_locked(path: Path) -> int:
    """Open or make a file, and lock it under that very name."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    while True:
        descriptor = os.open(path, flags, 0o666)
        try:
            _lock(descriptor, path)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except FileNotFoundError:  # its former writer has renamed or removed it in between
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    """Take the lock that a living writer holds and a killed one has lost."""
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            f"{path} is being written by another process. Rule: one writer at a time. Wait for it."
        ) from None


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
