"""The results of one device as a value: a table for people, a document for machines."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import cases
from benchmarks.readings import Outcome, Raw
from benchmarks.rows import Row


@dataclass(frozen=True)
class Results:
    """Every raw figure of a device, and the rows that are read from them.

    Parameters
    ----------
    device : str
        ``"cpu"`` or ``"cuda"``.
    runs : int
        How often each measurement was asked for.
    quick : bool
        Whether the sizes were the small ones; no target is judged then.
    rows : sequence of Row
        The rows asked for.
    raw : mapping
        Raw figures by measurement, side and run.
    notes : mapping of str to str
        Why a measurement has no figures.
    """

    device: str
    runs: int
    quick: bool
    rows: Sequence[Row]
    raw: Raw
    notes: Mapping[str, str]

    @property
    def title(self) -> str:
        """What ran, and where."""
        if self.device == "cuda":
            where = torch.cuda.get_device_name()
        else:
            where = f"{torch.get_num_threads()} CPU threads"
        quick = ", quick: small sizes" if self.quick else ""
        return f"multiprune beside torch {torch.__version__} on {where}{quick}"

    @property
    def failed(self) -> bool:
        """Whether a measurement failed; one that was skipped for want of memory did not."""
        return any(note.startswith("failed") for note in self.notes.values())

    def outcomes(self) -> dict[str, Outcome]:
        """Return what each row says, less the rows whose figures are missing.

        The targets are those of the full sizes on a CPU: nothing else is held against them.
        """
        sizes = cases.measurements(self.quick)
        judged = self.device == "cpu" and not self.quick
        found = {}
        for row in self.rows:
            if all(key in self.raw for key in row.needs):
                outcome = row.read(self.raw, sizes)
                if not judged:
                    outcome = replace(outcome, least=None, target="", reached=None)
                found[row.name] = outcome
        return found

    def titles(self) -> dict[str, str]:
        """Return what each row is called, by its name."""
        sizes = cases.measurements(self.quick)
        return {row.name: row.title(sizes) for row in self.rows}

    def show(self, console: Console) -> None:
        """Print the table."""
        table = Table(title=self.title, caption=f"medians of up to {self.runs} fresh processes")
        table.add_column("case", no_wrap=True)
        table.add_column("multiprune", justify="right")
        table.add_column("torch.nn.utils.prune, or as named", justify="right")
        table.add_column("ratio", justify="right")
        table.add_column("to reach")
        table.add_column("reached", justify="center")
        outcomes, titles = self.outcomes(), self.titles()
        for row in self.rows:
            outcome, title = outcomes.get(row.name), titles[row.name]
            if outcome is None:
                table.add_row(title, "[yellow]no figures, see below[/]")
                continue
            ratio = "" if outcome.ratio is None else f"{outcome.ratio:.1f}"
            verdict = {True: "yes", False: "[bold red]no[/]", None: ""}[outcome.reached]
            table.add_row(title, outcome.ours, outcome.theirs, ratio, outcome.target, verdict)
        console.print(table)
        for key, note in self.notes.items():
            console.print(f"{key}: {note}", markup=False, style="yellow")


def document(tables: Sequence[Results]) -> dict[str, Any]:
    """Return everything that ran as one JSON document, down to the single figures."""
    return {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in ("multiprune", "torch", "numpy", "jax")},
        },
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "processor": _processor(),
            "cpus": os.cpu_count(),
            "threads": torch.get_num_threads(),
        },
        "method": {"name": "L1Unstructured", "amount": 0.8, "weights": "standard normal, seeded"},
        "devices": [
            {
                "device": table.device,
                "title": table.title,
                "runs": table.runs,
                "quick": table.quick,
                "rows": {name: asdict(outcome) for name, outcome in table.outcomes().items()},
                "measurements": {
                    key: {"job": measurement.job, "runs": table.raw[key]}
                    for key, measurement in cases.measurements(table.quick).items()
                    if key in table.raw
                },
                "missing": dict(table.notes),
            }
            for table in tables
        ],
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed: run from the source tree"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
