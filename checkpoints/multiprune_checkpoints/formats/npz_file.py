"""An npz archive as a `SourceFile`. Stored arrays are read where they lie.

Compressed and column-major arrays are first laid out anew in a file without a name.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from multiprune_checkpoints.errors import CheckpointError
from multiprune_checkpoints.formats.digests import sha256_of
from multiprune_checkpoints.formats.source import SourceFile, Stored
from multiprune_checkpoints.formats.zip_members import (
    FAULTS,
    Member,
    ZipLayout,
    crc_of,
    members_of,
    rewrite,
)

__all__ = ["open_npz"]

_SUFFIX = ".npy"
_LONGEST_HEADER = 1 << 16
_FREE_EXPANSION, _EXPANSION = 1 << 30, 200
"""An archive may grow to a gibibyte, or two hundredfold, whichever is more."""


class _CompressedLayout(ZipLayout):
    """An output is compressed again, once its arrays are written."""

    def finish(self, target: int, changed: list[Stored]) -> None:
        """Compress the output."""
        super().finish(target, changed)
        rewrite(target, zipfile.ZIP_DEFLATED)


def open_npz(path: Path, number: int = 0) -> tuple[SourceFile, list[Stored]]:
    """Open an npz archive and read the headers of its arrays.

    Parameters
    ----------
    path : Path
    number : int
        Which file of its checkpoint it is.

    Returns
    -------
    SourceFile
    list of Stored
        In the order of the archive.

    Raises
    ------
    CheckpointError
        If it is damaged, or holds pickled objects, which are never loaded.
    """
    source = SourceFile(path)
    try:
        members = members_of(source)
        heads = {m.name: _head(source, m) for m in members if m.stored and _is_array(m)}
        if all(_is_plain(m, heads.get(m.name)) for m in members if _is_array(m)):
            source.layout = ZipLayout(members)
        else:
            compressed = any(not m.stored for m in members)
            _lay_out(source, members)
            members = members_of(source)
            heads = {m.name: _head(source, m) for m in members if _is_array(m)}
            source.layout = (_CompressedLayout if compressed else ZipLayout)(members)
        for member in members:
            if member.stored and crc_of(source.descriptor, member.start, member.stop) != member.crc:
                raise _broken(path, member.name, "its checksum differs")
        return source, [
            _stored(member, *heads[member.name], path, number)
            for member in members
            if _is_array(member)
        ]
    except BaseException:
        source.close()
        raise


def _is_array(member: Member) -> bool:
    return member.name.endswith(_SUFFIX)


def _is_plain(member: Member, head: tuple[Any, ...] | None) -> bool:
    """Whether an array can be read in place."""
    return head is not None and not (head[1] and sum(n > 1 for n in head[0]) > 1)


def _head(source: SourceFile, member: Member) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, whether it is column-major, dtype, and where the data begin."""
    first = source.read(member.start, min(member.stop, member.start + _LONGEST_HEADER))
    return (*_parse_head(first, member.name, source.path), member.start + _length(first))


def _length(first: bytes) -> int:
    width = 2 if first[6:7] == b"\1" else 4
    return 8 + width + int.from_bytes(first[8 : 8 + width], "little")


def _parse_head(first: bytes, name: str, path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    file = io.BytesIO(first)
    try:
        version = npy.read_magic(file)
        reader = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, column_major, dtype = reader(file)
    except Exception as error:  # NumPy reads this with Python's own parser, which has many
        raise _broken(path, name, str(error)[:200] or type(error).__name__) from None
    if dtype.hasobject:
        raise _broken(path, name, "it holds pickled objects, which can run any code")
    if any(type(n) is not int or not 0 <= n < 1 << 62 for n in shape):
        raise _broken(path, name, f"its shape is {str(shape)[:80]}")
    return shape, column_major, dtype


def _stored(
    member: Member,
    shape: tuple[int, ...],
    column_major: bool,
    dtype: np.dtype[Any],
    start: int,
    path: Path,
    number: int,
) -> Stored:
    if prod(shape) * dtype.itemsize != member.stop - start:
        raise _broken(path, member.name, f"it does not hold {shape} entries of {dtype}")
    swapped = dtype.byteorder == ">" and dtype.itemsize > 1
    name = dtype.str if swapped else dtype.name
    return Stored(member.name.removesuffix(_SUFFIX), name, shape, number, start, member.stop)


def _lay_out(source: SourceFile, members: list[Member]) -> None:
    """Point `source` to a file without a name that holds the same arrays, stored row by row."""
    whole, packed = sum(m.size for m in members), sum(m.stop - m.start for m in members)
    if whole > max(_FREE_EXPANSION, _EXPANSION * packed):
        raise CheckpointError(
            f"{source.path} has {packed:,} bytes that would become {whole:,}. Rule: an archive "
            f"expands to 1 GiB or {_EXPANSION} times its size. It is a zip bomb; if you trust it, "
            "save it with numpy.savez."
        )
    source.sha256 = sha256_of(source)
    plain = tempfile.TemporaryFile()  # noqa: SIM115 - the source closes its descriptor
    try:
        with (
            open(source.descriptor, "rb", closefd=False) as file,
            zipfile.ZipFile(file) as archive,
            zipfile.ZipFile(plain, "w") as target,
        ):
            for info in archive.infolist():
                fresh = zipfile.ZipInfo(info.filename, info.date_time)
                with archive.open(info) as inside, target.open(fresh, "w", force_zip64=True) as out:
                    _copy(inside, out, info.filename, source.path)
    except FAULTS as error:
        if isinstance(error, (CheckpointError, OSError)):
            raise
        raise CheckpointError(
            f"{source.path} cannot be unpacked: {error or type(error).__name__}. The file is "
            "damaged."
        ) from None
    plain.flush()
    source.replace(plain.fileno())
    plain.close()


def _copy(inside: Any, out: Any, name: str, path: Path) -> None:
    """Copy a member; a column-major array row by row, which takes it into memory whole."""
    first = inside.read(_LONGEST_HEADER)
    if name.endswith(_SUFFIX):
        shape, column_major, dtype = _parse_head(first, name, path)
        if column_major and sum(n > 1 for n in shape) > 1:
            data = first[_length(first) :] + inside.read()
            array = np.frombuffer(data, dtype)
            if array.size != prod(shape):
                raise _broken(path, name, f"it does not hold {shape} entries of {dtype}")
            npy.write_array(out, np.ascontiguousarray(array.reshape(shape, order="F")))
            return
    out.write(first)
    shutil.copyfileobj(inside, out, 1 << 20)


def _broken(path: Path, name: str, what: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: array {name[:100]!r} cannot be read: {what}. Rule: members are arrays of "
        "numbers, as numpy.savez writes them. The file is damaged or hostile."
    )
