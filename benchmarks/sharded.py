"""What pruning sharded models costs: ``python benchmarks/sharded.py [--time]``.

Prints traffic and memory for models of 7, 70 and 400 billion parameters, from the code's own
counting on assumed weights, and with ``--time`` nanoseconds an entry on 1, 2 and 4 processes here.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from multiprune_torch.backend import backend
from multiprune_torch.distributed.counting import DIGIT_BITS
from multiprune_torch.distributed.processes import Processes

from multiprune.bounds import Bounds
from multiprune.cut import Cut
from multiprune.keys import Format, format_of, key_bits, score_of
from multiprune.search import Rows, find_cuts

SIGMA, AMOUNT = 0.02, 0.8
MODELS = {"7 B": (7e9, 224, 8), "70 B": (70e9, 560, 64), "400 B": (400e9, 882, 512)}
"""Parameters, tensors that are pruned, and processes."""


class Ledger(Processes):
    """Processes that only write down what they would send."""

    def __init__(self) -> None:
        self.rank = self.calls = self.sent = 0

    def _reduce(self, numbers: Sequence[int], how: object) -> list[int]:
        self.calls, self.sent = self.calls + 1, self.sent + 8 * len(numbers)
        return list(numbers)


@dataclass
class Normal:
    """Entries of N(0, SIGMA), of any number, counted by formula; ties are spread evenly."""

    size: int
    fmt: Format
    digit_bits: int = DIGIT_BITS

    @property
    def key_bits(self) -> int:
        return key_bits(self.fmt, signed=False)

    def count(self, prefixes: Sequence[int | None], shift: int, width: int) -> list[list[int]]:
        first = (prefixes[0] or 0) << (shift + width)
        start, *edges = (self._before(first + (i << shift)) for i in range((1 << width) + 1))
        return [[edge - start for edge in edges]]

    def _before(self, word: int) -> int:
        """Count the entries before a key and a position."""
        bits = (self.size - 1).bit_length()
        key, position = word >> bits, min(word & ((1 << bits) - 1), self.size)
        below = self._below(key)
        return below + position * (self._below(key + 1) - below) // self.size if position else below

    def _below(self, key: int) -> int:
        """Count the entries of a smaller key: those below the middle of two scores."""
        score = score_of(min(key, self.fmt.nan - 1), self.fmt)
        return self.size if math.isinf(score) else round(
            self.size * math.erf(score / SIGMA / math.sqrt(2))
        )  # fmt: skip


def traffic(entries: Normal, tensors: int, *, replicas: bool = False) -> tuple[Ledger, Cut]:
    """Make the exchanges of `prune.prune_model` in their order, and write them down.

    For FSDP over all processes; with replicas (HSDP) three numbers more prove each tensor.
    """
    ledger, proof = Ledger(), [0] * tensors * (4 if replicas else 1)

    def agree() -> None:
        with ledger.together() as agreed:
            agreed["nothing"] = ""

    def total(rows: Rows) -> Rows:
        (counts,) = rows
        ledger.sum([*counts, *proof])
        proof.clear()
        return rows

    agree()  # on the selection
    agree()  # on the call
    ledger.minimum([0] * (tensors + 1))  # who owns what, and a seed
    (cut,) = find_cuts(entries, lambda live: Bounds.exactly([round(AMOUNT * live[0])]), total=total)
    agree()  # that all masks are written
    ledger.sum([0] * (3 * tensors))  # the report
    return ledger, cut


def table() -> None:
    """Print what a pruning sends and holds."""
    print(
        f"Weights of N(0, {SIGMA}), amount {AMOUNT}; all-reduces and their payload on each process,"
        "\nwhich a ring moves twice; masks of one byte an entry, and blocks on one thread;"
        "\nbeside them what an all-gather of the weights would receive.\n"
    )
    head = ("model", "processes", "dtype", "sums", "FSDP", "HSDP", "ties", "masks", "blocks")
    print("{:>6} {:>9} {:>9} {:>5} {:>9} {:>9} {:>13} {:>9} {:>8} {:>9}".format(*head, "gather"))
    for name, (parameters, tensors, processes) in MODELS.items():
        for dtype in ("float32", "bfloat16"):
            fmt = format_of(dtype)
            entries = Normal(int(parameters), fmt)
            ledger, cut = traffic(entries, tensors)
            with_replicas, _ = traffic(entries, tensors, replicas=True)
            shard = parameters / processes
            blocks = backend.block_size * (fmt.bits / 8 + 8 + 8 + 1)
            print(
                f"{name:>6} {processes:>9} {dtype:>9} {ledger.calls:>5} "
                f"{ledger.sent / 1024:>5.1f} KiB {with_replicas.sent / 1024:>5.1f} KiB "
                f"{cut.ties:>13,} {shard / 1e9:>6.2f} GB "
                f"{blocks / 2**20:>4.0f} MiB {parameters * fmt.bits / 8e9:>6.0f} GB"
            )


def timed() -> None:
    """Prune this process's share of 16.8 million entries, and print the time of an entry.

    In turns with the same model whole, in the first process alone: medians of five.
    """
    from statistics import median

    import torch
    from multiprune_torch import prune
    from torch import distributed, nn
    from torch.distributed.fsdp import fully_shard

    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    rank, ranks = distributed.get_rank(), distributed.get_world_size()
    shared: list[float] = []
    alone: list[float] = []
    for turn in range(6):
        whole = nn.Sequential(*(nn.Linear(2048, 2048, bias=False) for _ in range(4)))
        for sharded, found in ((True, shared), (False, alone)):
            model = deepcopy(whole)
            for layer in model if sharded else ():
                fully_shard(layer)
            distributed.barrier()
            if sharded or rank == 0:
                start = time.perf_counter()
                size = prune.prune_model(model, amount=AMOUNT).size
                if turn:  # the first is thrown away
                    found.append((time.perf_counter() - start) / size * 1e9)
            distributed.barrier()
    if rank == 0:
        print(
            f"{ranks} processes: {median(shared):.2f} ns an entry of the model, "
            f"{median(shared) / median(alone):.2f} of the time of one process that has it whole"
        )
    distributed.barrier()
    distributed.destroy_process_group()


def main() -> int:
    """Print the table, and times if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--time", action="store_true")
    if parser.parse_args().time:
        for ranks in (1, 2, 4):
            run = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run(
                [*run, f"--nproc_per_node={ranks}", __file__], env=environment, check=True
            )
    table()
    return 0


if __name__ == "__main__":
    if "RANK" in os.environ:
        timed()
    else:
        sys.exit(main())
