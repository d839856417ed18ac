"""Two files side by side. Checkpoint against checkpoint, checkpoint against masks.

Clauses: REP-03, FILE-03.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from multiprune.report import COLLAPSE
from multiprune_checkpoints.analysis.inspection import measures
from multiprune_checkpoints.formats.checkpoint import Checkpoint, open_checkpoint
from multiprune_checkpoints.formats.safetensors_file import SafetensorsLayout
from multiprune_checkpoints.formats.source import Stored
from multiprune_checkpoints.masks import open_masks
from multiprune_checkpoints.progress import Progress, Silent

__all__ = [
    "CheckpointDifference",
    "TensorDifference",
    "Verdict",
    "diff_checkpoints",
    "verify_checkpoint",
]

_BLOCK = 1 << 18


@dataclass(frozen=True)
class TensorDifference:
    """How one tensor differs between two checkpoints.

    Attributes
    ----------
    name : str
    status : {"same", "changed", "only in a", "only in b", "another dtype", "another shape"}
    size : int
        How many entries it has.
    zeroed, revived, altered : int
        Entries that became zero (or another sign of it), that were zero, and that changed
        otherwise.
    sparsity_a, sparsity_b : float
        Fractions of zeros.
    note : str
    """

    name: str
    status: str
    size: int = 0
    zeroed: int = 0
    revived: int = 0
    altered: int = 0
    sparsity_a: float = 0.0
    sparsity_b: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class CheckpointDifference:
    """How two checkpoints differ, tensor by tensor in code-point order."""

    tensors: list[TensorDifference]

    @property
    def same(self) -> bool:
        """Whether all tensors are the same, to the bit."""
        return all(t.status == "same" for t in self.tensors)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {"same": self.same, **asdict(self)}


@dataclass(frozen=True)
class Verdict:
    """Whether a checkpoint is pruned as masks say.

    Attributes
    ----------
    digest : str
        Digest of the masks.
    recorded : str or None
        Digest in the checkpoint's metadata, if there is one.
    violations : dict of int
        How many entries are not zero though their mask is, by tensor; only those above 0.
    checked : int
        How many masks were checked.
    """

    digest: str
    recorded: str | None
    violations: dict[str, int]
    checked: int

    @property
    def ok(self) -> bool:
        """Whether every masked entry is zero, and no other digest is recorded."""
        return not self.violations and self.recorded in (None, self.digest)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {"ok": self.ok, **asdict(self)}


def diff_checkpoints(
    a: str | Path, b: str | Path, *, progress: Progress | None = None
) -> CheckpointDifference:
    """Compare two checkpoints tensor by tensor, bit by bit, whatever their files and formats.

    Raises
    ------
    CheckpointError
        If one is inconsistent.
    """
    progress = progress or Silent()
    with open_checkpoint(a) as one, open_checkpoint(b) as two:
        progress.begin("comparing", one.size)
        names = sorted({*one.tensors, *two.tensors})
        return CheckpointDifference([_difference(name, one, two, progress) for name in names])


def _difference(
    name: str, one: Checkpoint, two: Checkpoint, progress: Progress
) -> TensorDifference:
    left, right = one.tensors.get(name), two.tensors.get(name)
    if left is None or right is None:
        held = left or right
        status = "only in b" if left is None else "only in a"
        return TensorDifference(name, status, held.size if held else 0)
    if (left.dtype, left.shape) != (right.dtype, right.shape):
        what = "dtype" if left.dtype != right.dtype else "shape"
        note = f"{left.dtype} {list(left.shape)} and {right.dtype} {list(right.shape)}"
        return TensorDifference(name, f"another {what}", left.size, note=note)
    if left.size * left.itemsize != left.stop - left.start:  # entries that are no whole bytes
        raw = one.files[left.file].read(left.start, left.stop)
        same = raw == two.files[right.file].read(right.start, right.stop)
        return TensorDifference(name, "same" if same else "changed", left.size)
    counts = np.zeros(5, np.int64)
    for start, stop in _steps(left):
        progress.advance((stop - start) * left.itemsize)
        counts += _changes(one.read(left, start, stop), two.read(right, start, stop), left)
    zeroed, revived, altered, zeros_a, zeros_b = map(int, counts)
    sparsity_a, sparsity_b = (
        zeros / left.size if left.size else 0.0 for zeros in (zeros_a, zeros_b)
    )
    collapsed = left.size and sparsity_b >= COLLAPSE > sparsity_a
    return TensorDifference(
        name,
        "changed" if zeroed or revived or altered else "same",
        left.size,
        zeroed,
        revived,
        altered,
        sparsity_a,
        sparsity_b,
        "collapsed" if collapsed else "",
    )


def _changes(a: bytes, b: bytes, tensor: Stored) -> npt.NDArray[np.int64]:
    """Count the entries of a block by how they changed, and the zeros of either side."""
    measure = measures(tensor.dtype)
    zeros = (measure(a)[0], measure(b)[0]) if measure else (0, 0)
    if a == b:
        return np.array([0, 0, 0, *zeros])
    width = tensor.itemsize
    rows_a, rows_b = (np.frombuffer(raw, "u1").reshape(-1, width) for raw in (a, b))
    differ = (rows_a != rows_b).any(axis=1)
    kind = _magnitudes(rows_a, tensor.dtype) + 2 * _magnitudes(rows_b, tensor.dtype)
    kinds = np.bincount(kind[differ], minlength=4)
    counts: npt.NDArray[np.int64] = np.array([kinds[1] + kinds[0], kinds[2], kinds[3], *zeros])
    return counts


def _magnitudes(rows: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    """Return 1 where an entry is not zero; zeros of both signs are zero."""
    signed = dtype.startswith(("float", "bfloat")) and not dtype.endswith("fnuz")
    last = rows[:, -1] & 0x7F if signed else rows[:, -1]
    nonzero: npt.NDArray[Any] = rows[:, :-1].any(axis=1) | (last != 0)
    return nonzero.astype(np.intp)


def verify_checkpoint(
    source: str | Path, masks: str | Path, *, progress: Progress | None = None
) -> Verdict:
    """Check that every entry that the masks prune is zero.

    Raises
    ------
    CheckpointError, MaskFileError, MaskShapeError
        If the checkpoint or the masks are inconsistent, or do not fit.

    Notes
    -----
    Clauses FILE-06, MASK-04.
    """
    progress = progress or Silent()
    with ExitStack() as stack:
        checkpoint = stack.enter_context(open_checkpoint(source))
        packed = open_masks(Path(masks), checkpoint.tensors)
        stack.callback(packed.close)
        progress.begin("verifying", sum(checkpoint.tensors[n].size for n in packed))
        violations = {}
        for name in sorted(packed):
            tensor, violated = checkpoint.tensors[name], 0
            for start, stop in _steps(tensor):
                progress.advance(stop - start)
                rows = np.frombuffer(checkpoint.read(tensor, start, stop), "u1")
                rows = rows.reshape(stop - start, -1)
                nonzero = _magnitudes(rows, tensor.dtype) == 1
                violated += int(np.count_nonzero(nonzero & ~packed.alive(name, start, stop)))
            if violated:
                violations[name] = violated
        layout = checkpoint.files[0].layout
        recorded = None
        if isinstance(layout, SafetensorsLayout):
            recorded = (layout.header.metadata or {}).get("multiprune.masks.sha256")
        return Verdict(packed.digest(), recorded, violations, len(packed))


def _steps(tensor: Stored) -> Iterator[tuple[int, int]]:
    if tensor.itemsize == 0:
        return
    for start in range(0, tensor.size, _BLOCK):
        yield start, min(start + _BLOCK, tensor.size)
