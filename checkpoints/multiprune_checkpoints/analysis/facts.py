"""What is known of a checkpoint and of each of its tensors, as values.

Clause: none; see docs/checkpoints.md.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from multiprune_checkpoints.analysis.sweep import SweepRow

__all__ = ["Inspection", "TensorFacts"]


@dataclass(frozen=True)
class TensorFacts:
    """What is known of one tensor.

    Attributes
    ----------
    name, dtype : str
    shape : tuple of int
    size : int
        How many entries it has.
    zeros : int or None
        How many of them are zero, of either sign; None where the dtype is unknown.
    non_finite : int or None
        How many are infinite or NaN; None where the dtype is not a float.
    selected : bool
        Whether prune would rank it, asked the same way.
    left_out : str
        Why it is no weight, if it is known to be none.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    zeros: int | None
    non_finite: int | None
    selected: bool
    left_out: str = ""


@dataclass(frozen=True)
class Inspection:
    """What a checkpoint holds.

    Attributes
    ----------
    path : str
    files : list of str
    metadata : dict of str
    tensors : list of TensorFacts
        In code-point order.
    tied : list of list of str
        Names of the same bytes.
    sweep : list of SweepRow
        What prunings would do.
    """

    path: str
    files: list[str]
    metadata: dict[str, str]
    tensors: list[TensorFacts]
    tied: list[list[str]]
    sweep: list[SweepRow]

    @property
    def size(self) -> int:
        """How many entries all tensors have."""
        return sum(t.size for t in self.tensors)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {**asdict(self), "size": self.size}
