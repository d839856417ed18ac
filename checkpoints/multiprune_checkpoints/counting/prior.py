"""What is pruned already: by a file of masks, and by masks in the checkpoint itself.

Clauses: MASK-01 to MASK-05.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from multiprune.errors import MaskError
from multiprune_checkpoints.formats.checkpoint import Checkpoint
from multiprune_checkpoints.formats.left_out import ONES, stored_masks
from multiprune_checkpoints.formats.source import Stored
from multiprune_checkpoints.masks import PackedMasks, open_masks

__all__ = ["PriorMasks", "open_prior"]

_Array = npt.NDArray[Any]


class PriorMasks:
    """Prior masks by the names of their tensors, read by blocks.

    Parameters
    ----------
    checkpoint : Checkpoint
    stored : mapping of lists of Stored
        Masks in it, by the name of what they prune; of tied tensors each has one.
    packed : PackedMasks, optional
        Of a file of masks; where there are both, what either prunes is pruned.
    """

    def __init__(
        self, checkpoint: Checkpoint, stored: Mapping[str, list[Stored]], packed: PackedMasks | None
    ) -> None:
        self.checkpoint, self.stored, self.packed = checkpoint, stored, packed

    def __contains__(self, name: object) -> bool:
        return name in self.stored or (self.packed is not None and name in self.packed.shapes)

    def alive(self, name: str, start: int, stop: int) -> _Array:
        """Return entries `start` to `stop` of a mask: True where unpruned.

        Raises
        ------
        MaskError
            If a stored mask holds other values than 0 and 1 (a ValueError).
        """
        alive = [self._stored(name, mask, start, stop) for mask in self.stored.get(name, ())]
        if self.packed is not None and name in self.packed.shapes:
            alive.append(self.packed.alive(name, start, stop))
        together: _Array = np.logical_and.reduce(alive)
        return together

    def _stored(self, name: str, mask: Stored, start: int, stop: int) -> _Array:
        raw = self.checkpoint.read(mask, start, stop)
        bits = np.frombuffer(raw, f"<u{mask.itemsize}")
        alive: _Array = bits == ONES.get(mask.dtype, 1)
        if not (alive | (bits == 0)).all():
            raise MaskError(
                f"{mask.name} holds other values than 0 and 1. Rule: it is the mask of {name}, "
                "which is 1 where an entry is kept [MASK-03]. Make it 0 and 1, or rename it."
            )
        return alive


def open_prior(
    checkpoint: Checkpoint, pruned: Mapping[str, Stored], path: Path | None, stack: ExitStack
) -> PriorMasks | None:
    """Return the prior masks of tensors, or None where there is none.

    Parameters
    ----------
    checkpoint : Checkpoint
    pruned : mapping of Stored
        The tensors that are pruned.
    path : Path, optional
        A file of masks.
    stack : ExitStack
        Closes it.

    Raises
    ------
    MaskFileError, MaskShapeError
        If the file is damaged or does not fit (ValueErrors).
    MaskError
        If a stored mask cannot be read and written for itself (a ValueError).
    """
    by_weight = stored_masks(checkpoint.tensors)
    stored = {n: m for n, t in pruned.items() if (m := _masks_of(checkpoint, t, by_weight))}
    packed = None
    if path is not None:
        packed = open_masks(path, pruned)
        stack.callback(packed.close)
    return PriorMasks(checkpoint, stored, packed) if stored or packed is not None else None


def _masks_of(
    checkpoint: Checkpoint, tensor: Stored, by_weight: Mapping[str, Stored]
) -> list[Stored]:
    """Return the masks that are stored for the bytes of a tensor, whatever these are called.

    Each becomes the new mask, so it lies row by row as the tensor does, and is nobody else's.
    """
    names = [name for name in checkpoint.names_of(tensor) if name in by_weight]
    masks = {by_weight[name].place: by_weight[name] for name in names}
    own = {by_weight[name].name for name in names}
    for mask in masks.values():
        others = sorted(set(checkpoint.names_of(mask)) - own)
        if others or mask.dtype.endswith("(shared)"):
            raise MaskError(
                f"{mask.name} shares its bytes with {', '.join(others[:5]) or 'another tensor'}. "
                f"Rule: it becomes the new mask of {tensor.name}, so it has bytes of its own "
                "[MASK-03]. Save a .clone() of it."
            )
        if mask.dtype.endswith("(strided)"):
            raise MaskError(
                f"{mask.name} is stored in another order of dimensions. Rule: a mask lies row by "
                f"row, as {tensor.name} does [MASK-04]. Save it .contiguous()."
            )
    for name in names:
        tied = checkpoint.tensors[name]
        if (tied.shape, tied.dtype) != (tensor.shape, tensor.dtype):
            raise MaskError(
                f"{by_weight[name].name} is the mask of {name}, which has the bytes of "
                f"{tensor.name} in another shape or order. Rule: tied tensors have one mask "
                "between them [MASK-04]. Save a .clone() of one, or remove its mask."
            )
    return list(masks.values())
