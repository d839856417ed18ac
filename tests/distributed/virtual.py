"""Many ranks in one process: `python tests/distributed/virtual.py --cases 20000 --seed 1`.

Every case cuts tensors in random ways over up to eight ranks, and compares each rank's masks with
the oracle's, cut alike. The first difference ends the run with exit code 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from multiprune_conformance import oracle
from multiprune_torch.backend import backend
from multiprune_torch.distributed.counting import Shard as Held
from multiprune_torch.distributed.counting import ShardedEntries
from multiprune_torch.distributed.layout import layout_of
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.placement_types import _StridedShard

import multiprune
from multiprune.bounds import Bounds
from multiprune.errors import MultipruneError
from multiprune.question import Question
from multiprune.search import find_cuts

sys.path.append(str(Path(__file__).parents[1] / "scale"))
from cases import case_of

SHAPES = [(1,), (2,), (3,), (4,), (8,), (2, 2), (2, 3), (3, 2), (2, 4), (2, 2, 2)]


class Mesh:
    """As much of a DeviceMesh as a layout asks for, seen from one rank."""

    def __init__(self, ranks: torch.Tensor, rank: int) -> None:
        self.mesh, self.shape = ranks, tuple(ranks.shape)
        found = (ranks == rank).nonzero().tolist()
        self.here = found[0] if found else None

    def size(self, axis: int) -> int:
        return self.shape[axis]

    def get_coordinate(self) -> Any:
        return self.here


class Placed(NamedTuple):
    """A sharded tensor as one rank sees it."""

    shape: tuple[int, ...]
    device_mesh: Mesh
    placements: list[Any]
    local: torch.Tensor

    def to_local(self) -> torch.Tensor:
        return self.local


class Way(NamedTuple):
    """How one tensor is cut: a mesh for each rank, none where it is whole on all of them."""

    meshes: list[torch.Tensor] | None
    placements: list[Any]


def way_of(draw: random.Random, world: torch.Tensor, dims: int) -> Way:
    """Choose placements: any, FSDP over tensor parallelism, copies beside each other, few ranks."""
    kind = draw.choice(["whole", "any", "any", "strided", "copies", "few"])
    ranks = world.numel()
    if kind == "whole":
        return Way(None, [])
    if kind == "copies" and world.dim() == 2:  # each column of the mesh holds one
        columns = [world[:, int((world == r).nonzero()[0][1])] for r in range(ranks)]
        return Way(columns, [_placement(draw, dims)])
    if kind == "few" and ranks > 1:
        some = torch.tensor(sorted(draw.sample(range(ranks), draw.randint(1, ranks))))
        return Way([some] * ranks, [_placement(draw, dims)])
    if kind == "strided" and world.dim() > 1 and dims:
        dim = draw.randrange(dims)
        inner = _StridedShard(dim, split_factor=world.shape[-1])
        lead = [Replicate()] * (world.dim() - 2)
        return Way([world] * ranks, [*lead, inner, Shard(dim)])
    return Way([world] * ranks, [_placement(draw, dims) for _ in range(world.dim())])


def _placement(draw: random.Random, dims: int) -> Any:
    if not dims or draw.random() < 0.25:
        return Replicate()
    return Shard(draw.randrange(dims))


def cut_by(way: Way, tensor: torch.Tensor, rank: int) -> torch.Tensor:
    """Cut a tensor by torch's own chunks, and take a rank's; none where it is not a member."""
    if way.meshes is None:
        return tensor
    here = Mesh(way.meshes[rank], rank).here
    if here is None:
        return tensor.reshape(-1)[:0]
    placed = list(zip(here, way.meshes[rank].shape, way.placements, strict=True))
    plain = [p for p in placed if type(p[2]) is Shard]
    for place, n, placement in [*plain, *(p for p in placed if type(p[2]) is _StridedShard)]:
        chunks = list(torch.chunk(tensor, n, dim=placement.dim)) if tensor.numel() else []
        empty = tensor.narrow(placement.dim, 0, 0)
        tensor = chunks[place] if place < len(chunks) else empty
    return tensor


def held_by(way: Way, tensor: torch.Tensor, mask: Any, rank: int) -> Held:
    local = cut_by(way, tensor, rank)
    seen: Any = tensor
    if way.meshes is not None:
        mesh = Mesh(way.meshes[rank], rank)
        seen = Placed(tuple(tensor.shape), mesh, way.placements, local)
    prior = None if mask is None else cut_by(way, mask, rank)
    return Held("tensor", layout_of(seen, rank, "tensor"), local, prior, True)


class Everybody:
    """All ranks' entries at once: what an all-reduce would see."""

    def __init__(self, ranks: list[ShardedEntries], counted: list[Any]) -> None:
        self.ranks, self.counted, first = ranks, counted, counted[0]
        self.size, self.key_bits, self.digit_bits = first.size, first.key_bits, first.digit_bits
        others = [r.proof() for r in ranks[1:]]
        self.proof = [sum(numbers) for numbers in zip(*others, strict=True)] or None

    def count(self, *digit: Any) -> list[Any]:
        rows = [sum(r) for r in zip(*(c.count(*digit) for c in self.counted), strict=True)]
        self.counters = sum(map(len, rows))
        return rows

    def total(self) -> Any:
        """The first rank's sum, to which the others add their proofs of ownership."""

        def add(numbers: Any) -> list[int]:
            start = len(numbers) - len(self.proof or [])
            if self.proof is None or start != self.counters:
                return list(numbers)
            tail = zip(numbers[start:], self.proof, strict=True)
            return [*numbers[:start], *((a + b) % 2**64 for a, b in tail)]

        return self.ranks[0].total(_first(add))


