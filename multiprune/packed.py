"""Masks as bits, and their digest. The layout of a mask file; files are opened by backends.

A mask comes and goes as bytes of one per entry, 0 or 1, in row-major order. Standard library only.
Clauses: FILE-01 to FILE-06.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence

from multiprune.errors import MaskError

__all__ = ["MaskFileError", "decode", "digest", "encode", "pack", "unpack"]

Bytes = bytes | bytearray | memoryview
Shape = Sequence[int]

FORMAT, VERSION = "multiprune-masks", "1"
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


def encode(masks: Mapping[str, tuple[Shape, Bytes]]) -> tuple[dict[str, bytes], dict[str, str]]:
    """Turn masks into what a mask file holds.

    Parameters
    ----------
    masks : mapping
        Shape and one byte per entry, by full name.

    Returns
    -------
    tensors : dict of bytes
        Packed masks by name: the file's one-dimensional U8 tensors.
    metadata : dict of str

    Notes
    -----
    Clauses FILE-04, FILE-05.
    """
    packed = {name: (masks[name][0], pack(masks[name][1])) for name in sorted(masks)}
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "shapes": json.dumps({n: list(s) for n, (s, _) in packed.items()}, ensure_ascii=False),
        "sha256": digest(packed),
    }
    return {name: data for name, (_, data) in packed.items()}, metadata


def decode(
    tensors: Mapping[str, Bytes], metadata: Mapping[str, str]
) -> dict[str, tuple[tuple[int, ...], bytes]]:
    """Turn what a mask file holds into masks, and check all of it.

    Parameters
    ----------
    tensors : mapping
        Packed masks by name.
    metadata : mapping

    Returns
    -------
    dict
        Shape and one byte per entry, by full name in code-point order.

    Raises
    ------
    MaskFileError
        If anything does not fit (a ValueError).

    Notes
    -----
    Clause FILE-06.
    """
    if (metadata.get("format"), metadata.get("version")) != (FORMAT, VERSION):
        raise MaskFileError(
            f"the file's format is {metadata.get('format')!r}, version "
            f"{metadata.get('version')!r}. Rule: they are {FORMAT!r} and {VERSION!r} [FILE-05]. Is "
            "it a file of masks?"
        )
    shapes = _shapes(metadata.get("shapes", ""))
    if set(shapes) != set(tensors):
        raise MaskFileError(
            f"the file has shapes of {sorted(shapes)} and tensors {sorted(tensors)}. Rule: they "
            "have the same names [FILE-06]. The file is damaged."
        )
    masks = {}
    for name in sorted(tensors):
        try:
            masks[name] = shapes[name], unpack(tensors[name], math.prod(shapes[name]))
        except MaskFileError as error:
            raise MaskFileError(f"mask {name}: {error}") from None
    found = digest({name: (shapes[name], tensors[name]) for name in masks})
    if found != metadata.get("sha256"):
        raise MaskFileError(
            f"the masks' digest is {found}, the file says {metadata.get('sha256')}. Rule: they are "
            "equal [FILE-06]. The file is damaged."
        )
    return masks


def _shapes(text: str) -> dict[str, tuple[int, ...]]:
    try:
        parsed = json.loads(text)
        shapes = {name: tuple(shape) for name, shape in parsed.items()}
        if all(type(n) is int and n >= 0 for shape in shapes.values() for n in shape):
            return shapes
    except (ValueError, TypeError, AttributeError):
        pass
    raise MaskFileError(
        f"the file's shapes are {text[:100]!r}. Rule: they are a JSON object from each name to its "
        "list of dimensions [FILE-05]. The file is damaged."
    )


def _integer(number: int) -> bytes:
    return number.to_bytes(8, "little")
