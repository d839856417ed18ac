"""Room: one block of a compressed file ↔ bytes. A bit mask, then the values' bytes by their place.

A pruned weight is a zero, and a kept one has nearly random low bytes: what can be saved is the
zeros, and what the high bytes have in common. Each part is a Zstandard frame of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from struct import Struct
from typing import Any

import numpy as np

from multiprune_numpy.errors import CheckpointError

__all__ = ["BLOCK", "HEAD", "WIDTHS", "pack", "unpack", "zstd"]

BLOCK = 1 << 20
"""Bytes that a block stands for, at most."""
HEAD = Struct("<IB")
"""What a block begins with: how many entries, and how many bytes each (0: no tensor's)."""
WIDTHS = (1, 2, 4, 8)
_LENGTH = Struct("<I")
_LEVEL = 1
"""More costs time and saves nothing: masks and low bytes have no repetitions to be found."""
_WINDOW = 21
"""No frame may ask for more than 2 MiB to be decompressed."""

Read = Callable[[int], bytes]


def zstd() -> Any:
    """Return the module ``compression.zstd``, or its backport.

    Raises
    ------
    CheckpointError
        If it is not installed.
    """
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd as found
        else:
            from backports import zstd as found
    except ImportError:
        raise CheckpointError(
            "Zstandard is not installed. Rule: compressed files need it. Install it: pip install "
            "'multiprune[zstd]'."
        ) from None
    return found


def pack(raw: bytes, width: int) -> bytes:
    """Compress a block.

    Parameters
    ----------
    raw : bytes
        At most `BLOCK` of them; whole entries.
    width : int
        Bytes of an entry, or 0 for bytes that are no tensor's.
    """
    if width == 0:
        return HEAD.pack(len(raw), 0) + _frame(raw)
    entries = np.frombuffer(raw, f"<u{width}")
    kept = entries != 0
    planes = entries[kept].view("u1").reshape(-1, width).T
    parts = [np.packbits(kept, bitorder="little"), *planes]
    return HEAD.pack(len(entries), width) + b"".join(_frame(part.tobytes()) for part in parts)


def unpack(head: bytes, read: Read) -> bytes:
    """Decompress a block.

    Parameters
    ----------
    head : bytes
        What it begins with.
    read : callable
        Takes a number, and returns as many of the bytes that follow.

    Raises
    ------
    CheckpointError
        If it does not hold together; memory is bounded whatever it says.
    """
    count, width = HEAD.unpack(head)
    if not 0 < count * max(width, 1) <= BLOCK or width not in (0, *WIDTHS):
        raise CheckpointError(
            f"a block says that it holds {count:,} entries of {width} bytes. Rule: 1 to {BLOCK:,} "
            f"bytes, of widths 0, {', '.join(map(str, WIDTHS))}."
        )
    if width == 0:
        return _thaw(read, count)
    bits = np.unpackbits(np.frombuffer(_thaw(read, -(-count // 8)), "u1"), bitorder="little")
    if bits[count:].any():
        raise CheckpointError("a mask has bits behind its last entry. Rule: they are 0.")
    kept = bits[:count].view(np.bool_)
    many = int(np.count_nonzero(kept))
    planes = np.empty((many, width), "u1")
    for place in range(width):
        planes[:, place] = np.frombuffer(_thaw(read, many), "u1")
    entries = np.zeros(count, f"<u{width}")
    entries[kept] = planes.view(f"<u{width}")[:, 0]
    return entries.tobytes()


def _frame(part: bytes) -> bytes:
    frame: bytes = zstd().compress(part, _LEVEL)
    return _LENGTH.pack(len(frame)) + frame


def _thaw(read: Read, size: int) -> bytes:
    """Decompress one frame, which holds exactly `size` bytes."""
    (length,) = _LENGTH.unpack(read(_LENGTH.size))
    if length > size + size // 128 + 1024:
        raise CheckpointError(f"a frame says that it takes {length:,} bytes for {size:,}.")
    module = zstd()
    options = {module.DecompressionParameter.window_log_max: _WINDOW}
    decompressor = module.ZstdDecompressor(options=options)
    try:
        found: bytes = decompressor.decompress(read(length), max_length=size + 1)
    except module.ZstdError as error:
        raise CheckpointError(f"a frame cannot be decompressed: {error}.") from None
    if len(found) != size or not decompressor.eof or decompressor.unused_data:
        raise CheckpointError(f"a frame holds other than the {size:,} bytes that it should.")
    return found
