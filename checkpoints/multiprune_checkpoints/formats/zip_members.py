"""A zip archive seen as bytes at places. Where members lie, and their checksums mended.

Members are neither extracted nor named on the disk: stored ones are read where they are.
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multiprune_checkpoints.errors import CheckpointError
from multiprune_checkpoints.formats.source import SourceFile, Stored, read_exactly, write_all

__all__ = ["FAULTS", "Member", "ZipLayout", "crc_of", "members_of", "rewrite"]

_LARGEST_DIRECTORY = 8 << 20
_END, _END64, _LOCATOR = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_LOCAL, _ENTRY, _DESCRIPTOR = b"PK\3\4", b"PK\1\2", b"PK\7\x08"
_BLOCK = 1 << 20
_DEFERRED = 8
_ENCRYPTED = 1
FAULTS = (
    zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, EOFError, OverflowError,
    RuntimeError, KeyError, OSError, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """One member: its bytes, and every place where its checksum is written."""

    name: str
    start: int
    stop: int
    size: int
    stored: bool
    crc: int
    crc_places: tuple[int, ...]


class ZipLayout:
    """An output is the same archive, the checksums of changed members mended."""

    data = 0

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members

    def head(self, provenance: Mapping[str, str]) -> bytes:
        """Return nothing: an archive has no room for provenance."""
        return b""

    def finish(self, target: int, changed: list[Stored]) -> None:
        """Write the checksums of the members that hold changed tensors."""
        for member in self.members:
            if any(member.start <= t.start and t.stop <= member.stop for t in changed):
                crc = crc_of(target, member.start, member.stop).to_bytes(4, "little")
                for place in member.crc_places:
                    write_all(target, crc, place)


def crc_of(descriptor: int, start: int, stop: int) -> int:
    """Return the checksum of a part of an open file."""
    crc = 0
    for at in range(start, stop, _BLOCK):
        block = read_exactly(descriptor, at, min(at + _BLOCK, stop), "an archive")
        crc = zlib.crc32(block, crc)
    return crc


def members_of(source: SourceFile) -> list[Member]:
    """Return the members of an archive, in the order of its directory.

    Raises
    ------
    CheckpointError
        If it is not an archive, or its members overlap, share a name or lead elsewhere.
    """
    where = str(source.path)
    try:
        _check_directory(source)
        with open(source.descriptor, "rb", closefd=False) as file, zipfile.ZipFile(file) as archive:
            members, at = [], archive.start_dir
            for info in archive.infolist():
                member, at = _member(source, info, at)
                members.append(member)
    except CheckpointError:
        raise
    except FAULTS as error:
        raise CheckpointError(
            f"{where} cannot be read: {error or type(error).__name__}. Rule: it is a zip archive. "
            "It is truncated or damaged, or has another format than its name says."
        ) from None
    end, names = 0, set()
    for member in sorted(members, key=lambda m: m.start):
        if member.start < end or member.name in names:
            raise CheckpointError(
                f"{where}: member {member.name[:100]!r} overlaps another, or has its name. Rule: "
                "members lie apart and have names of their own. The file is hostile or damaged."
            )
        if member.name.startswith(("/", "\\")) or ".." in member.name.replace("\\", "/").split("/"):
            raise CheckpointError(
                f"{where}: member {member.name[:100]!r} leads out of the archive. Rule: names have "
                "no root and no '..'. Do not trust this file."
            )
        end = member.stop
        names.add(member.name)
    return members


def _check_directory(source: SourceFile) -> None:
    """Refuse a directory that is larger than a reader should hold."""
    tail_at = max(source.size - 66_000, 0)
    tail = source.read(tail_at, source.size)
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise ValueError("there is no end of an archive")
    (size,) = struct.unpack_from("<L", tail, at + 12)
    if tail[at - 20 : at - 16] == _LOCATOR:
        (record,) = struct.unpack_from("<Q", tail, at - 12)
        if record > source.size - 56:
            raise ValueError("its directory begins after its end")
        raw = source.read(record, record + 56)
        if raw[:4] == _END64:
            (size,) = struct.unpack_from("<Q", raw, 40)
    if size > _LARGEST_DIRECTORY:
        raise ValueError(f"its directory takes {size:,} bytes, and {_LARGEST_DIRECTORY:,} at most")


def _member(source: SourceFile, info: zipfile.ZipInfo, at: int) -> tuple[Member, int]:
    """Find a member's bytes by its own header; `at` is its entry in the directory."""
    local = source.read(info.header_offset, min(info.header_offset + 30, source.size))
    entry = source.read(at, min(at + 46, source.size))
    if local[:4] != _LOCAL or entry[:4] != _ENTRY or info.flag_bits & _ENCRYPTED:
        raise ValueError(f"member {info.filename[:100]!r} has no header, or is encrypted")
    start = info.header_offset + 30 + sum(struct.unpack_from("<HH", local, 26))
    stop = start + info.compress_size
    stored = info.compress_type == zipfile.ZIP_STORED
    if stop > source.size or (stored and info.compress_size != info.file_size):
        raise ValueError(f"member {info.filename[:100]!r} does not fit its size")
    places = [at + 16]
    if not info.flag_bits & _DEFERRED:
        places.append(info.header_offset + 14)
    else:
        marked = source.read(stop, min(stop + 4, source.size)) == _DESCRIPTOR
        places.append(stop + 4 * marked)
    name, extra, comment = struct.unpack_from("<HHH", entry, 28)
    member = Member(info.filename, start, stop, info.file_size, stored, info.CRC, tuple(places))
    return member, at + 46 + name + extra + comment


def rewrite(descriptor: int, compression: int) -> None:
    """Replace an archive of stored members, open for writing, by a compressed one."""
    with (
        open(os.dup(descriptor), "r+b") as file,
        zipfile.ZipFile(file) as archive,
        tempfile.TemporaryFile() as small,
    ):
        with zipfile.ZipFile(small, "w", compression) as target:
            for info in archive.infolist():
                fresh = zipfile.ZipInfo(info.filename, info.date_time)
                fresh.compress_type = compression
                with archive.open(info) as inside, target.open(fresh, "w", force_zip64=True) as out:
                    shutil.copyfileobj(inside, out, _BLOCK)
        small.seek(0)
        file.seek(0)
        shutil.copyfileobj(small, file, _BLOCK)
        file.truncate()
        file.flush()
