"""Files beside cp: ``python benchmarks/checkpoints.py [--quick] [--runs N] [--only NAME]``.

The command ``multiprune prune --amount 0.8`` on a checkpoint of 1 G parameters in two shards beside
``cp`` of the same files, and on one as small as a sentence encoder. Each measurement is a fresh
process, from start to end, imports, digests of input and masks, and ``sync`` included; the sides
take turns, and all read what the page cache holds. Prints a table, and writes
``benchmarks/out/checkpoints.json``. Needs 9 GB of disk, and leaves them free.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

OUT = Path(__file__).with_name("out")
COMMAND = [sys.executable, "-m", "multiprune_checkpoints"]
AMOUNT = 0.8
MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """A checkpoint, and what pruning it may take."""

    name: str
    dtype: str
    entries: int
    shards: int
    most_copies: float | None = None
    most_seconds: float | None = None
    most_peak: int = 300

    @property
    def title(self) -> str:
        size = self.entries * (2 if self.dtype == "BF16" else 4)
        return (
            f"{self.entries / 1e6:,.0f} M {self.dtype}, {self.shards} file(s), {size / 1e9:.1f} GB"
        )


@dataclass
class Figures:
    """Every single figure of a case: seconds, and MiB that were resident at most."""

    copy: list[float] = field(default_factory=list)
    prune: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)
    masks: list[str] = field(default_factory=list)


CASES = (
    Case("bf16", "BF16", 1_000_000_000, 2, most_copies=4),
    Case("f32", "F32", 1_000_000_000, 2, most_copies=5),
    Case("one", "BF16", 1_000_000_000, 1),
    Case("small", "F32", 22_713_216, 1, most_seconds=1.5),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 if outputs are not what was asked for."""
    parser = argparse.ArgumentParser(description="multiprune prune beside cp")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the large sizes")
    parser.add_argument("--runs", type=int, default=3, help="runs of each side (3)")
    parser.add_argument("--only", action="append", choices=[case.name for case in CASES])
    parser.add_argument("--folder", type=Path, help="where the files are made")
    parser.add_argument("--make", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.make:
        folder, name, part = options.make
        make(Path(folder), next(case for case in CASES if case.name == name), float(part))
        return 0
    OUT.mkdir(exist_ok=True)
    found: dict[str, Figures] = {}
    for case in CASES:
        if options.only and case.name not in options.only:
            continue
        part = 0.05 if options.quick and case.entries > 10**8 else 1.0
        with tempfile.TemporaryDirectory(dir=options.folder or OUT) as folder:
            found[case.name] = measure(case, part, options.runs, Path(folder))
    helped = [timed([*COMMAND, "--help"])[0] for _ in range(5)]
    show(found, helped, options.quick)
    document = {
        "runs": options.runs,
        "quick": options.quick,
        "cases": {name: asdict(figures) for name, figures in found.items()},
        "help": helped,
    }
    (OUT / "checkpoints.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"Figures: {OUT / 'checkpoints.json'}")
    return int(any(len(set(figures.masks)) != 1 for figures in found.values()))


def measure(case: Case, part: float, runs: int, folder: Path) -> Figures:
    """Copy and prune in turn; the first turn is thrown away."""
    source, target = folder / "model", folder / "target"
    source.mkdir()
    # In a process of its own: a child's high-water mark starts at its parent's.
    arguments = ["--make", str(source), case.name, str(part)]
    subprocess.run([sys.executable, __file__, *arguments], check=True)
    figures = Figures()
    prune = [*COMMAND, "prune", str(source), "-o", str(target), "--amount", str(AMOUNT), "--json"]
    for turn in range(runs + 1):
        for command in (["cp", "-r", str(source), str(target)], prune):
            os.sync()
            seconds, peak, printed = timed(command)
            if turn and command is prune:
                done = json.loads(printed)
                figures.masks.append(done["provenance"]["multiprune.masks.sha256"])
                report = done["report"]
                assert report["pruned"] == round(AMOUNT * report["size"]), report["pruned"]
                figures.prune.append(seconds)
                figures.peak.append(peak)
            elif turn:
                figures.copy.append(seconds)
            shutil.rmtree(target)
    return figures


def timed(command: Sequence[str]) -> tuple[float, float, str]:
    """Run a command until the disk has what it wrote: seconds, peak in MiB, what it printed."""
    with tempfile.TemporaryFile("w+") as printed:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=printed)
        _, status, usage = os.wait4(process.pid, 0)
        os.sync()
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command} ended with {process.returncode}")
        printed.seek(0)
        unit = 1 if sys.platform == "darwin" else 1024
        return seconds, usage.ru_maxrss * unit / MIB, printed.read()


def make(folder: Path, case: Case, part: float) -> None:
    """Write a checkpoint of normal numbers, each layer with a scale of its own."""
    import numpy as np

    rng = np.random.default_rng(20)
    width = 2 if case.dtype == "BF16" else 4
    entries = int(case.entries * part)
    most, layer = 1 << 24, 0
    places: dict[str, str] = {}
    for shard in range(case.shards):
        name = f"model-{shard + 1:05d}-of-{case.shards:05d}.safetensors"
        left, at, first = entries // case.shards, 0, layer
        header: dict[str, dict[str, Any]] = {}
        while left:
            size = min(left, most)
            shape = [size // 1024, 1024] if size % 1024 == 0 else [1, size]
            offsets = [at, at + size * width]
            header[f"layers.{layer:03}.weight"] = {
                "dtype": case.dtype,
                "shape": shape,
                "data_offsets": offsets,
            }
            left, at, layer = left - size, at + size * width, layer + 1
        text = json.dumps(header).encode()
        with (folder / name).open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for number, entry in enumerate(header.values(), first):
                values = rng.standard_normal(entry["shape"], dtype=np.float32)
                values *= 0.02 * (1 + number % 7)
                file.write(((values.view("u4") >> 16).astype("u2") if width == 2 else values).data)
        places |= dict.fromkeys(header, name)
    if case.shards > 1:
        text = json.dumps({"metadata": {}, "weight_map": places}).encode()
        (folder / "model.safetensors.index.json").write_bytes(text)


def show(found: dict[str, Figures], helped: Sequence[float], quick: bool) -> None:
    """Print the medians, and what they have to be."""
    cases = {case.name: case for case in CASES}
    print(f"{'':38}{'cp':>8}{'prune':>8}{'ratio':>7}{'at most':>9}{'peak':>10}{'at most':>9}")
    for name, figures in found.items():
        case, copy, prune = cases[name], median(figures.copy), median(figures.prune)
        most = f"{case.most_copies:g}x" if case.most_copies and not quick else ""
        most = f"{case.most_seconds:g} s" if case.most_seconds else most
        print(
            f"{case.title:38}{copy:6.2f} s{prune:6.2f} s{prune / copy:6.1f}x{most:>9}"
            f"{max(figures.peak):6.0f} MiB{case.most_peak:5} MiB"
        )
    print(f"{'multiprune --help':38}{'':8}{median(helped):6.2f} s{'':7}{'0.3 s':>9}")


if __name__ == "__main__":
    raise SystemExit(main())