def _first(add: Any) -> Any:
    """Only the first call carries the proof."""
    calls: list[Any] = [add]
    return lambda numbers: calls.pop()(numbers) if calls else list(numbers)


def scaled(rows: Any) -> list[Any]:
    """Every rank stands for a million: counters beyond 32 bits, beyond float64 at the largest."""
    return [np.asarray(row, dtype=np.int64) * 2**20 for row in rows]


def difference(seed: int, number: int) -> str | None:
    """Return how one case differs from the oracle, "" if it does not; None if it is none here."""
    case, draw = case_of(seed, number), random.Random(number << 8 | 7)
    if case.what == "structured" or case.signed:
        return None
    if isinstance(case.where.get("scope"), tuple) or case.where.get("scope") == "row":
        return None  # whole on one process, and decided there as in one
    shapes = [t.shape for t in case.tensors]
    try:
        with np.errstate(over="ignore"):
            if case.what == "pools":
                drawn = None if case.seed < 0 else case.seed
                options = {"seed": drawn, "masks": case.masks, **case.goal, **case.where}
                expected = oracle.pruned(case.tensors, **options)
            elif case.what == "random":
                options = {"seed": case.seed, "masks": case.masks, **case.goal}
                expected = oracle.random_unstructured(shapes, **options)
            else:
                expected = oracle.global_unstructured(case.tensors, masks=case.masks, **case.goal)
    except oracle.Refused:
        return None  # refusals are the same code as in one process
    world = torch.arange(int(np.prod(shape := draw.choice(SHAPES)))).reshape(shape)
    tensors = [backend.from_numpy(t) for t in case.tensors]
    masks = [None if m is None else torch.from_numpy(np.array(m)) for m in case.masks]
    ways = [way_of(draw, world, t.dim()) for t in tensors]
    random_seed = case.seed if case.what == "random" else None
    if case.what == "pools" and case.seed >= 0:
        random_seed = case.seed
    held = [
        [held_by(*parts, rank) for parts in zip(ways, tensors, masks, strict=True)]
        for rank in range(world.numel())
    ]
    owners = [min(h.layout.copy for h in column) for column in zip(*held, strict=True)]
    ranks = [ShardedEntries(shards) for shards in held]
    for entries in ranks:
        entries.own(owners, random_seed)
    names = [str(i) for i in range(len(shapes))]
    where = Question.of(multiprune.L1Unstructured, case.goal, **case.where)[1]
    pools = where.pools(names, shapes)
    engines = [entries.engines(where, pools, names) for entries in ranks]
    everybody = Everybody(ranks, [counted for counted, _ in engines])
    cuts = find_cuts(
        everybody,
        lambda live: where.bounds(pools, live, names, shapes),
        pools=len(pools.sizes),
        total=everybody.total(),
    )

    def scaled_bounds(live: Any) -> Bounds:
        bounds = where.bounds(pools, [n >> 20 for n in live], names, shapes)
        low, high = ([n << 20 for n in each] for each in (bounds.low, bounds.high))
        return Bounds(bounds.total << 20, low, high)

    millions = find_cuts(everybody, scaled_bounds, pools=len(pools.sizes), total=scaled)
    for million, cut in zip(millions, cuts, strict=True):
        if (million.threshold, million.position) != (cut.threshold, cut.position):
            return f"scaled: {million} is not {cut}"
    for i, (want, way) in enumerate(zip(expected, ways, strict=True)):
        for rank in range(len(ranks)):
            wanted = cut_by(way, torch.from_numpy(np.array(want)), rank)
            mask = torch.empty(wanted.shape, dtype=torch.bool)
            engines[rank][1].write(i, cuts, mask)
            if not torch.equal(mask, wanted):
                return f"tensor {i} on rank {rank} of {tuple(world.shape)}, {way}:\n{case}"
    return ""


def main() -> int:
    """Run cases and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    start, compared, number = time.monotonic(), 0, -1
    while compared < options.cases:
        number += 1
        try:
            fault = difference(options.seed, number)
        except (MultipruneError, AssertionError) as error:
            fault = repr(error)
        compared += fault is not None
        if fault:
            print(f"case {number} of seed {options.seed}: {fault}")
            return 1
    print(f"{options.cases:,} cases, seed {options.seed}, 0 differences, "
          f"{time.monotonic() - start:.0f} s")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
