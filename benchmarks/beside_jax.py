"""JAX beside what its users write today: ``python benchmarks/beside_jax.py [--quick] [--runs N]``.

Global magnitude pruning of 22 M float32 in 22 leaves, amount 0.8: pruned copies and masks, all
held. The other ways rank the concatenated magnitudes by ``jax.lax.top_k`` or ``jnp.argsort``, which
in JAX go to the lower index in ties, so that all masks are equal, and are checked to be. Each
measurement is a fresh process; compiling lies outside the clock and has a column of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

# Started as a file, Python looks for modules beside it; the benchmarks are a package one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.memory import Watch

AMOUNT = 0.8
SIDES = ("eager", "jit", "argsort", "top_k")
TARGETS = {
    ("eager", "top_k"): 100,
    ("eager", "argsort"): 40,
    ("jit", "top_k"): 15,
    ("jit", "argsort"): 15,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all sides in turn and print a table; 1 if the masks differ."""
    parser = argparse.ArgumentParser(description="multiprune beside sorting, in JAX")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    parser.add_argument("--runs", type=int, default=3, help="runs of each side (3)")
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    rows = 100 if options.quick else 1000
    if options.worker:
        print(json.dumps(measure(options.worker, rows)))
        return 0
    command = [sys.executable, __file__, *["--quick"] * options.quick, "--worker"]
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for _ in range(options.runs):
        for side in SIDES:
            done = subprocess.run([*command, side], capture_output=True, text=True, check=True)
            runs[side].append(json.loads(done.stdout.splitlines()[-1]))
    figures = {
        side: {key: median(run[key] for run in found) for key in ("seconds", "compile", "peak")}
        for side, found in runs.items()
    }
    print(f"{22 * rows * 1000:,} float32, medians of {options.runs}")
    print(f"{'':10}{'seconds':>10}{'compiling':>11}{'peak above params':>20}")
    for side, found in figures.items():
        peak = f"{found['peak'] / 2**20:.0f} MiB"
        print(f"{side:10}{found['seconds']:10.3f}{found['compile']:11.2f}{peak:>20}")
    for (ours, theirs), least in TARGETS.items():
        ratio = figures[theirs]["seconds"] / figures[ours]["seconds"]
        print(f"{ours} is {ratio:.0f} times faster than {theirs}; to reach: {least}")
    returned = 22 * rows * 1000 * 5 / 2**20
    over = figures["eager"]["peak"] / 2**20 - returned
    print(f"eager peak above what it returns: {over:.0f} MiB; to reach: 64")
    return int(len({run["digest"] for found in runs.values() for run in found}) > 1)


def measure(side: str, rows: int) -> dict[str, Any]:
    """Run one side once, in this process."""
    import jax
    import jax.numpy as jnp
    import multiprune_jax as mj
    import numpy as np
    from jax import lax

    from multiprune.packed import digest, pack

    def params(count: int) -> dict[str, jax.Array]:
        rng = np.random.default_rng(20)
        shape = (count, 1000)
        return {
            f"{i:02}": jnp.asarray(rng.standard_normal(shape, dtype=np.float32)) for i in range(22)
        }

    def sorted_by(order: Any) -> Any:
        def prune(tree: dict[str, jax.Array]) -> Any:
            flat = jnp.concatenate([jnp.abs(leaf).ravel() for leaf in tree.values()])
            first = order(flat, round(AMOUNT * flat.size))
            kept = jnp.ones(flat.shape, bool).at[first].set(False)
            ends = np.cumsum([leaf.size for leaf in tree.values()])[:-1]
            parts = jnp.split(kept, ends)
            masks = {n: m.reshape(tree[n].shape) for n, m in zip(tree, parts, strict=True)}
            return {n: jnp.where(m, tree[n], 0) for n, m in masks.items()}, masks

        return prune

    ready: Any = jax.block_until_ready
    ways: dict[str, Any] = {
        "eager": lambda tree: mj.global_unstructured(tree, amount=AMOUNT)[:2],
        "jit": lambda tree: mj.global_unstructured(tree, amount=AMOUNT)[:2],
        "argsort": sorted_by(lambda flat, k: jnp.argsort(flat)[:k]),
        "top_k": sorted_by(lambda flat, k: lax.top_k(-flat, k)[1]),
    }
    way, tree, spent = ways[side], ready(params(rows)), 0.0
    way(params(2)) if side == "eager" else None
    if side != "eager":
        started = time.perf_counter()
        way = jax.jit(way).lower(tree).compile()
        spent = time.perf_counter() - started
    watch = Watch("cpu")
    watch.reset()
    base = watch.held()
    started = time.perf_counter()
    _, masks = ready(way(tree))
    seconds = time.perf_counter() - started
    peak = watch.peak() - base
    packed = {n: (m.shape, pack(np.asarray(m).tobytes())) for n, m in masks.items()}
    return {"seconds": seconds, "compile": spent, "peak": peak, "digest": digest(packed)}


if __name__ == "__main__":
    raise SystemExit(main())
