"""The masks of a pruning, written while its tensors are copied.

Clause FILE-05.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from multiprune_checkpoints.formats.source import Stored, write_all
from multiprune_checkpoints.masks import PackedMasks, mask_header
from multiprune_checkpoints.output.atomic import AtomicFile

__all__ = ["MaskOutput"]

_UNKNOWN = "0" * 64


class MaskOutput:
    """Where masks are written: the file that was asked for, or one without a name.

    Parameters
    ----------
    tensors : sequence of Stored
        Those that are pruned.
    path : path, optional
        The file that was asked for.
    place : path, optional
        A folder for the other one.
    stack : ExitStack
        Closes it.
    """

    def __init__(
        self, tensors: Sequence[Stored], path: Path | None, place: Path | None, stack: ExitStack
    ) -> None:
        self.tensors = tensors
        _, starts = mask_header(self.tensors, _UNKNOWN)
        self.pending = None
        if path is not None:
            self.pending = stack.enter_context(AtomicFile(path))
            descriptor = self.pending.descriptor
        else:
            file = tempfile.TemporaryFile(dir=place)  # noqa: SIM115 - the stack closes it
            descriptor = stack.enter_context(file).fileno()
        shapes = {tensor.name: tensor.shape for tensor in self.tensors}
        self.masks = PackedMasks(descriptor, shapes, starts)

    def finish(self) -> str:
        """Write the head, give the file its name, and return the digest of the masks."""
        digest = self.masks.digest()
        if self.pending is not None:
            head, _ = mask_header(self.tensors, digest)
            write_all(self.pending.descriptor, head, 0)
            self.pending.commit()
        return digest
