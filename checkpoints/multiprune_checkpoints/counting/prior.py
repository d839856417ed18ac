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
    stored : mapping of Stored
        Masks in it, by the name of what they prune.
    packed : PackedMasks, optional
        Of a file of masks; where there are both, what either prunes is pruned.
    """

    def __init__(
        self, checkpoint: Checkpoint, stored: Mapping[str, Stored], packed: PackedMasks | None
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
        alive = self._stored(name, start, stop) if name in self.stored else None
        if self.packed is None or name not in self.packed.shapes:
            assert alive is not None
            return alive
        packed = self.packed.alive(name, start, stop)
        return packed if alive is None else packed & alive

    def _stored(self, name: str, start: int, stop: int) -> _Array:
        mask = self.stored[name]
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
    """
    stored = {n: mask for n, mask in stored_masks(checkpoint.tensors).items() if n in pruned}
    packed = None
    if path is not None:
        packed = open_masks(path, pruned)
        stack.callback(packed.close)
    return PriorMasks(checkpoint, stored, packed) if stored or packed is not None else None
