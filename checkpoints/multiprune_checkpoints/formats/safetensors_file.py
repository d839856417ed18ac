"""A safetensors file as a `SourceFile`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from multiprune_checkpoints.formats.dtypes import CODES
from multiprune_checkpoints.formats.header import LENGTH, Header, header_size, parse_header
from multiprune_checkpoints.formats.source import SourceFile, Stored

__all__ = ["SafetensorsLayout", "open_safetensors"]


class SafetensorsLayout:
    """Header, then data: provenance goes to the header, and the data need no mending."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.data = header.data

    def head(self, provenance: Mapping[str, str]) -> bytes:
        """Return the header with `provenance` added to its metadata, in the place of older."""
        kept = {
            key: text
            for key, text in (self.header.metadata or {}).items()
            if not key.startswith("multiprune.")
        }
        return self.header.encode({**kept, **provenance})

    def finish(self, target: int, changed: list[Stored]) -> None:
        """Do nothing: there are no checksums."""


def open_safetensors(path: Path, number: int = 0) -> tuple[SourceFile, list[Stored]]:
    """Open a safetensors file and read its header.

    Parameters
    ----------
    path : Path
    number : int
        Which file of its checkpoint it is.

    Returns
    -------
    SourceFile
    list of Stored
        In the order of the header.

    Raises
    ------
    CheckpointError
        If the header is inconsistent.
    """
    source = SourceFile(path)
    try:
        length = header_size(source.read(0, min(LENGTH, source.size)), source.size, str(path))
        header = parse_header(source.read(LENGTH, LENGTH + length), source.size, str(path))
    except BaseException:
        source.close()
        raise
    source.layout = SafetensorsLayout(header)
    return source, [
        Stored(
            entry.name,
            CODES.get(entry.code, entry.code),
            entry.shape,
            number,
            header.data + entry.start,
            header.data + entry.stop,
        )
        for entry in header.entries
    ]
