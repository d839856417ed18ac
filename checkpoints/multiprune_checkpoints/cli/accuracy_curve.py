"""A measured curve of accuracy against sparsity, read from CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiprune_checkpoints import CheckpointError

__all__ = ["Curve", "read_curve"]

_LONGEST = 1 << 20


@dataclass(frozen=True)
class Curve:
    """What was measured.

    Attributes
    ----------
    source : str
        The file's name.
    sparsity : list of float
        From 0 to 1.
    series : dict of list of float
        Measurements by name, one for each sparsity.
    """

    source: str
    sparsity: list[float]
    series: dict[str, list[float]]

    @property
    def fractions(self) -> bool:
        """Whether all measurements lie from 0 to 1, as accuracies do."""
        return all(0 <= value <= 1 for values in self.series.values() for value in values)


def read_curve(path: Path) -> Curve:
    """Read columns of numbers, the first of them the sparsity.

    Parameters
    ----------
    path : Path
        CSV with a line of names, or a JSON object of lists; sparsity as fractions or percent.

    Raises
    ------
    CheckpointError
        If it is neither (a ValueError).
    """
    with path.open("rb") as file:
        data = file.read(_LONGEST + 1)
    if len(data) > _LONGEST:
        raise _broken(path, f"it has more than {_LONGEST:,} bytes")
    try:
        text = data.decode()
        columns = _from_json(text) if path.suffix == ".json" else _from_csv(text)
        (_, sparsity), *rest = columns.items()
    except (ValueError, TypeError, RecursionError, csv.Error) as error:
        raise _broken(path, str(error)[:200]) from None
    series = dict(rest)
    if not series or not sparsity or any(len(v) != len(sparsity) for v in series.values()):
        raise _broken(path, "its columns are fewer than two, empty, or of several lengths")
    if not all(math.isfinite(n) for values in columns.values() for n in values):
        raise _broken(path, "a number is not finite")
    scale = 100.0 if max(sparsity) > 1 else 1.0
    if not 0 <= min(sparsity) <= max(sparsity) <= scale:
        raise _broken(path, f"sparsities go from {min(sparsity)} to {max(sparsity)}")
    order = sorted(range(len(sparsity)), key=sparsity.__getitem__)
    return Curve(
        path.name,
        [sparsity[i] / scale for i in order],
        {name: [values[i] for i in order] for name, values in series.items()},
    )


def _from_csv(text: str) -> dict[str, list[float]]:
    head, *rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if any(len(row) != len(head) for row in rows) or len(set(head)) != len(head):
        raise ValueError("its lines are of several lengths, or two columns have one name")
    return {name: [float(row[i]) for row in rows] for i, name in enumerate(head)}


def _from_json(text: str) -> Mapping[str, list[float]]:
    curve: Any = json.loads(text)
    if not isinstance(curve, dict) or not all(isinstance(v, list) for v in curve.values()):
        raise ValueError("it is not an object of lists")
    return {name: [float(value) for value in values] for name, values in curve.items()}


def _broken(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is not a curve: {what}. Rule: columns of numbers of one length, the first the "
        "sparsity, each other a measurement: CSV with a line of names, or a JSON object of lists."
    )
