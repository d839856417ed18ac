"""One run on a GPU: ``python benchmarks/device.py [PATH] [--device cpu] [--quick]``.

Are the masks those of the CPU? How long does it take, in copies of the weights, beside what torch
has? How much memory? Takes minutes; prints each row as soon as it is known, and writes all rows
to PATH (``benchmarks/out/device.json``) each time, so that little is lost if it is stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# Started as a file, Python looks for modules beside it; the benchmarks are a package one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks import device_masks, device_times
from benchmarks.device_times import Reading

OUT = Path(__file__).with_name("out") / "device.json"
ROOT = Path(__file__).resolve().parents[1]
_HEADS = ("work", "entries", "dtype", "ms", "copies", "MiB beyond", "note")
_WIDTHS = (46, 13, 9, 10, 8, 10, 1)


@dataclass
class Table:
    """Rows, printed and written as they come.

    Parameters
    ----------
    path : Path
    about : dict
        Device and versions.
    """

    path: Path
    about: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, row: Reading) -> None:
        """Print a row, and write all."""
        self.rows.append({k: v for k, v in asdict(row).items() if v not in (None, "")})
        ms = "" if row.seconds is None else f"{1e3 * row.seconds:.3f}"
        copies = "" if row.copies is None else f"{row.copies:.2f}"
        beyond = "" if row.beyond is None else f"{row.beyond / 2**20:.1f}"
        self.line(row.work, f"{row.entries:,}", row.dtype, ms, copies, beyond, row.note)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps({**self.about, "rows": self.rows}, indent=1) + "\n")

    def line(self, *cells: str) -> None:
        """Print a line."""
        print(*(c.ljust(w) for c, w in zip(cells, _WIDTHS, strict=True)), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, measure, print, write.

    Returns
    -------
    int
        1 if a mask is not that of the CPU.
    """
    options = _options(arguments)
    if options.jax_only:
        from benchmarks import device_jax

        for found in device_jax.readings(options.quick):
            print(json.dumps(asdict(found)), flush=True)
        return 0
    device = torch.device(options.device)
    table = Table(options.path, _about(device))
    for name, value in table.about.items():
        print(f"{name}: {value}")
    table.line(*_HEADS)
    different = 0
    for row in device_masks.readings(device, quick=options.quick):
        different += row.note != device_masks.EQUAL
        table.add(row)
    for row in device_times.readings(device, quick=options.quick):
        table.add(row)
    for row in [] if options.no_jax else _jax(options.quick, options.device):
        table.add(row)
    print(f"Figures: {options.path}")
    return int(different > 0)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="multiprune on a GPU")
    there = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("path", nargs="?", type=Path, default=OUT, help="where figures are written")
    parser.add_argument("--device", default=there)
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it runs")
    parser.add_argument("--no-jax", action="store_true", help="torch alone")
    parser.add_argument("--jax-only", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _about(device: torch.device) -> dict[str, Any]:
    about: dict[str, Any] = {"device": str(device), "torch": torch.__version__}
    about["threads"] = torch.get_num_threads()
    if device.type == "cuda":
        about["device"] = torch.cuda.get_device_name(device)
        about["cuda"] = torch.version.cuda
        about["memory"] = torch.cuda.get_device_properties(device).total_memory
    return about


def _jax(quick: bool, device: str) -> list[Reading]:
    """Measure JAX in a process of its own: the two frameworks do not share a device's memory."""
    command = [sys.executable, "-m", "benchmarks.device", "--jax-only"]
    command += ["--quick"] if quick else []
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if not device.startswith("cuda"):
        environment["JAX_PLATFORMS"] = "cpu"
    started, output = time.monotonic(), ""
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100
        )
        output, failed = (
            done.stdout,
            done.stderr.strip().splitlines()[-1:] if done.returncode else [],
        )
    except subprocess.TimeoutExpired as late:
        output = late.stdout.decode() if isinstance(late.stdout, bytes) else ""
        failed = [f"stopped after {time.monotonic() - started:.0f} s"]
    rows = [Reading(**json.loads(line)) for line in output.splitlines() if line.startswith("{")]
    return [*rows, *(Reading("jax", note=f"failed: {last}"[:200]) for last in failed)]


if __name__ == "__main__":
    raise SystemExit(main())
