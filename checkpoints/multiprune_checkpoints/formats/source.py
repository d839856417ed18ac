"""An open checkpoint file. Tensors at known places, read by blocks.

Files are read, not mapped: mapped pages count as resident memory. What a format adds to bytes at
places (a header, checksums) is a `FileLayout`; the rooms of the formats make them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Protocol

from multiprune_checkpoints.errors import CheckpointError

__all__ = ["FileLayout", "SourceFile", "Stored", "read_exactly", "write_all"]


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor in a file: little-endian, row-major, in one run of bytes.

    Attributes
    ----------
    name : str
        Full name.
    dtype : str
        Its name in NumPy and ml_dtypes; of a dtype unknown to them, the file's word.
    shape : tuple of int
    file : int
        Which file of the checkpoint.
    start, stop : int
        Its bytes in that file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: int
    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many entries it has."""
        return prod(self.shape)

    @property
    def place(self) -> tuple[int, int, int]:
        """Which bytes of the checkpoint it is."""
        return self.file, self.start, self.stop

    @property
    def itemsize(self) -> int:
        """How many bytes an entry takes; 0 where there is no whole number of them."""
        size = self.size
        return (self.stop - self.start) // size if size else 0


class FileLayout(Protocol):
    """What a format puts around the bytes of tensors."""

    @property
    def data(self) -> int:
        """Where the part begins that an output shares with its input, pruned entries apart."""

    def head(self, provenance: Mapping[str, str]) -> bytes:
        """Return what precedes that part in an output; its length is that of the texts."""

    def finish(self, target: int, changed: list[Stored]) -> None:
        """Mend what depends on the bytes of `changed` tensors in the file `target`."""


class SourceFile:
    """One file of a checkpoint, open for reading.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        try:
            self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise CheckpointError(
                f"{path} cannot be opened: {error.strerror}. Give a checkpoint file, its index, or "
                "the folder that holds it."
            ) from error
        self.path = path
        self.name = path.name
        self.size = os.fstat(self.descriptor).st_size
        self.layout: FileLayout
        self.no_weights: dict[str, str] = {}  # by name, what the file itself says is none
        self.sha256: str | None = None  # known where what is read is no longer the file itself

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` to `stop`."""
        return read_exactly(self.descriptor, start, stop, str(self.path))

    def replace(self, descriptor: int) -> None:
        """Read from another open file, from now on."""
        os.dup2(descriptor, self.descriptor, inheritable=False)
        self.size = os.fstat(descriptor).st_size

    def close(self) -> None:
        """Close it; twice does no harm."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def read_exactly(descriptor: int, start: int, stop: int, where: str) -> bytes:
    """Return the bytes from `start` to `stop` of an open file.

    Raises
    ------
    CheckpointError
        If it ends before, because it was shortened meanwhile.
    """
    block = os.pread(descriptor, stop - start, start)
    while len(block) < stop - start:  # a system may return less at a time
        more = os.pread(descriptor, stop - start - len(block), start + len(block))
        if not more:
            raise CheckpointError(
                f"{where} ends at byte {start + len(block):,}, though {stop:,} were there. It was "
                "changed while it was read. Try again when no other program writes to it."
            )
        block += more
    return block


def write_all(descriptor: int, data: bytes | memoryview, start: int) -> None:
    """Write all of `data` at `start` of an open file."""
    view = memoryview(data).cast("B")
    while len(view):
        written = os.pwrite(descriptor, view, start)
        view, start = view[written:], start + written
