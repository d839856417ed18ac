"""Masks in a file, one bit an entry, read and written by blocks.

What the bits mean is decided in `multiprune.packed`; this room only keeps them out of memory.
Clauses: FILE-01 to FILE-06, MASK-03 to MASK-05.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from multiprune.errors import MaskShapeError
from multiprune.mask_file import FORMAT, VERSION, check_digest, read_header
from multiprune.packed import MaskFileError, digest
from multiprune_checkpoints.formats.header import Entry, Header
from multiprune_checkpoints.formats.safetensors_file import SafetensorsLayout, open_safetensors
from multiprune_checkpoints.formats.source import SourceFile, Stored, read_exactly, write_all

__all__ = ["PackedMasks", "mask_header", "open_masks"]

_Shape = tuple[int, ...]
_BLOCK = 1 << 20


class PackedMasks(Mapping[str, tuple[_Shape, Iterator[bytes]]]):
    """Packed masks in an open file: a mapping from name to shape and blocks of packed bytes.

    Parameters
    ----------
    descriptor : int
        The open file.
    shapes : mapping
        Shape by name.
    starts : mapping
        Where in the file a mask begins, by name.
    """

    def __init__(
        self, descriptor: int, shapes: Mapping[str, _Shape], starts: Mapping[str, int]
    ) -> None:
        self.descriptor, self.shapes, self.starts = descriptor, shapes, starts

    def __getitem__(self, name: str) -> tuple[_Shape, Iterator[bytes]]:
        shape, start = self.shapes[name], self.starts[name]
        stop = start + -(-prod(shape) // 8)
        steps = ((at, min(at + _BLOCK, stop)) for at in range(start, stop, _BLOCK))
        return shape, (read_exactly(self.descriptor, *step, "the file of masks") for step in steps)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)

    def alive(self, name: str, start: int, stop: int) -> npt.NDArray[np.bool_]:
        """Return entries `start` to `stop` of a mask: True where unpruned."""
        first, last = start // 8, -(-stop // 8)
        at = self.starts[name]
        raw = read_exactly(self.descriptor, at + first, at + last, "the file of masks")
        bits = np.unpackbits(np.frombuffer(raw, "u1"), bitorder="little")
        return bits[start - 8 * first : stop - 8 * first].view(np.bool_)

    def write(self, name: str, start: int, keep: npt.NDArray[Any]) -> None:
        """Store entries of a mask from `start`, a multiple of eight."""
        packed = np.packbits(keep, bitorder="little")
        write_all(self.descriptor, packed.data, self.starts[name] + start // 8)

    def digest(self) -> str:
        """Return the digest of all masks (FILE-03)."""
        return digest(self)


def mask_header(tensors: Sequence[Stored], sha256: str) -> tuple[bytes, dict[str, int]]:
    """Return the header of a mask file and where each mask begins.

    Parameters
    ----------
    tensors : sequence of Stored
        What the masks are for, in code-point order.
    sha256 : str
        The masks' digest, or as many characters.

    Notes
    -----
    Clauses FILE-04, FILE-05.
    """
    lengths = [-(-tensor.size // 8) for tensor in tensors]
    starts = [0, *accumulate(lengths)]
    entries = tuple(
        Entry(tensor.name, "U8", (length,), start, start + length)
        for tensor, length, start in zip(tensors, lengths, starts, strict=False)
    )
    shapes = {tensor.name: list(tensor.shape) for tensor in tensors}
    head = Header(entries, None, 0, 0).encode(
        {
            "format": FORMAT,
            "version": VERSION,
            "shapes": json.dumps(shapes, ensure_ascii=False),
            "sha256": sha256,
        }
    )
    return head, {entry.name: len(head) + entry.start for entry in entries}


def open_masks(path: Path, tensors: Mapping[str, Stored] | None = None) -> PackedMasks:
    """Open a mask file, and check it, and that its masks fit some tensors.

    Raises
    ------
    MaskFileError
        If it is damaged (a ValueError).
    MaskShapeError
        If a mask has another shape than its tensor, or there is no such tensor (a ValueError).

    Notes
    -----
    Clauses FILE-06, MASK-04.
    """
    source, stored = open_safetensors(path)
    try:
        masks = _checked(source, stored, str(path))
        if tensors is not None:
            for name, shape in masks.shapes.items():
                _check_fit(name, shape, tensors.get(name), str(path))
        return masks
    except BaseException:
        source.close()
        raise


def _checked(source: SourceFile, stored: list[Stored], where: str) -> PackedMasks:
    """Check all that a file of masks says of itself."""
    assert isinstance(source.layout, SafetensorsLayout)
    metadata = source.layout.header.metadata or {}
    dtypes = {mask.name: "U8" if mask.dtype == "uint8" else mask.dtype for mask in stored}
    shapes = read_header(metadata, {m.name: (dtypes[m.name], m.shape) for m in stored}, where)
    masks = PackedMasks(source.descriptor, shapes, {mask.name: mask.start for mask in stored})
    for name, shape in shapes.items():
        _check_rest(name, prod(shape), masks, where)
    check_digest(masks, metadata.get("sha256"), where)
    return masks


def _check_rest(name: str, size: int, masks: PackedMasks, where: str) -> None:
    rest = size % 8
    last = masks.starts[name] + size // 8
    if rest and read_exactly(masks.descriptor, last, last + 1, where)[0] >> rest:
        raise MaskFileError(
            f"{where}: mask {name!r} has bits set behind its last entry. Rule: unused bits are 0 "
            "[FILE-02]. The file is damaged."
        )


def _check_fit(name: str, shape: _Shape, tensor: Stored | None, where: str) -> None:
    if tensor is None or tensor.shape != shape:
        held = "there is none of that name" if tensor is None else f"its tensor {tensor.shape}"
        raise MaskShapeError(
            f"{where}: mask {name!r} has shape {shape}, {held}. Rule: a mask has the shape of "
            "its tensor, which is one of the pruned [MASK-04]. Is it another model's?"
        )
