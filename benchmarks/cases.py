"""What is measured: the jobs, their sizes, and on which sides they run."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.beside_jax import WAYS
from benchmarks.worker import Job

BOTH = ("multiprune", "torch")


@dataclass(frozen=True)
class Measurement:
    """One job, run several times on each of its sides in turn.

    Parameters
    ----------
    key : str
        Its name in the results.
    job : dict
        What the worker is told, less the side and the device.
    sides : tuple of str
        ``"multiprune"``, ``"torch"``, ``"dense"``, in JAX `WAYS` and ``"known"`` (the threshold
        is), or, where only one thing runs, ``"alone"``.
    most_runs : int
        Fewer runs than asked for, where one run is long.
    needs : float
        Bytes of memory per byte of weights, on the hungriest side.
    """

    key: str
    job: Job
    sides: tuple[str, ...] = BOTH
    most_runs: int = 99
    needs: float = field(default=16.0)

    @property
    def entries(self) -> int:
        """How many weights there are."""
        count: int = self.job["layers"] * self.job["rows"] * self.job["cols"]
        return count

    @property
    def bytes_needed(self) -> float:
        """How much memory has to be free."""
        return self.needs * self.entries * (2 if self.job["dtype"] == "bfloat16" else 4)


def measurements(quick: bool) -> dict[str, Measurement]:
    """Return every measurement by key.

    Parameters
    ----------
    quick : bool
        Take a tenth of the entries or less: shows that everything runs, proves nothing.
    """
    small, medium, large, huge, square = (
        (_size(250, 200), _size(300, 250), _size(1000, 500), _size(2500, 1000), _size(512, 512, 1))
        if quick
        else (
            _size(1000, 500),
            _size(1500, 1000),
            _size(2500, 2000),
            _size(10000, 5000),
            _size(4096, 4096, 1),
        )
    )
    many = {**_size(64, 64), "layers": 200 if quick else 2000}
    linear = _size(512, 512, 1) if quick else _size(2048, 2048, 1)
    prune = {"kind": "prune"}
    every = [
        Measurement("10m", prune | small),
        Measurement("100m", prune | large),
        Measurement("floor", {"kind": "floor"} | large, ("alone",), needs=5),
        Measurement("bf16", prune | medium | {"dtype": "bfloat16"}, needs=20),
        Measurement("small", prune | many),
        # 20 % of what is left, five times: how pruning in rounds is done.
        Measurement("rounds", prune | medium | {"rounds": 5, "amount": 0.2}, most_runs=3, needs=20),
        Measurement("1g", prune | huge, ("multiprune",), most_runs=3, needs=3.1),
        Measurement("local", {"kind": "local"} | square),
        Measurement("random", prune | small | {"method": "random"}),
    ]
    for batch in (1, 32):
        job = {"kind": "forward", "batch": batch, "calls": 20 if quick else 100} | linear
        every.append(Measurement(f"forward{batch}", job, (*BOTH, "dense"), most_runs=3))
    chain = {"kind": "forward", "batch": 1, "calls": 50} | _size(64, 64, 20 if quick else 200)
    every.append(Measurement("modules", chain, (*BOTH, "dense"), most_runs=3))
    every.append(Measurement("copy", {"kind": "copy"} | large, ("alone",), needs=3))
    many_groups = _size(*((1000, 4000, 1) if quick else (25000, 4000, 1)))
    every.append(
        Measurement("groups", {"kind": "groups"} | many_groups, ("multiprune", "topk", "ao"), 3)
    )
    square_rows = {"kind": "rows"} | square
    every.append(Measurement("rows", square_rows, ("multiprune", "sort")))
    layers = _size(60, 50, 30) if quick else _size(577, 577, 300)
    every.append(Measurement("bounds", {"kind": "bounds"} | layers, ("multiprune", "free")))
    under_jit = {"kind": "jit-groups"} | _size(*((500, 4000, 1) if quick else (5000, 4000, 1)))
    every.append(Measurement("jit-groups", under_jit, ("multiprune", "top_k"), 3))
    tree = {**_size(100 if quick else 1000, 1000, 22), "amount": 0.8}
    every.append(Measurement("jax", {"kind": "jax"} | tree, WAYS, most_runs=3, needs=20))
    # Row by row and column by column larger: no two leaves have one shape.
    leaves = {"kind": "jax-compile"} | _size(203, 5, 20 if quick else 200)
    every.append(Measurement("jax-compile", leaves, ("multiprune", "known"), most_runs=3))
    return {measurement.key: measurement for measurement in every}


def _size(rows: int, cols: int, layers: int = 20) -> Job:
    return {"layers": layers, "rows": rows, "cols": cols, "dtype": "float32"}
