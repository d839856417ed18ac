"""The header of a safetensors file. Bytes ↔ a checked list of tensors; opens nothing.

A header is untrusted input: every number in it is checked against the file's size and against
the others before anybody allocates or seeks by it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from multiprune_checkpoints.errors import CheckpointError
from multiprune_checkpoints.formats.dtypes import BITS
from multiprune_checkpoints.formats.flat_json import pairs, strings, value

__all__ = ["LENGTH", "METADATA", "Entry", "Header", "header_size", "parse_header"]

LENGTH = 8
"""Bytes of the number that every file begins with: the header's length."""

METADATA = "__metadata__"
_LONGEST = 100_000_000
_MOST_TENSORS = 1 << 18
_LARGEST = 1 << 62


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of a header: code of its dtype, and its place in the data section."""

    name: str
    code: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Header:
    """A checked header.

    Attributes
    ----------
    entries : tuple of Entry
        In the order of the file.
    metadata : dict of str, or None
        None where the file has none.
    place : int
        How many entries stand before the metadata.
    data : int
        Where in the file the data section begins.
    """

    entries: tuple[Entry, ...]
    metadata: dict[str, str] | None
    place: int
    data: int

    def encode(self, metadata: Mapping[str, str]) -> bytes:
        """Return the bytes of the same header with other metadata, length included."""
        items: list[tuple[str, Any]] = [
            (e.name, {"dtype": e.code, "shape": e.shape, "data_offsets": (e.start, e.stop)})
            for e in self.entries
        ]
        if metadata:
            items.insert(self.place, (METADATA, dict(metadata)))
        text = json.dumps(dict(items), ensure_ascii=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(LENGTH, "little") + text


def header_size(first: bytes, size: int, where: str) -> int:
    """Return how long the header is.

    Parameters
    ----------
    first : bytes
        The file's first eight bytes.
    size : int
        The file's size.
    where : str
        The file's name, for messages.

    Raises
    ------
    CheckpointError
        If the length cannot be true.
    """
    length = int.from_bytes(first, "little")
    if len(first) < LENGTH or length < 2 or length > size - LENGTH:
        raise CheckpointError(
            f"{where} has {size:,} bytes and says that its header takes {length:,}. Rule: eight "
            "bytes of length, the header, then the data. It is truncated, or no safetensors file."
        )
    if length > _LONGEST:
        raise CheckpointError(
            f"{where} says that its header takes {length:,} bytes. Rule: at most {_LONGEST:,}. "
            "It is damaged, or no safetensors file."
        )
    return length


def parse_header(text: bytes, size: int, where: str) -> Header:
    """Read a header, and check it against the size of its file.

    Raises
    ------
    CheckpointError
        If it is not JSON of the right form, names a tensor twice, or places tensors outside the
        data section, over each other, with holes, or in a room that does not fit their dtype.
    """
    where = f"the header of {where}"
    entries: list[Entry] = []
    metadata, place, section = None, 0, size - LENGTH - len(text)
    if not text.startswith(b"{"):
        raise CheckpointError(
            f"{where} begins with {text[:20]!r}. Rule: it is a JSON object, so it begins with a "
            "brace. The file is damaged, or no safetensors file."
        )
    for name, start, stop in pairs(text, 0, where):
        if name == METADATA:
            metadata, place = strings(text, start, stop, f"{METADATA} in {where}"), len(entries)
            continue
        if len(entries) == _MOST_TENSORS:
            raise CheckpointError(
                f"{where} lists more than {_MOST_TENSORS:,} tensors. Rule: no model does; what a "
                "file can make a reader hold in memory is bounded."
            )
        entries.append(_entry(name, value(text[start:stop], where), section, where))
    _check_cover(entries, section, where)
    return Header(tuple(entries), metadata, place, LENGTH + len(text))


def _entry(name: str, item: Any, section: int, where: str) -> Entry:
    try:
        if set(item) != {"dtype", "shape", "data_offsets"} or not isinstance(item["dtype"], str):
            raise TypeError
        shape = tuple(map(_natural, item["shape"]))
        start, stop = map(_natural, item["data_offsets"])
    except (TypeError, ValueError):
        raise CheckpointError(
            f"{where} says {str(item)[:200]} of tensor {name[:200]!r}. Rule: a tensor has a dtype, "
            "a shape of numbers that are not negative, and two data_offsets. The file is damaged."
        ) from None
    entry = Entry(name, item["dtype"], shape, start, stop)
    if not start <= stop <= section:
        raise CheckpointError(
            f"{where} places tensor {name[:200]!r} at bytes {start:,} to {stop:,} of a data "
            f"section of {section:,}. Rule: tensors lie inside it. The file is truncated or "
            "damaged."
        )
    needed, rest = divmod(prod(shape) * BITS.get(entry.code, 0), 8)
    if entry.code in BITS and (needed != stop - start or rest):
        raise CheckpointError(
            f"{where} gives tensor {name[:200]!r}, of dtype {entry.code} and shape "
            f"{list(shape)[:8]}, {stop - start:,} bytes. Rule: it takes {needed:,}. The file is "
            "damaged."
        )
    return entry


def _natural(number: Any) -> int:
    if type(number) is not int or not 0 <= number < _LARGEST:
        raise ValueError
    return number


def _check_cover(entries: list[Entry], section: int, where: str) -> None:
    """Check that tensors lie side by side and fill the data section."""
    at, before = 0, "the beginning"
    for entry in sorted(entries, key=lambda e: (e.start, e.stop)):
        if entry.start != at:
            fault = "overlaps" if entry.start < at else "leaves a hole behind"
            raise CheckpointError(
                f"{where}: tensor {entry.name[:200]!r} at byte {entry.start:,} {fault} {before}, "
                f"which ends at {at:,}. Rule: tensors lie side by side. The file is damaged."
            )
        at, before = entry.stop, f"tensor {entry.name[:200]!r}"
    if at != section:
        raise CheckpointError(
            f"{where}: the tensors end at byte {at:,} of a data section of {section:,}. Rule: they "
            "fill it. Something was appended, or the file is damaged."
        )
