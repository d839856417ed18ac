"""The outcome as a value: what was pruned, tensor by tensor; a table, JSON, scalars.

Python numbers and text only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["COLLAPSE", "Report", "TensorReport"]

COLLAPSE = 0.99
"""From this fraction pruned a tensor counts as collapsed: hardly anything passes through it."""

_BAR = 20


@dataclass(frozen=True)
class TensorReport:
    """What became of one tensor.

    Attributes
    ----------
    name : str
        Its name, or its place in the list.
    shape : tuple of int
    size, pruned : int
        How many entries it has, and how many of them are pruned, prior masks included.
    non_finite : int
        How many entries are NaN or infinite, where that was looked at.
    threshold : float, optional
        The score of the last entry that is pruned of its pool, where there are several pools.
    held : {"", "keep_at_least", "prune_at_most", "prune_at_least", "dense"}
        The bound that decided how many entries are pruned; "dense" where an allocation prunes none.
    """

    name: str
    shape: tuple[int, ...]
    size: int
    pruned: int
    non_finite: int = 0
    threshold: float | None = None
    held: str = ""

    @property
    def sparsity(self) -> float:
        """The fraction that is pruned; 0.0 for an empty tensor."""
        return self.pruned / self.size if self.size else 0.0

    @property
    def note(self) -> str:
        """Warnings in a few words, or nothing."""
        collapsed = "collapsed" if self.size and self.sparsity >= COLLAPSE else ""
        bad = f"{self.non_finite:,} not finite" if self.non_finite else ""
        held = f"held by {self.held}" if self.held not in ("", "dense") else self.held
        return ", ".join(filter(None, (collapsed, held, bad)))


@dataclass(frozen=True)
class Report:
    """What a pruning did. Prints as a table.

    Attributes
    ----------
    tensors : sequence of TensorReport
        In the order in which they were ranked.
    threshold : float, optional
        The score of the last entry that is pruned; None when none is, where pools have thresholds
        of their own, or it is not known.
    ties, tied_pruned : int
        How many entries have exactly that score, and how many of those are pruned.
    method : str
        Name of the pruning method.
    way : str
        How masks are kept, where that is a choice: "in place", "reparametrized", or both.
    scope : str
        Among which entries they are ranked: "global", "tensor", "row", "2:4", "pools".

    Examples
    --------
    >>> print(Report([TensorReport("layer", (4, 5), 20, 16)], 0.25, 1, 1, "L1Unstructured"))
    L1Unstructured: 16 of 20 entries pruned (80.00 %), threshold 0.25
    tensor  shape  entries   pruned
    layer   4x5         20  80.00 %  ################....
    """

    tensors: Sequence[TensorReport]
    threshold: float | None = None
    ties: int = 0
    tied_pruned: int = 0
    method: str = ""
    way: str = ""
    scope: str = "global"

    @property
    def size(self) -> int:
        """How many entries all tensors have."""
        return sum(t.size for t in self.tensors)

    @property
    def pruned(self) -> int:
        """How many of them are pruned."""
        return sum(t.pruned for t in self.tensors)

    @property
    def sparsity(self) -> float:
        """The fraction of all entries that is pruned."""
        return self.pruned / self.size if self.size else 0.0

    @property
    def collapsed(self) -> list[str]:
        """Names of the tensors of which 99 % and more are pruned."""
        return [t.name for t in self.tensors if t.note.startswith("collapsed")]

    def __str__(self) -> str:
        several = any(t.threshold is not None for t in self.tensors)
        own = ("threshold",) if several else ()
        rows = [("tensor", "shape", "entries", "pruned", "", *own, "")]
        for t in self.tensors:
            filled = round(t.sparsity * _BAR)
            score = "" if t.threshold is None else f"{t.threshold:.6g}"
            rows.append(
                (
                    t.name,
                    "x".join(map(str, t.shape)) or "scalar",
                    f"{t.size:,}",
                    f"{100 * t.sparsity:.2f} %",
                    "#" * filled + "." * (_BAR - filled),
                    *((score,) if several else ()),
                    t.note,
                )
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = "\n".join(
            "  ".join(
                cell.rjust(width) if i in (2, 3) else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )
        return "\n".join([self._headline(), table, *self._warnings()])

    def _headline(self) -> str:
        parts = [
            f"{self.pruned:,} of {self.size:,} entries pruned ({100 * self.sparsity:.2f} %)",
            f"threshold {self.threshold:.6g}" if self.threshold is not None else "",
            f"{self.tied_pruned:,} of {self.ties:,} tied there pruned" if self.ties > 1 else "",
        ]
        head = ", ".join(part for part in parts if part)
        scope = f"scope {self.scope}" if self.scope != "global" else ""
        title = ", ".join(filter(None, (self.method, scope, self.way)))
        return f"{title}: {head}" if title else head

    def _warnings(self) -> list[str]:
        if not self.collapsed:
            return []
        names = ", ".join(self.collapsed)
        return [f"warning: {len(self.collapsed)} collapsed (99 % and more pruned): {names}"]

    def scalars(self) -> dict[str, float]:
        """Return a flat dict for any logger: ``sparsity``, ``sparsity/<tensor>``, ``threshold``."""
        known = {} if self.threshold is None else {"threshold": self.threshold}
        each = {f"sparsity/{t.name}": t.sparsity for t in self.tensors}
        return {"sparsity": self.sparsity, "ties": float(self.ties), **known, **each}

    def to_json(self) -> str:
        """Return everything as JSON; see `json_values` for what is not finite."""
        values = asdict(self) | {"size": self.size, "pruned": self.pruned}
        return json.dumps(json_values(values), indent=2, allow_nan=False)


def json_values(item: Any) -> Any:
    """Return what JSON can hold: a NaN as null, infinities as the texts "inf" and "-inf"."""
    if isinstance(item, dict):
        return {key: json_values(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [json_values(value) for value in item]
    if isinstance(item, float) and item - item != 0:
        return None if item != item else str(item)
    return item
