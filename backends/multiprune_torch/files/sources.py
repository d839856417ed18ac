"""Where masks by full names come from: a packed mask file, or tensors.

Clauses: FILE-04 to FILE-06, MASK-03, MASK-04.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from multiprune.errors import MaskError
from multiprune.mask_file import check_digest, read_header
from multiprune.packed import MaskFileError, digest
from multiprune_torch.distributed.layout import Layout
from multiprune_torch.distributed.packing import PIECE, own_range, unpack
from multiprune_torch.errors import MaskTypeError
from multiprune_torch.hooks.methods import as_mask
from multiprune_torch.request.pruned import is_binary

__all__ = ["MaskFile", "MaskTensors", "Source", "source_of"]


class MaskFile(Mapping[str, Any]):
    """Shape and packed mask by name, each read when it is asked for."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        try:
            opening: Any = safe_open(self.path, framework="numpy")
            self.file = opening.__enter__()
            metadata = self.file.metadata() or {}
            self.slices = {name: self.file.get_slice(name) for name in sorted(self.file.keys())}
        except SafetensorError as error:
            raise self.error(
                f"cannot be read: {error}", "it is a safetensors file [FILE-04]"
            ) from None
        self.sha256 = metadata.get("sha256", "")
        stored = {name: (s.get_dtype(), s.get_shape()) for name, s in self.slices.items()}
        self.shapes = read_header(metadata, stored, self.path)

    def error(self, what: str, rule: str) -> MaskFileError:
        """Say what is wrong with the file."""
        return MaskFileError(f"{self.path} {what}. Rule: {rule}. Was it copied whole?")

    def check(self) -> None:
        """Check its digest, and that unused bits are 0; of all tensors, one at a time."""
        for name, shape in self.shapes.items():
            size = prod(shape)
            if size % 8 and int(self.slices[name][size // 8 :][0]) >> size % 8:
                raise self.error(f"has bits behind {name}", "unused bits are 0 [FILE-02]")
        check_digest(self, self.sha256, self.path)

    def part(self, name: str, layout: Layout) -> torch.Tensor:
        """Read what this process holds of a mask, row-major, a piece at a time."""
        flat, size = np.empty(layout.size, dtype=np.bool_), prod(layout.shape)
        for first in range(0, size, 8 * PIECE):
            last = min(first + 8 * PIECE, size)
            start, stop = own_range(layout, first, last)
            if start < stop:
                packed = np.asarray(self.slices[name][first // 8 : -(-last // 8)])
                places = layout.positions(np.arange(start, stop), 0) - first
                flat[start:stop] = unpack(packed, 8 * len(packed))[places]
        return torch.from_numpy(flat)

    def __getitem__(self, name: str) -> Any:
        is_empty = 0 in self.shapes[name]  # of such a one safetensors takes no slice
        return self.shapes[name], b"" if is_empty else self.slices[name][:].tobytes()

    def __iter__(self) -> Iterator[str]:
        return iter(self.slices)

    def __len__(self) -> int:
        return len(self.slices)


class MaskTensors(dict[str, torch.Tensor]):
    """Masks of booleans by name, which are whole on every process."""

    def __init__(self, masks: Any) -> None:
        if hasattr(masks, "masks") or not all(isinstance(name, str) for name in masks):
            raise self.error("are not given by name", "they are a dict by full names [MASK-04]")
        tensors = {name: as_mask(masks[name]) for name in sorted(masks)}
        for name, mask in tensors.items():
            if not is_binary(mask):
                raise self.error(f"hold other values in {name}", "a mask is 0 and 1 [MASK-03]")
        super().__init__((name, mask.detach() != 0) for name, mask in tensors.items())
        self.shapes = {name: tuple(mask.shape) for name, mask in self.items()}
        packed = ((n, np.packbits(m.cpu().numpy(), bitorder="little")) for n, m in self.items())
        self.sha256 = digest({n: (self.shapes[n], bits.tobytes()) for n, bits in packed})

    def error(self, what: str, rule: str) -> MaskError:
        """Say what is wrong with the masks."""
        return MaskError(f"masks {what}. Rule: {rule}. Pass {{'encoder.weight': mask}}, or a path.")

    def check(self) -> None:
        """Nothing is left to check."""

    def part(self, name: str, layout: Layout) -> torch.Tensor:
        """Return what this process holds of a mask, row-major."""
        return layout.part_of(self[name]).reshape(-1)


Source = MaskFile | MaskTensors


def source_of(masks: Any) -> Source:
    """Return where masks come from.

    Raises
    ------
    MaskTypeError
        If they are neither a path nor a mapping (a TypeError).
    """
    if isinstance(masks, str | os.PathLike):
        return MaskFile(masks)
    if not isinstance(masks, Mapping):
        raise MaskTypeError(
            f"masks is a {type(masks).__name__}. Rule: masks are a packed mask file, or a dict by "
            "full names [MASK-04]. Pass a path, or {'encoder.weight': mask}."
        )
    return MaskTensors(masks)
