"""Run the benchmarks: ``python benchmarks/run.py [--quick] [--only NAME] [--runs N]``.

Prints one table per device, and writes ``results.json`` and a plot into ``benchmarks/out``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Started as a file, Python looks for modules beside it; the benchmarks are a package one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import cases, memory, plot, results
from benchmarks.cases import Measurement
from benchmarks.rows import ROWS, Row

ROOT = Path(__file__).resolve().parents[1]
OUT = Path(__file__).with_name("out")


class WorkerError(RuntimeError):
    """A measurement ended without figures."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write.

    Returns
    -------
    int
        The exit status: 1 if a measurement failed; a target missed is not a failure of the run.
    """
    options = _options(arguments)
    devices = options.device or ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    runs = options.runs or (2 if options.quick else 5)
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    tables = []
    for device in devices:
        rows = [
            row
            for row in ROWS
            if (not options.only or row.name in options.only) and (device in row.on or options.only)
        ]
        raw, notes = _measure(rows, device, runs, options.quick, console)
        table = results.Results(device, runs, options.quick, rows, raw, notes)
        table.show(console)
        picture = OUT / ("ratios.png" if device == "cpu" else f"ratios-{device}.png")
        if plot.draw(picture, table.outcomes(), table.titles(), table.title):
            console.print(f"Plot: {_shown(picture)}")
        tables.append(table)
    OUT.mkdir(exist_ok=True)
    written = OUT / "results.json"
    written.write_text(json.dumps(results.document(tables), indent=1) + "\n")
    console.print(f"Figures: {_shown(written)}")
    return int(any(table.failed for table in tables))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="multiprune beside torch.nn.utils.prune")
    names = [row.name for row in ROWS]
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs")
    parser.add_argument("--only", action="append", choices=names, help="one row; may be repeated")
    parser.add_argument("--runs", type=int, help="runs of each measurement (5; quick: 2)")
    parser.add_argument("--device", action="append", choices=["cpu", "cuda"])
    return parser.parse_args(arguments)


def _measure(
    rows: Sequence[Row], device: str, runs: int, quick: bool, console: Console
) -> tuple[dict[str, dict[str, list[dict[str, Any]]]], dict[str, str]]:
    """Return the raw figures of all that the rows need, and why anything is missing."""
    every = cases.measurements(quick)
    wanted = dict.fromkeys(key for row in rows for key in row.needs)
    plan = [every[key] for key in every if key in wanted]
    raw: dict[str, dict[str, list[dict[str, Any]]]] = {}
    notes: dict[str, str] = {}
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with progress:
        total = sum(len(list(_turns(measurement, runs))) for measurement in plan)
        task = progress.add_task(device, total=total)
        for measurement in plan:
            free = memory.available(device)
            if free is not None and free < measurement.bytes_needed:
                needed, there = measurement.bytes_needed / 1e9, free / 1e9
                notes[measurement.key] = f"skipped: needs {needed:.0f} GB, {there:.0f} are free"
                progress.advance(task, len(list(_turns(measurement, runs))))
                continue
            figures: dict[str, list[dict[str, Any]]] = {side: [] for side in measurement.sides}
            try:
                for side in _turns(measurement, runs):
                    progress.update(task, description=f"{device} {measurement.key} {side}")
                    figures[side].append(_work(measurement, side, device))
                    progress.advance(task)
            except WorkerError as error:
                notes[measurement.key] = f"failed: {error}"
                continue
            if len({str(run.get("done")) for side in figures.values() for run in side}) > 1:
                notes[measurement.key] = "failed: the two sides did not prune the same"
                continue
            raw[measurement.key] = figures
    return raw, notes


def _turns(measurement: Measurement, runs: int) -> Iterator[str]:
    """Alternate the sides, so that a slow minute of the machine falls on all of them."""
    for _ in range(min(runs, measurement.most_runs)):
        yield from measurement.sides


def _work(measurement: Measurement, side: str, device: str) -> dict[str, Any]:
    job: Mapping[str, Any] = {**measurement.job, "side": side, "device": device}
    command = [sys.executable, "-m", "benchmarks.worker", json.dumps(job)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"ended with {done.returncode}"]
        raise WorkerError(f"{side}: {last[0]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _shown(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


if __name__ == "__main__":
    raise SystemExit(main())
