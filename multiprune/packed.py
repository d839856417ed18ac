"""Masks as bits, and their digest.

A mask comes and goes as bytes of one per entry, 0 or 1, in row-major order. Standard library only.
Clauses: FILE-01 to FILE-03.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from multiprune.errors import MaskError

__all__ = ["MaskFileError", "digest", "pack", "unpack"]

Bytes = bytes | bytearray | memoryview
Shape = Sequence[int]

_BLOCK = 1 << 16
"""Entries that are packed at a time: numbers of this many bits stay in the cache."""
_TO_TEXT = bytes([48, *[49] * 255])
_FROM_TEXT = bytes(1 if i == 49 else 0 for i in range(256))


class MaskFileError(MaskError):
    """A mask file is damaged, or is not one."""

    kind = "mask-file"


def pack(bits: Bytes) -> bytes:
    r"""Pack a mask, eight entries a byte.

    Parameters
    ----------
    bits : bytes-like
        One byte per entry, 0 where it is pruned.

    Returns
    -------
    bytes
        The first entry in the lowest bit of the first byte; unused bits of the last byte are 0.

    Notes
    -----
    Clauses FILE-01, FILE-02.

    Examples
    --------
    >>> pack(bytes([1, 0, 0, 0, 0, 0, 0, 0, 1, 1]))
    b'\x01\x03'
    """
    view = memoryview(bits).cast("B")
    packed = bytearray()
    for start in range(0, len(view), _BLOCK):
        block = bytes(view[start : start + _BLOCK])
        # The entries as the digits of a number in base 2, the first one last.
        number = int(block[::-1].translate(_TO_TEXT), 2)
        packed += number.to_bytes(-(-len(block) // 8), "little")
    return bytes(packed)


def unpack(packed: Bytes, size: int) -> bytes:
    """Unpack a mask of `size` entries.

    Returns
    -------
    bytes
        One byte per entry, 0 or 1.

    Raises
    ------
    MaskFileError
        If the length is another, or unused bits are set (a ValueError).

    Notes
    -----
    Clauses FILE-01, FILE-02, FILE-06.
    """
    view = memoryview(packed).cast("B")
    if len(view) != -(-size // 8):
        raise MaskFileError(
            f"{len(view)} bytes were given for {size} entries. Rule: a packed mask has one bit per "
            f"entry, so {-(-size // 8)} bytes [FILE-01]. Was the file copied whole?"
        )
    if size % 8 and view[-1] >> size % 8:
        raise MaskFileError(
            f"the last byte, {view[-1]:#04x}, has bits set behind entry {size}. Rule: unused bits "
            "are 0 [FILE-02]. Write the file again with pack."
        )
    bits = bytearray()
    for start in range(0, size, _BLOCK):
        number = int.from_bytes(view[start // 8 : (start + _BLOCK) // 8], "little")
        count = min(_BLOCK, size - start)
        bits += format(number, f"0{count}b").encode()[::-1].translate(_FROM_TEXT)
    return bytes(bits)


def digest(masks: Mapping[str, tuple[Shape, Bytes | Iterator[Bytes]]]) -> str:
    """Return one text that is equal exactly for equal sets of masks.

    Parameters
    ----------
    masks : mapping
        Shape and packed mask by full name; a mask whole, or block by block.

    Returns
    -------
    str
        A SHA-256 in lower-case hexadecimal.

    Notes
    -----
    Clause FILE-03.
    """
    sha = hashlib.sha256()
    for name in sorted(masks):
        shape, packed = masks[name]
        text = name.encode()
        sha.update(b"".join(_integer(n) for n in [len(text)]) + text)
        sha.update(b"".join(_integer(n) for n in [len(shape), *shape]))
        for block in packed if isinstance(packed, Iterator) else (packed,):
            sha.update(block)
    return sha.hexdigest()


def _integer(number: int) -> bytes:
    return number.to_bytes(8, "little")
