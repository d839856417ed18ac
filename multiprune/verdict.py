"""What backends made of the same arrays, and how it compares. Values: a table, JSON.

Python numbers and text only.
Clauses: TIE-01, TIE-05.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from multiprune.errors import MultipruneError

__all__ = [
    "DIFFERENT",
    "IDENTICAL",
    "OUTSIDE_TIES",
    "Difference",
    "DifferentError",
    "Outcome",
    "Verification",
]

IDENTICAL, OUTSIDE_TIES, DIFFERENT = "identical", "identical outside the ties", "different"


class DifferentError(MultipruneError, AssertionError):
    """Backends made different masks."""

    kind = "different"


@dataclass(frozen=True)
class Difference:
    """The first entry that two backends treat differently without a tie to excuse it.

    Attributes
    ----------
    tensor : str
    index : int
        The flat index, in row-major order.
    values : tuple of str
        The entry's bits in hexadecimal, as the first backend holds them and as this one does.
    kept : tuple of bool
        Whether each of the two keeps it.
    """

    tensor: str
    index: int
    values: tuple[str, str]
    kept: tuple[bool, bool]

    def __str__(self) -> str:
        is_kept = " and ".join("kept" if kept else "pruned" for kept in self.kept)
        return f"{self.tensor}[{self.index}] = {' and '.join(self.values)} is {is_kept}"


@dataclass(frozen=True)
class Outcome:
    """What one backend made.

    Attributes
    ----------
    backend, version : str
    count : int
        How many entries went.
    threshold : str
        Key of the last entry that went, in hexadecimal; empty where nothing tells it.
    digest : str
        Of the masks, as in mask files.
    seconds : float
    verdict : {"identical", "identical outside the ties", "different"}
        Beside the first backend.
    differing : int
        How many mask bits differ from the first backend's.
    difference : Difference, optional
    """

    backend: str
    version: str
    count: int
    threshold: str
    digest: str
    seconds: float
    verdict: str
    differing: int = 0
    difference: Difference | None = None


@dataclass(frozen=True)
class Verification:
    """The outcomes of all backends. Prints as a table.

    Attributes
    ----------
    outcomes : sequence of Outcome
    size : int
        How many entries were ranked.
    """

    outcomes: Sequence[Outcome]
    size: int

    @property
    def verdict(self) -> str:
        """The least favourable of all verdicts."""
        order = (DIFFERENT, OUTSIDE_TIES, IDENTICAL)
        return min((o.verdict for o in self.outcomes), key=order.index)

    def assert_identical(self) -> None:
        """Raise if any two backends made different masks.

        Raises
        ------
        DifferentError
            With the whole table (an AssertionError).
        """
        if self.verdict != IDENTICAL:
            raise DifferentError(f"masks are {self.verdict}. Rule: all are equal [TIE-01].\n{self}")

    def __str__(self) -> str:
        rows = [("backend", "version", "pruned", "threshold", "masks", "time", "verdict")]
        notes = []
        for o in self.outcomes:
            differ = f" ({o.differing:,} bits)" if o.differing else ""
            time = f"{1e3 * o.seconds:.1f} ms"
            row = (o.backend, o.version, f"{o.count:,}", o.threshold or "-", o.digest[:12], time)
            rows.append((*row, o.verdict + differ))
            if o.difference is not None:
                notes.append(f"{o.backend}: first, {o.difference}")
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, *notes])

    def to_json(self) -> str:
        """Return everything as JSON, with the machine's platform."""
        return json.dumps(asdict(self) | {"platform": platform.platform()}, indent=2)
